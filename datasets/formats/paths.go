package formats

import (
	"path"
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

// pathHint is what the folders and the name of a file say about the class of its rows: the weakest evidence there is.
type pathHint struct {
	class     datasets.Class
	known     bool
	blocklist bool
	from      string // the folder's or the file's name that says so
	folder    bool   // it is a folder's
	doubt     bool   // a name says something, and it is not clear what
}

// record begins a record of the path's class. A blocklist does not say what made a name bad.
func (h pathHint) record() datasets.Record {
	r := datasets.Record{Class: h.class, Weak: h.blocklist}
	if h.blocklist {
		r.Family = datasets.BlocklistFamily
	}
	return r
}

// evidence says what the class rests on, and why it is a guess. A folder dga or tunnel with files that are named after
// published families is a layout that is known, and none.
func (h pathHint) evidence(p string) (class, guess string) {
	if h.folder {
		name, _ := familyOfPath(p, h)
		if _, class, known := familyOf(name); known && class == h.class {
			return "folder " + h.from, ""
		}
		return "folder " + h.from, "its class rests on the name of a folder alone"
	}
	return "file name " + h.from, "its class rests on the file's name alone"
}

const (
	rankingIsBenign = "a ranking of popular names is benign"
	guessedRanking  = "the names are numbered, and no name of a file or folder says that they are popular"
)

// pathRecord begins the records of a file whose rows say no class. It tells sink what they rest on; ranking is set if
// the rows are numbered by popularity.
func pathRecord(f FileInfo, sink Sink, names string, ranking bool) datasets.Record {
	e := &datasets.Evidence{Names: names}
	h := hintOf(f.Path)
	rec := h.record()
	family, folder := familyOfPath(f.Path, h)
	if rec.Family == "" && family != "" {
		rec.Family = family
		e.Family = map[bool]string{true: "folder", false: "file name"}[folder]
	}
	switch {
	case f.Class != nil:
		e.Class = "sidecar"
	case h.known && !(ranking && h.class == benign):
		e.Class, e.Guess = h.evidence(f.Path)
	default:
		e.Class = rankingIsBenign
		if !h.known {
			e.Guess = guessedRanking
		}
	}
	sink.Evidence(e)
	return rec
}

// pathWords are the words, in a folder's or a file's name, that tell a class.
var pathWords = wordsFor(map[meaning]string{
	isDGA:    "dga dgas",
	isTunnel: "tunnel tunnels tunneling tunnelling",
	good: `benign legit legitimate normal whitelist allowlist popular toplist top10milliondomains alexa tranco umbrella
		majestic domcop cloudflare crux`,
	bad: "blacklist blocklist malicious malware ctc phishing c2 cnc botnet ransomware",
})

// pathDoubts are words that leave open what the names of a list are, whatever else its name says.
var pathDoubts = wordSet(`suspicious suspects suspect mixed unknown unlabelled unlabeled candidates candidate removed
	anti versus vs false positives negatives fp fps filtered blocked exclude excluded exclusions except exceptions
	ignore ignored rejected lookalike lookalikes detection detector analysis`)

// between stand between a denial and what it denies: not-a-dga, not_in_alexa.
var between = wordSet("a an in on of from the")

// hintOf reads a path from its end: a file's own name says more than its folder. A name that says two things, or denies
// what is good, says nothing, and what stands before it does not count either.
func hintOf(p string) (h pathHint) {
	parts := strings.Split(strings.ToLower(p), "/")
	for i, part := range slices.Backward(parts) {
		if i == len(parts)-1 {
			part = strings.TrimSuffix(part, path.Ext(part))
		}
		m, said := partMeaning(part)
		if !said {
			continue
		}
		h = pathHint{known: m != unknown, doubt: m == unknown, from: part, folder: i < len(parts)-1}
		switch m {
		case isTunnel:
			h.class = tunnel
		case bad:
			h.class, h.blocklist = dga, true
		case isDGA:
			h.class = dga
		}
		return h
	}
	return h
}

// partMeaning is what the whole words of one name say together. said is set if one of them says anything.
func partMeaning(part string) (m meaning, said bool) {
	words := pathTokens(part)
	for i, w := range words {
		if pathDoubts[w] {
			return unknown, true
		}
		got, ok := pathWords[w]
		before := i - 1
		for before > 0 && between[words[before]] {
			before--
		}
		denied := before >= 0 && denials[words[before]] || i+1 < len(words) && words[i+1] == "free"
		if !ok {
			got, denied = deniedWord(w)
		}
		if got == unknown {
			continue
		}
		if denied {
			got = got.denied()
			if got == bad {
				return unknown, true // not benign: but what?
			}
		}
		if m = join(m, got); m == unknown {
			return unknown, true
		}
		said = true
	}
	return m, said
}

// deniedWord finds a denial that is written together with what it denies: nondga, notmalicious, malwarefree.
func deniedWord(w string) (m meaning, denied bool) {
	for front := range denials {
		if m := pathWords[strings.TrimPrefix(w, front)]; m != unknown {
			return m, true
		}
	}
	if m := pathWords[strings.TrimSuffix(w, "free")]; m.malicious() {
		return m, true
	}
	return unknown, false
}

func pathTokens(part string) []string {
	return strings.FieldsFunc(part, func(r rune) bool { return strings.ContainsRune("-_. ()[]+,", r) })
}

// noFamilyWords are words of file names that say how a list came about, not what made its names.
var noFamilyWords = wordSet(`train training test testing valid validation dev eval all list lists domain domains name
	names data dataset datasets sample samples example examples file part feed high low public unique uniq sorted clean
	cleaned raw output out result results export full small large big set final new old merged combined random top
	labelled labeled malicious malware blacklist blocklist host hosts tmp copy nxdomain nxdomains server servers`)

// familyOfPath is the family that a path of class dga or tunnel names: below a folder that tells the class, the file
// (dga/zeus.txt) or the folder that it lies in (dga/zeus/2024.txt). Beside the class in a file's own name only a
// published family counts (dga-conficker.csv), because anything may stand there, unless a folder tells the class, too
// (dga/loader_dga.txt). folder is set if a folder names it.
func familyOfPath(p string, h pathHint) (family string, folder bool) {
	if !h.known || h.class == benign || h.blocklist {
		return "", false
	}
	base := FileInfo{Path: p}.Base()
	if !h.folder {
		for _, w := range pathTokens(strings.ToLower(base)) {
			if family, class, known := familyOf(w); known && class == h.class {
				return family, false
			}
		}
		above := hintOf(path.Dir(p))
		if !above.known || above.class != h.class || above.blocklist { // no folder says it once more
			return "", false
		}
		h = above
	}
	if namesFamily(base) {
		return base, false
	}
	if dir := path.Base(path.Dir(p)); strings.ToLower(dir) != h.from && namesFamily(dir) {
		return dir, true
	}
	return "", false
}

// namesFamily reports whether a file's or folder's name has a word that is no number, no class and not about lists.
func namesFamily(name string) bool {
	return slices.ContainsFunc(pathTokens(strings.ToLower(name)), func(w string) bool {
		w = strings.Trim(w, "0123456789")
		return w != "" && !noFamilyWords[w] && pathWords[w] == unknown
	})
}
