package jsonscan

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Errors of Scan and Walk.
var (
	ErrSyntax = errors.New("no JSON object")
	ErrCut    = errors.New("JSON that is cut off")
	ErrDepth  = errors.New("JSON nested too deeply")
)

// MaxDepth bounds how deeply objects and arrays may be nested.
const MaxDepth = 64

// Kind is what a value is.
type Kind uint8

// Kinds of values. Object and Array are values with paths below them, or without any.
const (
	String Kind = iota
	Number
	Bool
	Null
	Object
	Array
)

// Value is a value at a path.
type Value struct {
	// Path is the index of the path, for Compile.
	Path int
	// Element tells the elements of arrays apart: values with the same number come from the same element of an outermost
	// array. It is -1 outside arrays.
	Element int
	Kind    Kind
	// Raw is the value as the document has it, a string without its quotes. It is nil for objects and arrays.
	Raw []byte
}

// Text is the value as text: a string's without escapes, which it may append to buf, else Raw.
func (v Value) Text(buf []byte) []byte {
	if v.Kind != String || bytes.IndexByte(v.Raw, '\\') < 0 {
		return v.Raw
	}
	n := len(buf)
	return Unescape(buf, v.Raw)[n:]
}

type scanner struct {
	doc      []byte
	out      []Value
	depth    int
	arrays   int // arrays around the place
	elements int // of outermost arrays so far
	element  int

	path  []byte                     // for Walk, else nil
	visit func(path []byte, v Value) // for Walk
}

// Scan appends the values that doc, which is one object, has at the paths, in the order of the document. A key that
// comes twice gives both values. The values are parts of doc.
func (p *Paths) Scan(doc []byte, out []Value) ([]Value, error) {
	s := scanner{doc: doc, out: out, element: -1}
	err := s.top(&p.root)
	return s.out, err
}

// Walk calls visit for every value of doc that is neither object nor array, with its path. Both are valid during the
// call.
func Walk(doc []byte, visit func(path []byte, v Value)) error {
	s := scanner{doc: doc, element: -1, path: make([]byte, 0, 64), visit: visit}
	return s.top(nil)
}

func (s *scanner) top(n *node) error {
	i := s.space(0)
	if i == len(s.doc) || s.doc[i] != '{' {
		return ErrSyntax
	}
	i, err := s.object(i+1, n)
	if err == nil && s.space(i) != len(s.doc) {
		err = ErrSyntax
	}
	return err
}

// space is the index of the next byte that is no white space.
func (s *scanner) space(i int) int {
	for i < len(s.doc) && s.doc[i] <= ' ' && isSpace(s.doc[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// object reads an object after its brace and returns the index of what follows it. n is where it lies among the paths.
func (s *scanner) object(i int, n *node) (int, error) {
	if s.depth++; s.depth > MaxDepth {
		return i, ErrDepth
	}
	defer func() { s.depth-- }()
	if i = s.space(i); i < len(s.doc) && s.doc[i] == '}' {
		return i + 1, nil
	}
	for {
		if i = s.space(i); i == len(s.doc) {
			return i, ErrCut
		} else if s.doc[i] != '"' {
			return i, ErrSyntax
		}
		end := stringEnd(s.doc, i+1)
		if end < 0 {
			return i, ErrCut
		}
		key := s.doc[i+1 : end]
		if i = s.space(end + 1); i == len(s.doc) {
			return i, ErrCut
		} else if s.doc[i] != ':' {
			return i, ErrSyntax
		}
		i++
		var err error
		switch {
		case s.visit != nil:
			i, err = s.named(key, i)
		default:
			child := n.find(key)
			i, err = s.value(i, child)
		}
		if err != nil {
			return i, err
		}
		if i = s.space(i); i == len(s.doc) {
			return i, ErrCut
		}
		switch s.doc[i] {
		case ',':
			i++
		case '}':
			return i + 1, nil
		default:
			return i, ErrSyntax
		}
	}
}

// named reads a member's value for Walk.
func (s *scanner) named(key []byte, i int) (int, error) {
	before := len(s.path)
	if before > 0 {
		s.path = append(s.path, '.')
	}
	s.path = Unescape(s.path, key)
	i, err := s.value(i, nil)
	s.path = s.path[:before]
	return i, err
}

// value reads a value and returns the index of what follows it. n is nil for one that no path leads to.
func (s *scanner) value(i int, n *node) (int, error) {
	if i = s.space(i); i == len(s.doc) {
		return i, ErrCut
	}
	switch c := s.doc[i]; {
	case c == '"':
		end := stringEnd(s.doc, i+1)
		if end < 0 {
			return i, ErrCut
		}
		s.found(n, String, s.doc[i+1:end])
		return end + 1, nil
	case c == '{' || c == '[':
		return s.nested(i, n)
	}
	end := i
	for end < len(s.doc) && !isEnd[s.doc[end]] {
		end++
	}
	kind, ok := literal(s.doc[i:end])
	if !ok {
		return i, ErrSyntax
	}
	s.found(n, kind, s.doc[i:end])
	return end, nil
}

var isEnd = [256]bool{',': true, '}': true, ']': true, ' ': true, '\t': true, '\n': true, '\r': true}

// literal tells numbers, booleans and null.
func literal(raw []byte) (Kind, bool) {
	switch {
	case len(raw) == 0:
		return Null, false
	case raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9':
		return Number, true
	case string(raw) == "true", string(raw) == "false":
		return Bool, true
	}
	return Null, string(raw) == "null"
}

// nested reads the object or array at i.
func (s *scanner) nested(i int, n *node) (int, error) {
	if n == nil && s.visit == nil {
		return s.skip(i)
	}
	if s.doc[i] == '{' {
		s.found(n, Object, nil)
		return s.object(i+1, n)
	}
	s.found(n, Array, nil)
	return s.array(i+1, n)
}

// found notes a value for all paths that end at n.
func (s *scanner) found(n *node, kind Kind, raw []byte) {
	if s.visit != nil {
		if kind < Object {
			s.visit(s.path, Value{Element: s.element, Kind: kind, Raw: raw})
		}
		return
	}
	if n == nil {
		return
	}
	for _, id := range n.ids {
		s.out = append(s.out, Value{id, s.element, kind, raw})
	}
}

// array reads an array after its bracket.
func (s *scanner) array(i int, n *node) (int, error) {
	if s.depth++; s.depth > MaxDepth {
		return i, ErrDepth
	}
	s.arrays++
	defer func() {
		s.depth--
		if s.arrays--; s.arrays == 0 {
			s.element = -1
		}
	}()
	if i = s.space(i); i < len(s.doc) && s.doc[i] == ']' {
		return i + 1, nil
	}
	for {
		if s.arrays == 1 {
			s.element = s.elements
			s.elements++
		}
		var err error
		if i, err = s.value(i, n); err != nil {
			return i, err
		}
		if i = s.space(i); i == len(s.doc) {
			return i, ErrCut
		}
		switch s.doc[i] {
		case ',':
			i++
		case ']':
			return i + 1, nil
		default:
			return i, ErrSyntax
		}
	}
}

// skip passes over the object or array at i. Brackets must match.
func (s *scanner) skip(i int) (int, error) {
	braces := uint64(0) // a bit for each bracket that is open, the innermost lowest: set if it is a brace
	for depth := 0; i < len(s.doc); i++ {
		switch c := s.doc[i]; c {
		case '"':
			if i = stringEnd(s.doc, i+1); i < 0 {
				return 0, ErrCut
			}
		case '{', '[':
			if depth++; s.depth+depth > MaxDepth {
				return i, ErrDepth
			}
			braces <<= 1
			if c == '{' {
				braces |= 1
			}
		case '}', ']':
			if (c == '}') != (braces&1 == 1) {
				return i, ErrSyntax
			}
			braces >>= 1
			if depth--; depth == 0 {
				return i + 1, nil
			}
		}
	}
	return i, ErrCut
}

// stringEnd is the index of the quote that ends a string which begins at i, or -1.
func stringEnd(doc []byte, i int) int {
	for {
		n := bytes.IndexByte(doc[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		slashes := 0
		for doc[i-1-slashes] == '\\' { // ends at the quote before the string at the latest
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
		i++
	}
}

// Unescape appends the text of a string of JSON, which has no quotes any more, to dst. An escape that there is none of
// stands as it is. Bytes that are no UTF-8 stay.
func Unescape(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 || i+1 == len(raw) {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		c := raw[i+1]
		raw = raw[i:]
		if c == 'u' {
			r, n := unicodeEscape(raw)
			if n == 0 {
				dst = append(dst, raw[:2]...)
				raw = raw[2:]
				continue
			}
			dst = utf8.AppendRune(dst, r)
			raw = raw[n:]
			continue
		}
		if at := bytes.IndexByte([]byte(`"\/bfnrt`), c); at >= 0 {
			dst = append(dst, "\"\\/\b\f\n\r\t"[at])
		} else {
			dst = append(dst, '\\', c)
		}
		raw = raw[2:]
	}
}

// unicodeEscape reads \uXXXX, or the two that make a character outside the basic plane. n is their length, 0 if raw
// does not begin with one.
func unicodeEscape(raw []byte) (r rune, n int) {
	if r = hex4(raw); r < 0 {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if pair := utf16.DecodeRune(r, hex4(raw[6:])); pair != utf8.RuneError {
		return pair, 12
	}
	return utf8.RuneError, 6
}

// hex4 reads \uXXXX, -1 if raw does not begin with it.
func hex4(raw []byte) rune {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return -1
	}
	v, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(v)
}
