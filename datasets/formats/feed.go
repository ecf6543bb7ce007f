package formats

import (
	"bytes"
	"context"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/lines"
)

func init() { Register(feedReader{}) }

// feedReader reads feeds of DGA names without a header whose first column is the name: Bambenek's
//
//	plvklpgwivery.com,Domain used by Cryptolocker - Flashback DGA for 23 Jun 2018,2018-06-23,http://…/cl.txt
//
// and the dga-*.csv files of the original degas' folder. '#' starts comments. The family is in the description; without
// one it is what stands after "dga-" in the file's name.
type feedReader struct{}

var (
	feedFile        = regexp.MustCompile(`(?i)^(?:bambenek\..*|dga-.*)\.(?:csv|txt)$`)
	feedDescription = regexp.MustCompile(`(?i)domain used by (.+?)(?: dga)?(?: \(.*\))?(?: for .*)?$`)
)

func (feedReader) Name() string { return "feed" }

func (feedReader) Match(p string, head []byte) (int, string) {
	found := lines.Head(head, 20)
	if len(found) == 0 {
		return 0, missesLines
	}
	if c, ok := tableColumns(found[0]); ok && (c.class >= 0 || c.family >= 0 || c.rank >= 0) {
		return 0, "its header says that it is a table"
	}
	described, names := 0, 0
	for _, l := range found {
		name, rest, _ := bytes.Cut(l, []byte{','})
		if looksLikeName(name) {
			names++
			if bytes.Contains(rest, []byte("omain used by ")) {
				described++
			}
		}
	}
	switch {
	case names*10 < len(found)*9:
		return 0, missesNames
	case described == len(found):
		return 95, ""
	case feedFile.MatchString(path.Base(p)):
		return 85, ""
	}
	return 0, "it is not called bambenek.* or dga-*, and no family is described behind the names"
}

func (feedReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	fallback := feedFamily(f.Base())
	families := map[string]string{} // by description
	first := true
	var fields [][]byte
	return eachLine(in, sink, func(line int64, text []byte) error {
		var ok bool
		if fields, ok = lines.SplitRow(fields, text, ','); !ok {
			return sink.Refuse(line, reasonQuote)
		}
		if first {
			first = false
			if _, ok := tableColumns(text); ok && !looksLikeName(fields[0]) {
				return nil // a header that says less than the file's name: domain,date
			}
		}
		rec := datasets.Record{Name: lines.View(bytes.TrimSpace(fields[0])), Class: dga, Family: fallback}
		if len(fields) > 1 {
			if family := describedFamily(families, fields[1]); family != "" {
				rec.Family = family
			}
		}
		if len(fields) > 2 {
			rec.Day = datasets.ParseDay(bytes.TrimSpace(fields[2]))
		}
		return sink.Record(line, rec)
	})
}

// feedFamily is the family in a file's name: "dga-conficker" -> "conficker"; "" for bambenek.2018-06, dga-feed-high.
func feedFamily(base string) string {
	family, ok := strings.CutPrefix(strings.ToLower(base), "dga-")
	if !ok {
		return ""
	}
	for _, w := range strings.FieldsFunc(family, func(r rune) bool { return strings.ContainsRune("-_.", r) }) {
		switch w {
		case "feed", "high", "list", "lists", "domains", "all", "data", "public":
			return ""
		}
	}
	if strings.Trim(family, "0123456789-_.") == "" {
		return ""
	}
	return family
}

// describedFamily is the family in a feed's description, remembered by description: each day has its own.
func describedFamily(known map[string]string, text []byte) string {
	if f, ok := known[string(text)]; ok {
		return f
	}
	f := ""
	if m := feedDescription.FindSubmatch(bytes.TrimSpace(text)); m != nil {
		// "Cryptolocker - Flashback": the words after the dash are the campaign's.
		name, _, _ := strings.Cut(string(m[1]), " - ")
		f = datasets.NormalizeFamily(name)
	}
	if len(known) < maxLabels {
		known[string(text)] = f
	}
	return f
}
