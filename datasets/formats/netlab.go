package formats

import (
	"bytes"
	"context"
	"io"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/lines"
)

func init() { Register(netlabReader{}) }

// netlabReader reads Netlab 360's dga.txt: family, domain, first and last day, separated by tabs, '#' comments.
type netlabReader struct{}

func (netlabReader) Name() string { return "netlab" }

func (netlabReader) Match(path string, head []byte) (int, string) {
	found := lines.Head(head, 20)
	for _, l := range found {
		fields := bytes.Split(l, []byte{'\t'})
		if len(fields) < 3 || looksLikeName(fields[0]) || !looksLikeName(fields[1]) ||
			!bytes.Contains(fields[2], []byte{'-'}) {
			return 0, "its lines are not family, name and day, separated by tabs"
		}
	}
	if len(found) == 0 {
		return 0, missesLines
	}
	return 90, ""
}

func (netlabReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	sink.Evidence(&datasets.Evidence{Names: "field 2", Class: "format: a feed of DGA names", Family: "field 1"})
	return eachLine(in, sink, func(line int64, text []byte) error {
		family, rest, ok := bytes.Cut(text, []byte{'\t'})
		if !ok {
			return sink.Refuse(line, reasonColumns)
		}
		name, days, _ := bytes.Cut(rest, []byte{'\t'})
		return sink.Record(line, datasets.Record{
			Name: lines.View(bytes.TrimSpace(name)), Class: dga, Family: lines.View(family),
			Day: datasets.ParseDay(bytes.TrimSpace(days)),
		})
	})
}
