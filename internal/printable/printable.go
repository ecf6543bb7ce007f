// Package printable writes texts of strangers (names, labels, file names) so that they cannot act on whoever reads
// them. There is one function for each kind of output.
package printable

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Terminal escapes everything that could move a cursor, end a line, forge a column or reorder text: control characters
// (\t, \n, \x1b, \u0085), format characters such as bidirectional overrides (\u202e), every space but the ASCII one,
// unassigned characters, and bytes that are no UTF-8 (\xff). The result is one line of valid UTF-8.
//
// It lets through letters, marks, digits, punctuation and symbols of all scripts, so two names may still look alike.
// It also lets through backslashes: the result is for people, and a program cannot turn it back into s.
// If nothing needs an escape, it returns s itself and allocates nothing.
func Terminal(s string) string {
	at := 0
	for at < len(s) {
		r, n := utf8.DecodeRuneInString(s[at:])
		if !harmless(r, n) {
			break
		}
		at += n
	}
	if at == len(s) {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:at])
	for at < len(s) {
		r, n := utf8.DecodeRuneInString(s[at:])
		switch {
		case harmless(r, n):
			b.WriteString(s[at : at+n])
		case r == utf8.RuneError:
			fmt.Fprintf(&b, `\x%02x`, s[at])
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		at += n
	}
	return b.String()
}

// harmless reports whether a rune of n bytes is valid UTF-8 and stands for itself on a screen.
func harmless(r rune, n int) bool {
	return unicode.IsPrint(r) && (r != utf8.RuneError || n > 1)
}

// Markdown writes s for a table cell or for running text of GitHub-flavoured Markdown: what Terminal escapes is escaped
// the same way, and what would become formatting, HTML, a link, a formula or a cell's end gets a backslash. An @
// becomes \x40, because GitHub makes links of addresses and mentions even behind a backslash.
//
// It lets through what means something only at the beginning of a line (#, -, +, 1.), so s must not begin one.
// Some other renderers make a link of every name that ends in a known top-level domain; Markdown cannot prevent that.
func Markdown(s string) string {
	s = strings.ReplaceAll(Terminal(s), "@", `\x40`)
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case strings.IndexByte("|`*_<>[]\\&~$", c) >= 0,
			c == '.' && i > 0 && s[i-1]|0x20 == 'w', // www. begins a link
			c == ':' && strings.HasPrefix(s[i:], "://"):
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
