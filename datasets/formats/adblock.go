package formats

import (
	"bytes"
	"regexp"
	"strings"
)

// Block lists of browsers, as Adblock Plus, uBlock Origin and AdGuard write them. Only rules for whole names count:
//
//	||ads.example.com^
//	||ads.example.com^$third-party,important
//
// Exceptions (@@), rules that hide parts of pages (##) and rules for some requests are left out.
func init() {
	Register(blockReader{format: "adblock", comment: "!", misses: "its lines are not rules such as ||name^",
		rules: func() func([]byte) rule { return (&adblock{}).rule }})
}

type adblock struct{ header bool }

var adblockHeader = regexp.MustCompile(`(?i)^\[.*(adblock|adguard|ublock).*\]$`)

// wholeName are the options of a rule that is still about everything below the name.
var wholeName = map[string]bool{"important": true, "all": true, "document": true, "doc": true, "third-party": true,
	"3p": true, "popup": true}

func (a *adblock) rule(line []byte) rule {
	text := string(bytes.TrimSpace(line))
	name, rest, whole := strings.Cut(strings.TrimPrefix(text, "||"), "^")
	options, more := strings.CutPrefix(strings.TrimPrefix(rest, "|"), "$")
	switch {
	case text == "" || text == "#" || strings.HasPrefix(text, "# "): // lists for resolvers have such comments too
		return rule{ours: true}
	case adblockHeader.MatchString(text):
		a.header = true
		return rule{ours: true, blocked: true}
	case strings.HasPrefix(text, "@@"):
		return rule{ours: true, left: leftException}
	case !strings.HasPrefix(text, "||"):
		// Without a header, other lines may be anything.
		known := a.header || strings.Contains(text, "##") || strings.Contains(text, "#@#") || strings.HasPrefix(text, "|")
		return rule{ours: known, left: leftPart}
	case !whole || strings.ContainsAny(name, "/:=") || strings.Contains(strings.TrimPrefix(name, "*."), "*") ||
		rest != "" && !more && rest != "|":
		return rule{ours: true, left: leftPart}
	}
	for option := range strings.SplitSeq(options, ",") {
		if option != "" && !wholeName[option] {
			return rule{ours: true, left: leftPart}
		}
	}
	return rule{ours: true, blocked: true, names: [][]byte{[]byte(name)}}
}
