package formats

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/degas-dns/degas/internal/lines"
)

func init() { Register(tableReader{}) }

// tableReader reads rows of columns that are separated by comma, semicolon, tab or '|', such as
//
//	domain,label                            the original degas' test.csv
//	domain,family,label                     chrmor
//	class,"domain",subclass                 legit-dga_domains.csv; RootObject.class is class
//	host;domain;class;subclass              Devo's dataset.csv, where host is the whole name
//	timestamp,domain,type,status,client     a resolver's query log: type holds no classes
//	"Rank","Domain","Open Page Rank"        DomCop, quoted or not: benign, it is a popularity list
//	GlobalRank,TldRank,Domain,TLD,…         Majestic, likewise
//
// What each column is, its values decide, see chooseColumns. A table without a class column needs a rank column, a path
// that tells the class, or a sidecar. Without a header it needs words that speak of a class, or a path.
type tableReader struct{}

func (tableReader) Name() string { return "table" }

// textTable is the beginning of a table in a text.
type textTable struct {
	columns
	sep    byte
	header bool
}

// tableIn finds a table's separator and columns. The error is about the separator that comes nearest.
func tableIn(head []byte, f FileInfo) (textTable, error) {
	nearest := errNoTable
	for _, sep := range []byte(",;\t|") {
		s, ok := sampleText(head, sep)
		if !ok {
			continue
		}
		c, err := chooseColumns(s, f)
		if err == nil {
			return textTable{c, sep, s.headers != nil}, nil
		}
		if nearest == errNoTable || nearest == errNoNames {
			nearest = err
		}
	}
	return textTable{}, nearest
}

var errNoTable = errors.New("its lines are not rows of columns")

// sampleText cuts the head of a text into rows. ok is false if they have not mostly the same number of fields.
func sampleText(head []byte, sep byte) (s sample, ok bool) {
	if len(head) == lines.HeadSize { // the last line is cut
		head = head[:bytes.LastIndexByte(head, '\n')+1]
	}
	r := newRowReader(bytes.NewReader(head), sep)
	all, even := 0, 0
	for len(s.rows) < sampleRows {
		got, err := r.next()
		if err != nil {
			break
		}
		all++
		if got.reason != "" {
			continue
		}
		fields := make([]string, len(got.fields))
		for i, f := range got.fields {
			fields[i] = string(f)
		}
		if all == 1 && isHeaderRow(fields) {
			s.headers = fields
		} else {
			s.rows = append(s.rows, fields)
		}
		if len(fields) == r.width {
			even++
		}
	}
	return s, r.width > 1 && float64(even) >= enoughAre*float64(all) && len(s.rows) > 0
}

// isHeaderRow tells a header from a row: a field is called as columns are, or none is a name. google.name is a name.
func isHeaderRow(fields []string) bool {
	known, names := 0, 0
	for _, f := range fields {
		whole, last := headerKeys(f)
		if knownHeader(whole) {
			return true
		}
		if knownHeader(last) {
			known++
		}
		if _, ok := dotted(strings.TrimSpace(f)); ok {
			names++
		}
	}
	return known > 1 || names == 0
}

func knownHeader(key string) bool {
	return nameHeaders[key] > 0 || classHeaders[key] > 0 || rankHeaders[key] > 0 || slices.Contains(familyHeaders, key)
}

func (tableReader) Match(path string, head []byte) (int, string) {
	t, err := tableIn(head, FileInfo{Path: path})
	switch {
	case err != nil:
		return 0, err.Error()
	case !t.header && t.class < 0:
		return 42, "" // a name, whatever else, and a path
	case !t.header:
		return 65, ""
	}
	return 80, ""
}

func (tableReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	head, in, err := lines.Peek(in)
	if err != nil {
		return err
	}
	t, err := tableIn(head, f)
	if err != nil {
		return err
	}
	sink.Evidence(&t.evidence)
	rows := newRowReader(in, t.sep)
	header := t.header
	err = rows.each(ctx, sink, func(r row) error {
		if header {
			header = false
			return nil
		}
		return t.record(r.line, r.fields, sink)
	})
	return t.finish(err)
}
