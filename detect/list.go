package detect

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/degas-dns/degas/internal/asutf8"
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/model/dnsname"
)

// List is a set of names and of suffixes. It never changes. A nil List is empty.
type List struct{ entries map[string]listed }

// listed is an entry.
type listed struct {
	text   string // as it was given
	suffix bool   // the name and all below it
}

// NewList makes a List of entries: a name, or "*.example.com" (".example.com" is the same) for a name and all below it.
// Names may be written as dnsname.Normalize reads them. The error says which entry is no name.
func NewList(entries []string) (*List, error) {
	l := &List{make(map[string]listed, len(entries))}
	for i, text := range entries {
		if err := l.add(text); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
	}
	return l, nil
}

func (l *List) add(text string) error {
	rest := strings.TrimPrefix(text, "*")
	name, suffix := strings.CutPrefix(rest, ".")
	if !suffix && rest != text {
		return fmt.Errorf("%q: a '*' must stand for whole labels. Try: *.example.com", text)
	}
	name, err := dnsname.Normalize(name)
	if err != nil {
		return fmt.Errorf("%q is no name: %w", text, err)
	}
	if !l.entries[name].suffix {
		l.entries[name] = listed{text, suffix}
	}
	return nil
}

// Len is the number of different names in l.
func (l *List) Len() int { return len(l.entries) }

// Find finds the entry for a folded name: its own, else the longest suffix. It allocates nothing.
func (l *List) Find(name string) (entry string, ok bool) {
	if l == nil || len(l.entries) == 0 {
		return "", false
	}
	if e, ok := l.entries[name]; ok {
		return e.text, true
	}
	for i := range len(name) {
		if name[i] == '.' {
			if e, ok := l.entries[name[i+1:]]; ok && e.suffix {
				return e.text, true
			}
		}
	}
	return "", false
}

// ReadList reads the entries of a small text file, one a line, also in UTF-16. Empty lines and what follows a '#' are
// left out. path is for the error, which names the line of an entry that is no name.
func ReadList(in io.Reader, path string) (entries []string, err error) {
	probe := &List{map[string]listed{}}
	text, err := asutf8.Reader(in)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	r := lines.NewReader(text)
	for {
		line, long, err := r.Next()
		switch {
		case err == io.EOF:
			return entries, nil
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", path, err)
		case long:
			return nil, fmt.Errorf("%s, line %d: longer than %d bytes. Try: one name a line", path, r.Line(), lines.MaxLine)
		}
		line, _, _ = bytes.Cut(line, []byte{'#'})
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := probe.add(string(line)); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, r.Line(), err)
		}
		entries = append(entries, string(line))
	}
}
