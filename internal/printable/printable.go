// Package printable writes texts of strangers (names, labels, file names) so that they cannot act on whoever reads
// them. There is one function for each kind of output: [Fprintf] for a terminal, [JSON] for programs,
// [MarkdownTemplate] and [HTMLTemplate] for pages.
package printable

import (
	"fmt"
	"io"
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

// Fprintf is fmt.Fprintf for what a person reads. What args print goes through Terminal, so that every line end and
// every tab of the output is one of format. It changes args.
func Fprintf(w io.Writer, format string, args ...any) (int, error) {
	for i, a := range args {
		switch a := a.(type) {
		case string:
			args[i] = Terminal(a)
		case bool, int, int64, uint64, float32, float64: // they print nothing strange
		default:
			args[i] = printed{a}
		}
	}
	return fmt.Fprintf(w, format, args...)
}

// printed is a value that prints as v does, but escaped.
type printed struct{ v any }

// Format implements fmt.Formatter.
func (p printed) Format(f fmt.State, verb rune) {
	io.WriteString(f, Terminal(fmt.Sprintf(fmt.FormatString(f, verb), p.v)))
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

// Cell is a text for a cell of CSV, without the quoting. It is Terminal of s, with a quotation mark before what a
// spreadsheet would take for a formula.
func Cell(s string) string {
	s = Terminal(s)
	if s != "" && strings.IndexByte(formulas, s[0]) >= 0 {
		return "'" + s
	}
	return s
}

// formulas are the characters that begin a formula.
const formulas = "=+-@"

// Uncell takes off the quotation mark that Cell puts before a formula. What Terminal escaped stays escaped.
func Uncell(s string) string {
	if len(s) > 1 && s[0] == '\'' && strings.IndexByte(formulas, s[1]) >= 0 {
		return s[1:]
	}
	return s
}

// Cut is Terminal of s with at most n characters. It escapes first, because bytes that are no UTF-8 would not survive
// the cut.
func Cut(s string, n int) string {
	s = Terminal(s)
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// Grouped writes a count with thousands separated: 1,234,567.
func Grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
