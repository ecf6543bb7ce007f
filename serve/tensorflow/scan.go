package tensorflow

import (
	"bytes"
	"fmt"
	"iter"
	"strconv"

	"github.com/degas-dns/degas/internal/jsonscan"
	"github.com/degas-dns/degas/serve/reply"
)

// encoding/json will not do here: TensorFlow Serving takes NaN and Infinity, takes what follows the first value for
// nothing, and tells the offset of a mistake in the words of the library that it reads JSON with, RapidJSON.

// maxDepth bounds how deeply arrays and objects may be nested.
const maxDepth = 1000

// errTooDeep is a text of our own: TensorFlow Serving has no such bound.
var errTooDeep = fmt.Sprintf("Arrays and objects nested more than %d deep.", maxDepth)

// scanner checks JSON. Its errors are those that RapidJSON gives with its flags parse NaN and Inf, and stop when done.
type scanner struct {
	doc   []byte
	i     int
	depth int
}

// wrong is the error for what stands at offset.
func (s *scanner) wrong(text string, offset int) error {
	return reply.BadRequest("JSON Parse error: %s at offset: %d", text, offset)
}

// peek is the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.i < len(s.doc) {
		return s.doc[s.i]
	}
	return 0
}

func (s *scanner) space() {
	for s.i < len(s.doc) && isSpace(s.doc[s.i]) {
		s.i++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// take passes over c if it comes next.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.i++
	return true
}

// value passes over the value that begins here.
func (s *scanner) value() error {
	switch s.peek() {
	case '"':
		return s.text()
	case '{':
		return s.nested(func() error { return s.object(nil) })
	case '[':
		return s.nested(s.array)
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

func (s *scanner) nested(read func() error) error {
	if s.depth++; s.depth > maxDepth {
		return s.wrong(errTooDeep, s.i)
	}
	err := read()
	s.depth--
	return err
}

// object passes over an object. visit, which may be nil, gets each key, which has no quotes but may have escapes, and
// its value.
func (s *scanner) object(visit func(key, value []byte)) error {
	s.i++
	if s.space(); s.take('}') {
		return nil
	}
	for {
		if s.peek() != '"' {
			return s.wrong("Missing a name for object member.", s.i)
		}
		key := s.i
		if err := s.text(); err != nil {
			return err
		}
		keyEnd := s.i
		if s.space(); !s.take(':') {
			return s.wrong("Missing a colon after a name of object member.", s.i)
		}
		s.space()
		start := s.i
		if err := s.value(); err != nil {
			return err
		}
		if visit != nil {
			visit(s.doc[key+1:keyEnd-1], s.doc[start:s.i])
		}
		s.space()
		switch {
		case s.take(','):
			s.space()
		case s.take('}'):
			return nil
		default:
			return s.wrong("Missing a comma or } after an object member.", s.i)
		}
	}
}

func (s *scanner) array() error {
	s.i++
	if s.space(); s.take(']') {
		return nil
	}
	for {
		if err := s.value(); err != nil {
			return err
		}
		s.space()
		switch {
		case s.take(','):
			s.space()
		case s.take(']'):
			return nil
		default:
			return s.wrong("Missing a comma or ] after an array element.", s.i)
		}
	}
}

// word passes over true, false or null.
func (s *scanner) word(w string) error {
	for i := range len(w) {
		if !s.take(w[i]) {
			return s.wrong("Invalid value.", s.i)
		}
	}
	return nil
}

// text passes over a string. Bytes that are no UTF-8 may be in it.
func (s *scanner) text() error {
	for s.i++; ; s.i++ {
		switch c := s.peek(); {
		case c == '"':
			s.i++
			return nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		case c == 0:
			return s.wrong("Missing a closing quotation mark in string.", s.i)
		case c < 0x20:
			return s.wrong("Invalid encoding in string.", s.i)
		}
	}
}

// escape passes over an escape, except for its last byte.
func (s *scanner) escape() error {
	start := s.i
	s.i++
	if bytes.IndexByte([]byte(`"\/bfnrt`), s.peek()) >= 0 {
		return nil
	}
	if s.peek() != 'u' {
		return s.wrong("Invalid escape character in string.", start)
	}
	const noHex, noPair = `Incorrect hex digit after \u escape in string.`, "The surrogate pair in string is invalid."
	first, ok := s.hex4()
	switch {
	case !ok:
		return s.wrong(noHex, start)
	case first < 0xd800 || first > 0xdfff:
		return nil
	case first > 0xdbff || !bytes.HasPrefix(s.doc[s.i+1:], []byte(`\u`)):
		return s.wrong(noPair, start)
	}
	s.i += 2
	second, ok := s.hex4()
	switch {
	case !ok:
		return s.wrong(noHex, start)
	case second < 0xdc00 || second > 0xdfff:
		return s.wrong(noPair, start)
	}
	return nil
}

// hex4 reads the four digits after a u and stays at the last.
func (s *scanner) hex4() (code uint64, ok bool) {
	if len(s.doc)-s.i < 5 {
		return 0, false
	}
	code, err := strconv.ParseUint(string(s.doc[s.i+1:s.i+5]), 16, 16)
	s.i += 4
	return code, err == nil
}

// number passes over a number, NaN, Inf, Infinity, or one of them with a minus.
func (s *scanner) number() error {
	start := s.i
	s.take('-')
	switch c := s.peek(); {
	case c == '0':
		s.i++
	case c >= '1' && c <= '9':
		s.digits()
	case c == 'N':
		return s.word("NaN")
	case c == 'I':
		if err := s.word("Inf"); err != nil || s.peek() != 'i' {
			return err
		}
		return s.word("inity")
	default:
		return s.wrong("Invalid value.", s.i)
	}
	if s.take('.') && !s.digits() {
		return s.wrong("Miss fraction part in number.", s.i)
	}
	exponent := s.take('e') || s.take('E')
	if exponent {
		if !s.take('+') {
			s.take('-')
		}
		if !s.digits() {
			return s.wrong("Miss exponent in number.", s.i)
		}
	}
	if exponent || s.i-start > 300 { // a number of fewer digits is never too large
		if _, err := strconv.ParseFloat(string(s.doc[start:s.i]), 64); err != nil {
			return s.wrong("Number too big to be stored in double.", start)
		}
	}
	return nil
}

// digits passes over digits. It reports whether there are some.
func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.doc) && s.doc[s.i] >= '0' && s.doc[s.i] <= '9' {
		s.i++
	}
	return s.i > start
}

// The functions below take JSON that a scanner has checked.

// typeOf is a value's type in RapidJSON's words.
func typeOf(value []byte) string {
	switch value[0] {
	case '"':
		return "String"
	case '{':
		return "Object"
	case '[':
		return "Array"
	case 't':
		return "True"
	case 'f':
		return "False"
	case 'n':
		return "Null"
	}
	return "Number"
}

// elements are those of an array.
func elements(array []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for i, n := next(array, 1), 0; array[i] != ']'; n++ {
			end := endOf(array, i)
			if !yield(n, array[i:end]) {
				return
			}
			i = next(array, end)
		}
	}
}

// members are those of an object. Keys have no quotes but may have escapes.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for i := next(object, 1); object[i] != '}'; {
			keyEnd := endOf(object, i)
			start := next(object, keyEnd)
			end := endOf(object, start)
			if !yield(object[i+1:keyEnd-1], object[start:end]) {
				return
			}
			i = next(object, end)
		}
	}
}

// next is where the next value or the end of the array or object is.
func next(doc []byte, i int) int {
	for isSpace(doc[i]) || doc[i] == ',' || doc[i] == ':' {
		i++
	}
	return i
}

// endOf is where the value that begins at i ends.
func endOf(doc []byte, i int) int {
	depth := 0
	for {
		switch c := doc[i]; c {
		case '"':
			for i++; doc[i] != '"'; i++ {
				if doc[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		default:
			if depth > 0 {
				break
			}
			for i < len(doc) && !isSpace(doc[i]) && doc[i] != ',' && doc[i] != ']' && doc[i] != '}' {
				i++
			}
			return i
		}
		if i++; depth == 0 {
			return i
		}
	}
}

// textOf is a string without quotes and escapes.
func textOf(value []byte) string { return unescaped(value[1 : len(value)-1]) }

func unescaped(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	return string(jsonscan.Unescape(nil, raw))
}

// member is the first value of an object under a key.
func member(object []byte, name string) (value []byte, ok bool) {
	for key, value := range members(object) {
		if unescaped(key) == name {
			return value, true
		}
	}
	return nil, false
}
