package formats

import (
	"bytes"
	"context"
	"io"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/lines"
)

func init() { Register(subsetReader{}) }

// subsetReader reads the subset.csv of the original degas: domain, description and class (0 or 1) separated by
// chr(1), lines ending in CRLF, no header. Each row's own class counts; the original took all of them for DGA, half of
// which are from Alexa.
type subsetReader struct{}

func (subsetReader) Name() string { return "degas-subset" }

func (subsetReader) Match(path string, head []byte) (int, string) {
	found := lines.Head(head, 20)
	for _, l := range found {
		if bytes.Count(l, []byte{1}) != 2 {
			return 0, "its lines are not three fields separated by chr(1)"
		}
	}
	if len(found) == 0 {
		return 0, missesLines
	}
	return 95, ""
}

func (subsetReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	families := map[string]string{}
	labels := newLabeller("", false)
	sink.Evidence(&datasets.Evidence{Names: "field 1", Class: "field 3", Family: "field 2"})
	var fields [][]byte
	return eachLine(in, sink, func(line int64, text []byte) error {
		fields, _ = lines.SplitRow(fields, text, 1)
		if len(fields) != 3 {
			return sink.Refuse(line, reasonColumns)
		}
		l := labels.label(fields[2])
		if !l.ok {
			return sink.Refuse(line, reasonClass)
		}
		rec := datasets.Record{Name: lines.View(fields[0]), Class: l.class}
		if rec.Class != benign {
			if rec.Family = describedFamily(families, fields[1]); rec.Family == "" {
				rec.Family = lines.View(fields[1]) // the family alone
			}
		}
		return sink.Record(line, rec)
	})
}
