package kserve

import (
	"bytes"
	"encoding/json"

	"github.com/degas-dns/degas/internal/jsonscan"
)

// cursor walks through JSON whose syntax json.Valid has found right, without memory of its own: a request of 64 MiB
// may hold millions of values that nobody asked for.
type cursor struct {
	doc []byte
	i   int
}

// peek is the first byte of the next value, key, bracket or comma; 0 at the end.
func (c *cursor) peek() byte {
	for c.i < len(c.doc) {
		switch b := c.doc[c.i]; b {
		case ' ', '\t', '\r', '\n':
			c.i++
		default:
			return b
		}
	}
	return 0
}

// skip passes over the next value and returns it as it stands.
func (c *cursor) skip() []byte {
	first := c.peek()
	start := c.i
	switch first {
	case '"':
		c.text()
	case '[', '{':
		c.nested()
	default:
		for c.i < len(c.doc) && !bytes.ContainsRune(ends, rune(c.doc[c.i])) {
			c.i++
		}
	}
	return c.doc[start:c.i]
}

// ends are the bytes that may follow a number or a literal.
var ends = []byte(",]} \t\r\n")

// nested passes over an array or an object.
func (c *cursor) nested() {
	depth := 0
	for {
		switch c.doc[c.i] {
		case '"':
			c.text()
			continue
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
		c.i++
		if depth == 0 {
			return
		}
	}
}

// text passes over a string and returns it without its quotes, escapes as they are.
func (c *cursor) text() []byte {
	c.i++
	start := c.i
	for c.doc[c.i] != '"' {
		if c.doc[c.i] == '\\' {
			c.i++
		}
		c.i++
	}
	c.i++
	return c.doc[start : c.i-1]
}

// unescaped is a text of a cursor without its escapes.
func unescaped(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	return jsonscan.Unescape(nil, raw)
}

// each calls f before every element of an array or every value of an object, of which f is told the key. f must move
// the cursor past the value.
func (c *cursor) each(f func(key []byte) error) error {
	isObject := c.peek() == '{'
	c.i++
	for {
		switch c.peek() {
		case ']', '}':
			c.i++
			return nil
		case ',':
			c.i++
			continue
		}
		var key []byte
		if isObject {
			key = unescaped(c.text())
			c.peek()
			c.i++ // the colon
		}
		if err := f(key); err != nil {
			return err
		}
	}
}

// null passes over a null.
func (c *cursor) null() bool {
	if c.peek() != 'n' {
		return false
	}
	c.skip()
	return true
}

// into decodes the next value, which must be small.
func (c *cursor) into(v any) error {
	raw := c.skip()
	if len(raw) > maxSmall {
		return errLong
	}
	return json.Unmarshal(raw, v)
}
