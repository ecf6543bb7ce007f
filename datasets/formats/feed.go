package formats

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/lines"
)

func init() { Register(feedReader{}) }

// feedReader reads feeds of DGA names whose rows describe them: Bambenek's
//
//	plvklpgwivery.com,Domain used by Cryptolocker - Flashback DGA for 23 Jun 2018,2018-06-23,http://…/cl.txt
//
// '#' starts comments. The family is in the description.
type feedReader struct{}

var feedDescription = regexp.MustCompile(`(?i)domain used by (.+?)(?: dga)?(?: \(.*\))?(?: for .*)?$`)

func (feedReader) Name() string { return "feed" }

func (feedReader) Match(_ string, head []byte) (int, string) {
	found := lines.Head(head, 20)
	if len(found) == 0 {
		return 0, missesLines
	}
	described := 0
	for _, l := range found {
		if name, rest, _ := bytes.Cut(l, []byte{','}); looksLikeName(name) && bytes.Contains(rest, []byte("omain used by ")) {
			described++
		}
	}
	if described*10 < len(found)*9 {
		return 0, "no family is described behind names"
	}
	return 95, ""
}

func (feedReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	sink.Evidence(&datasets.Evidence{Names: "field 1", Class: "format: a feed of DGA names", Family: "description"})
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
			if !looksLikeName(fields[0]) {
				return nil // a header
			}
		}
		rec := datasets.Record{Name: lines.View(bytes.TrimSpace(fields[0])), Class: dga}
		if len(fields) > 1 {
			rec.Family = describedFamily(families, fields[1])
		}
		if len(fields) > 2 {
			rec.Day = datasets.ParseDay(bytes.TrimSpace(fields[2]))
		}
		return sink.Record(line, rec)
	})
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
