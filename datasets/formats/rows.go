package formats

import (
	"bytes"
	"context"
	"io"
	"slices"

	"github.com/degas-dns/degas/internal/lines"
)

// rowReader reads the rows of a delimited text. As RFC 4180 allows, a quoted field may hold line breaks.
type rowReader struct {
	lines  *lines.Reader
	sep    byte
	width  int // fields of the first row
	fields [][]byte
	ahead  []aheadLine // read already, in vain
}

type aheadLine struct {
	number int64
	text   []byte
}

// A row spans at most so many lines and bytes. One stray quote must not swallow a file.
const (
	mostRowLines = 20
	mostRowBytes = 16 << 10
)

// row is a row and the number of its first line. reason says why it is none.
type row struct {
	line   int64
	fields [][]byte
	reason string
}

func newRowReader(in io.Reader, sep byte) *rowReader {
	return &rowReader{lines: lines.NewReader(in), sep: sep}
}

// next gives the next row, valid until the call after it, and io.EOF at the end. It leaves out empty lines and lines
// that begin with '#'.
func (r *rowReader) next() (row, error) {
	for {
		n, text, long, err := r.line()
		switch {
		case err != nil:
			return row{}, err
		case long:
			return row{line: n, reason: reasonLongLine}, nil
		case len(text) == 0 || text[0] == '#', n == 1 && bytes.HasPrefix(text, []byte("sep=")): // Excel's first line
			continue
		}
		var ok bool
		if r.fields, ok = lines.SplitRow(r.fields, text, r.sep); !ok && !r.join(n, text) {
			return row{line: n, reason: reasonQuote}, nil
		}
		if r.width == 0 {
			r.width = len(r.fields)
		}
		return row{line: n, fields: r.fields}, nil
	}
}

// line gives the next line: one that was read in vain, or a new one.
func (r *rowReader) line() (n int64, text []byte, long bool, err error) {
	if len(r.ahead) > 0 {
		a := r.ahead[0]
		r.ahead = r.ahead[1:]
		return a.number, a.text, a.text == nil, nil
	}
	text, long, err = r.lines.Next()
	return r.lines.Line(), text, long, err
}

// join adds lines to one with an open quote until the quote is closed and the row has as many fields as the first. A
// line that is a row by itself ends the search.
func (r *rowReader) join(n int64, first []byte) bool {
	joined := slices.Clone(first)
	named := firstName(r.fields)
	var taken []aheadLine
	for len(taken) < mostRowLines && len(joined) < mostRowBytes {
		n, text, long, err := r.line()
		if err != nil {
			break
		}
		text = append([]byte{}, text...)
		if long {
			text = nil
		}
		taken = append(taken, aheadLine{n, text})
		if long || r.isRow(text, named) {
			break
		}
		joined = append(append(joined, '\n'), text...)
		if bytes.IndexByte(text, '"') < 0 {
			continue
		}
		var ok bool
		if r.fields, ok = lines.SplitRow(r.fields, joined, r.sep); ok && (r.width == 0 || len(r.fields) == r.width) {
			return true
		}
	}
	r.ahead = append(taken, r.ahead...)
	return false
}

// isRow reports whether a line that a row might go on in has as many fields as rows have, with a name where the row has
// its own; named is -1 if the row has shown none yet.
func (r *rowReader) isRow(text []byte, named int) bool {
	fields, ok := lines.SplitRow(nil, text, r.sep)
	if !ok || r.width > 0 && len(fields) != r.width || bytes.IndexByte(fields[0], '"') >= 0 {
		return false // a quote that ends in the first field began before
	}
	if named < 0 {
		return firstName(fields) >= 0
	}
	if named >= len(fields) {
		return false
	}
	_, name := dotted(string(bytes.TrimSpace(fields[named])))
	return name
}

// firstName is the first field that is a name, -1 for none.
func firstName(fields [][]byte) int {
	return slices.IndexFunc(fields, func(f []byte) bool {
		_, name := dotted(string(bytes.TrimSpace(f)))
		return name
	})
}

// each calls f for every row, and refuses what is none.
func (r *rowReader) each(ctx context.Context, sink Sink, f func(row) error) error {
	for {
		got, err := r.next()
		switch {
		case err == io.EOF:
			return ctx.Err()
		case err == nil && got.reason != "":
			err = sink.Refuse(got.line, got.reason)
		case err == nil:
			err = f(got)
		}
		if err != nil {
			return err
		}
	}
}
