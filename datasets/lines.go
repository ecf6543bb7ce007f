package datasets

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unsafe"
)

// maxLine bounds a line in bytes. A longer one is no table row of names; it is refused and skipped without being held.
const maxLine = 64 << 10

// Reasons that readers give for rows; those of package dnsname come on top.
const (
	reasonLongLine   = "line longer than 64 KiB"
	reasonColumns    = "too few columns"
	reasonQuote      = "unbalanced quotes"
	reasonClass      = "unknown class"
	reasonEmptyValue = "empty value"
)

// lineReader gives lines without their ends (LF or CRLF), each valid until the next call.
type lineReader struct {
	r    *bufio.Reader
	line int64 // number of the line that next gave last, from 1
}

func newLineReader(in io.Reader) *lineReader {
	l := &lineReader{r: bufio.NewReaderSize(in, maxLine)}
	if bom, err := l.r.Peek(3); err == nil && bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		l.r.Discard(3) //nolint:errcheck // they were peeked
	}
	return l
}

// next returns a line; long is set, and the line cut, when it exceeds maxLine. The error is io.EOF at the end.
func (l *lineReader) next() (line []byte, long bool, err error) {
	line, err = l.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		l.line++
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = l.r.ReadSlice('\n')
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
	l.line++
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

// eachLine calls f for every line that is neither empty nor a '#' comment. It refuses what is too long.
func eachLine(in io.Reader, sink Sink, f func(line int64, text []byte) error) error {
	l := newLineReader(in)
	for {
		text, long, err := l.next()
		if err == io.EOF {
			return nil
		}
		if err == nil && long {
			err = sink.Refuse(l.line, reasonLongLine)
		} else if err == nil && len(text) > 0 && text[0] != '#' {
			err = f(l.line, text)
		}
		if err != nil {
			return err
		}
	}
}

// view is b as a string without a copy. It is valid as long as b is not written to: for Sink.Record, which allows it.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// splitRow cuts a line at sep into fields, which it appends to fields[:0]. Fields may be quoted with '"', and a
// doubled quote inside means one. A record never spans lines: no name holds a line's end, and one stray quote must
// not swallow the rest of a file. ok is false when quotes do not balance.
func splitRow(fields [][]byte, line []byte, sep byte) (_ [][]byte, ok bool) {
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
