package formats

import (
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
)

// Short names for the classes.
const (
	benign = datasets.Benign
	dga    = datasets.DGA
	tunnel = datasets.Tunnel
)

// pathHint is what the folders and the name of a file say about the class of its rows.
type pathHint struct {
	class     datasets.Class
	known     bool
	blocklist bool
}

// record begins a record of the path's class. A blocklist does not say what made a name bad.
func (h pathHint) record() datasets.Record {
	r := datasets.Record{Class: h.class, Weak: h.blocklist}
	if h.blocklist {
		r.Family = datasets.BlocklistFamily
	}
	return r
}

// folderWords are the words, in a folder's or a file's name, that tell a class.
var folderWords = map[string]datasets.Class{
	"dga": dga, "dgas": dga,
	"tunnel": tunnel, "tunnels": tunnel, "tunneling": tunnel, "tunnelling": tunnel,
	"benign": benign, "legit": benign, "legitimate": benign, "normal": benign, "whitelist": benign, "allowlist": benign,
	"popular": benign, "toplist": benign, "top10milliondomains": benign, "alexa": benign, "tranco": benign,
	"umbrella": benign, "majestic": benign, "domcop": benign, "cloudflare": benign, "crux": benign,
}

var blockWords = map[string]bool{
	"blacklist": true, "blocklist": true, "malicious": true, "malware": true, "ctc": true, "phishing": true,
}

// hintOf reads a path from its end: a file's own name says more than its folder.
func hintOf(path string) (h pathHint) {
	for _, part := range slices.Backward(strings.Split(strings.ToLower(path), "/")) {
		words := strings.FieldsFunc(part, func(r rune) bool { return strings.ContainsRune("-_. ", r) })
		for _, w := range words {
			if c, ok := folderWords[w]; ok {
				return pathHint{class: c, known: true}
			}
			if blockWords[w] {
				return pathHint{class: dga, known: true, blocklist: true}
			}
		}
	}
	return h
}

// isFolderWord reports whether a name says a class only: dga.txt names no family.
func isFolderWord(base string) bool {
	_, ok := folderWords[strings.ToLower(base)]
	return ok
}
