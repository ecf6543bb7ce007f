package logs

import (
	"bufio"
	"bytes"
	"io"
	"regexp"
)

// opening is what may stand before the objects of a file: the bracket of an array, or an object that has them in its
// first member.
var opening = regexp.MustCompile(
	`^\x{feff}?\s*(?:\{\s*"(?:records|Records|logEvents|events|Events|results|value)"\s*:\s*)?\[`)

// objectPerLine reports whether each object of a file has a line of its own, by the file's head. Otherwise the file is
// an array, or has line breaks within objects, or several objects on a line.
func objectPerLine(head []byte) bool {
	line, rest, _ := bytes.Cut(bytes.TrimLeft(head, "\ufeff \t\r\n"), []byte{'\n'})
	rest = bytes.TrimLeft(rest, "\r\n")
	s, ends := objectSplitter{}, 0
	for _, c := range line {
		if _, ended := s.next(c); ended {
			ends++
		}
	}
	switch {
	case len(line) > 0 && line[0] == '[', ends > 1:
		return false
	case len(rest) == 0: // the line may be longer than the head
		return !opening.Match(line)
	}
	// If the object has no end, it goes on in the next line, or is cut off.
	return s.depth == 0 || rest[0] == '{'
}

// splitObjects gives each object of a stream that begins with head a line of its own: the elements of an array around
// them, objects one after another, and objects with line breaks within.
func splitObjects(in io.Reader, head []byte) io.Reader {
	return &objectLines{in: bufio.NewReaderSize(in, 16<<10), skip: len(opening.Find(head))}
}

// objectLines is splitObjects' Reader.
type objectLines struct {
	in   *bufio.Reader
	skip int // bytes before the objects
	s    objectSplitter
	buf  []byte
	out  []byte // the part of buf that was not read yet
}

// Read implements io.Reader.
func (r *objectLines) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if _, err := r.in.Peek(1); err != nil {
			return 0, err
		}
		chunk, _ := r.in.Peek(r.in.Buffered()) // no error: they are there
		r.buf = r.buf[:0]
		before := min(r.skip, len(chunk))
		r.skip -= before
		for _, c := range chunk[before:] {
			keep, ended := r.s.next(c)
			if ended && !keep {
				r.buf = append(r.buf, '\n')
			}
			if c == '{' || keep {
				r.buf = append(r.buf, c)
			}
			if ended && keep {
				r.buf = append(r.buf, '\n')
			}
		}
		r.out = r.buf
		if _, err := r.in.Discard(len(chunk)); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// objectSplitter walks over JSON byte by byte.
type objectSplitter struct {
	depth   int // brackets that are open, without those around the objects
	text    bool
	escaped bool
	last    byte // the byte before
}

// next says of a byte whether it belongs to an object, and whether an object ends: with this byte, or before it if it
// does not belong to the object.
func (s *objectSplitter) next(c byte) (keep, ended bool) {
	before := s.last
	s.last = c
	switch {
	case c == '\n' && s.text: // no string has one: the object is cut off
		*s = objectSplitter{last: c}
		return false, true
	case s.escaped:
		s.escaped = false
	case s.text:
		s.escaped, s.text = c == '\\', c != '"'
	case c == '"':
		s.text = s.depth > 0
	case c == '{' && before == '\n' && s.depth > 0: // the object before has no end
		s.depth = 1
		return false, true
	case c == '{', c == '[' && s.depth > 0:
		s.depth++
	case (c == '}' || c == ']') && s.depth > 0:
		s.depth--
		return true, s.depth == 0
	case c == '\n', c == '\r':
		return false, false
	}
	return s.depth > 0, false
}
