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

func init() { Register(dtqbcReader{}) }

// dtqbcReader reads DNS Tunneling Queries for Binary Classification (Bubnov 2019/2021, DOI 10.17632/mzn9hvdcxg):
// version 1 without a header, `label,qname` with CRLF, and version 2 with one and further feature columns, binary
// (0 normal, 1 tunnel) or multi-label (0 normal, 1 dns2tcp, 2 dnscapy, 3 iodine, 4 tuns; told by the path). Labels may
// also be words. Zones are stripped, see StripZone. Without a header every row counts: the first is data.
type dtqbcReader struct{}

// dtqbcLabels are the tools of the multi-label files by number.
var dtqbcLabels = []string{"", "dns2tcp", "dnscapy", "iodine", "tuns"}

var (
	dtqbcMulti = regexp.MustCompile(`(?i)multi|dtqbc-m|-m-`)
	dtqbcPath  = regexp.MustCompile(`(?i)dtqbc|dns[-_ ]?tunnel[a-z]*[-_ ]quer`)
)

func (dtqbcReader) Name() string           { return "dtqbc" }
func (dtqbcReader) SourceOf(string) string { return "dtqbc" }

func (dtqbcReader) Match(path string, head []byte) (int, string) {
	found := lines.Head(head, 50)
	if len(found) == 0 {
		return 0, missesLines
	}
	if dtqbcHeader(found[0]) {
		return 95, ""
	}
	published := dtqbcPath.MatchString(path)
	for _, l := range found {
		label, name, ok := bytes.Cut(l, []byte{','})
		if !ok || len(label) != 1 || label[0] < '0' || label[0] > '1' || len(name) == 0 || bytes.IndexByte(name, ',') >= 0 {
			return 0, "its lines are not a label, 0 or 1, and a name"
		}
		if !published && name[len(name)-1] != '.' {
			return 0, "its names do not end in a dot" // elsewhere only the dots tell it from a ranking of one line
		}
	}
	return 90, ""
}

func dtqbcHeader(line []byte) bool {
	s := strings.ToLower(string(bytes.ReplaceAll(line, []byte{'"'}, nil)))
	return s == "label,qname" || strings.HasPrefix(s, "label,qname,")
}

func (dtqbcReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	multi := dtqbcMulti.MatchString(f.Path)
	words := newLabeller("tunnel/", true)
	first := true
	sink.Evidence(&datasets.Evidence{Names: "column qname", Class: "column label", Family: "zone of the name"})
	var fields [][]byte
	return eachLine(in, sink, func(line int64, text []byte) error {
		if first {
			first = false
			if dtqbcHeader(text) {
				return nil
			}
		}
		var ok bool
		if fields, ok = lines.SplitRow(fields, text, ','); !ok {
			return sink.Refuse(line, reasonQuote)
		}
		if len(fields) < 2 {
			return sink.Refuse(line, reasonColumns)
		}
		l := dtqbcLabel(fields[0], multi, words)
		if !l.ok {
			return sink.Refuse(line, reasonClass)
		}
		return sink.Record(line, l.record(fields[1]))
	})
}

// dtqbcLabel reads a label. Number 1 means dns2tcp in a multi-label file and any tunnel in a binary one; from 2 on the
// numbers are tools wherever they come.
func dtqbcLabel(value []byte, multi bool, words *labeller) label {
	if len(value) != 1 || value[0] < '0' || value[0] > '9' {
		return words.label(value)
	}
	switch n := int(value[0] - '0'); {
	case n == 0:
		return label{class: benign, ok: true}
	case n == 1 && !multi:
		return label{class: tunnel, ok: true}
	case n < len(dtqbcLabels):
		return label{class: tunnel, family: dtqbcLabels[n], ok: true}
	}
	return label{}
}
