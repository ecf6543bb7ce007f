// Package lines reads text whose lines come from strangers: it bounds the length of a line, cuts rows into fields, and
// looks at the beginning of a stream without losing it.
package lines

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unsafe"
)

// MaxLine bounds a line in bytes. A longer one is no row of names: it is skipped without being held in memory.
const MaxLine = 64 << 10

// maxSkipped bounds a line that is skipped, in bytes. A file with a longer one is no text, and may be a hole of any
// size.
const maxSkipped = 64 << 20

// HeadSize is how much of a stream Peek reads, in bytes: enough to recognise a format.
const HeadSize = 64 << 10

// Reader gives lines without their ends (LF or CRLF).
type Reader struct {
	r    *bufio.Reader
	line int64
}

// NewReader reads the lines of in, which is UTF-8 as package unpack gives it.
func NewReader(in io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(in, MaxLine)} }

// Line is the number of the line that Next gave last, from 1.
func (r *Reader) Line() int64 { return r.line }

// Next returns a line, which is valid until the next call. long is set, and the line nil, if it exceeds MaxLine. The
// error is io.EOF at the end. A line that goes on for more than 64 MiB is an error.
func (r *Reader) Next() (line []byte, long bool, err error) {
	line, err = r.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		r.line++
		for n := MaxLine; errors.Is(err, bufio.ErrBufferFull); n += MaxLine {
			if n > maxSkipped {
				return nil, false, fmt.Errorf("line %d has more than %d bytes: this is no text", r.line, maxSkipped)
			}
			_, err = r.r.ReadSlice('\n')
		}
		if err == io.EOF {
			err = nil
		}
		return nil, true, err
	case err == io.EOF && len(line) > 0:
		err = nil // the last line has no end
	case err != nil:
		return nil, false, err
	}
	r.line++
	return trimEnd(line), false, err
}

// trimEnd drops a line's end.
func trimEnd(line []byte) []byte {
	n := len(line)
	if n > 0 && line[n-1] == '\n' {
		n--
	}
	if n > 0 && line[n-1] == '\r' {
		n--
	}
	return line[:n]
}

// Peek reads a stream's first HeadSize bytes, and gives them back with a reader that still has them. The error is the
// stream's: one that was cut off is not one that ends.
func Peek(in io.Reader) (head []byte, again io.Reader, err error) {
	head, err = io.ReadAll(io.LimitReader(in, HeadSize))
	return head, io.MultiReader(bytes.NewReader(head), in), err
}

// Head cuts a stream's first bytes into whole lines, at most n, without '#' comments and empty ones. A head of HeadSize
// bytes may end inside a line, which is left out unless it is the only one.
func Head(head []byte, n int) (list [][]byte) {
	cut := len(head) == HeadSize
	for len(head) > 0 && len(list) < n {
		line, rest, found := bytes.Cut(head, []byte{'\n'})
		if !found && cut && len(list) > 0 {
			break
		}
		head = rest
		if line = bytes.TrimSuffix(line, []byte{'\r'}); len(line) > 0 && line[0] != '#' {
			list = append(list, line)
		}
	}
	return list
}

// View is b as a string without a copy. It is valid as long as nobody writes to b.
func View(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// SplitRow cuts a line at sep into fields, which it appends to fields[:0]. Fields may be quoted with '"', and a
// doubled quote inside means one. A record never spans lines: no name holds a line's end, and one stray quote must
// not swallow the rest of a file. ok is false if quotes do not balance.
func SplitRow(fields [][]byte, line []byte, sep byte) (_ [][]byte, ok bool) {
	fields = fields[:0]
	for {
		if len(line) > 0 && line[0] == '"' {
			field, rest, ok := quotedField(line)
			if !ok {
				return fields, false
			}
			fields = append(fields, field)
			if len(rest) == 0 {
				return fields, true
			}
			if rest[0] != sep {
				return fields, false
			}
			line = rest[1:]
			continue
		}
		i := bytes.IndexByte(line, sep)
		if i < 0 {
			return append(fields, line), true
		}
		fields = append(fields, line[:i])
		line = line[i+1:]
	}
}

// quotedField reads the quoted field at the start of line and returns what follows it.
func quotedField(line []byte) (field, rest []byte, ok bool) {
	var joined []byte
	for body := line[1:]; ; {
		i := bytes.IndexByte(body, '"')
		if i < 0 {
			return nil, nil, false
		}
		if i+1 < len(body) && body[i+1] == '"' {
			joined = append(joined, body[:i+1]...)
			body = body[i+2:]
			continue
		}
		if joined == nil {
			return body[:i], body[i+1:], true
		}
		return append(joined, body[:i]...), body[i+1:], true
	}
}
