package lists

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/internal/asutf8"
)

// Entry is an entry of a list as a text: "example.com", or "*.example.com" for a name and all below it.
type Entry struct {
	Pattern   string
	Exception bool // of a block list: it allows
}

// Left is a line, or a name of it, that is no entry.
type Left struct {
	Line   int64
	Text   string // its beginning
	Reason string
}

// Listed is what a text lists.
type Listed struct {
	Format  string // "hosts", "domains", "adblock" or "rpz"; "" for a text of comments alone
	Entries []Entry
	// Left are the first lines that are no entries, at most mostLeft; Skipped counts all by reason.
	Left    []Left
	Skipped map[string]int
}

const mostLeft = 100

// ErrTooMany is the error of a text with more entries than ReadEntries may return.
var ErrTooMany = errors.New("it has too many entries")

// onlyBelow is why an adblock rule about names below a domain is no Entry.
const onlyBelow = "names below a domain, without the domain"

// ReadEntries reads a text in any syntax of lists, for somebody who keeps the entries by themselves. A Set keeps hashes
// instead, of many more entries. block says that the list blocks: then addresses in a hosts file have to lead nowhere.
// With more than most entries, the error wraps ErrTooMany.
func ReadEntries(in io.Reader, isBlock bool, most int) (*Listed, error) {
	l := &Listed{}
	o := options{kind: allow, left: func(number int64, line []byte, reason string) {
		if len(l.Left) < mostLeft {
			l.Left = append(l.Left, Left{number, string(line[:min(len(line), 200)]), reason})
		}
	}}
	if isBlock {
		o.kind = block
	}
	n := 0
	o.entry = func(name string, scope detect.Scope, exception bool) string {
		name = strings.Clone(name) // the parser's text may be a view of its buffer
		switch n++; {
		case scope == detect.Below:
			return onlyBelow
		case n > most: // which is an error in the end
			return ""
		case scope == detect.Subtree:
			name = "*." + name
		}
		l.Entries = append(l.Entries, Entry{name, exception})
		return ""
	}
	in, err := asutf8.Reader(in)
	var c *content
	if err == nil {
		c, err = parse(in, o)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w%s", err, hint(err))
	case n > most:
		return nil, fmt.Errorf("%w: %d, of which there may be %d", ErrTooMany, n, most)
	}
	l.Format, l.Skipped = c.format, c.skipped
	return l, nil
}
