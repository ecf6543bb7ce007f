package logs

import (
	"bytes"
	"time"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/lines"
)

func init() {
	registerText(textFormat{
		name: "list", title: "a list of names, one a line", parser: newList, alone: true, sniff: sniffList,
		missing: "lines of one name each",
	})
}

// list reads one name a line. Quotes around it, a URL's scheme and path, and a port are no part of the name.
type list struct{ reading }

func newList(_ events.Options, clock func() time.Time) events.LineParser {
	l := &list{newReading(clock)}
	return l.parse
}

func (l *list) parse(line []byte, out []events.Event) ([]events.Event, error) {
	text := bytes.TrimSpace(line)
	if n := len(text) - 1; n > 0 && text[0] == '"' && text[n] == '"' {
		text = text[1:n]
	}
	switch {
	case len(text) == 0:
		return out, events.Skip("empty line")
	case text[0] == '#':
		return out, events.Skip("comment")
	case bytes.IndexFunc(text, notInLists) >= 0:
		return out, notOurs
	case bytes.Contains(text, []byte("://")) || bytes.IndexByte(text, ':') > 0:
		if text = urlHost(text); text == nil {
			return out, isAddress
		}
	default:
		if _, ok := address(text); ok {
			return out, isAddress
		}
	}
	out, _, err := l.event(out, text)
	return out, err
}

// notInLists reports what makes a line more than a name.
func notInLists(c rune) bool {
	return c <= ' ' || c == 0x7f || c == ',' || c == ';' || c == '"' || c == '{' || c == '<' || c == '|' || c == '('
}

// sniffList wants names with a dot whose last label is no number. Its scores are the lowest that find anything.
func sniffList(head []byte) int {
	parse := newList(events.Options{}, time.Now)
	good, bad := 0, 0
	for _, line := range lines.Head(head, 50) {
		out, err := parse(line, nil)
		if _, skipped := err.(events.Skip); skipped {
			continue
		}
		if err != nil {
			bad++
			continue
		}
		dot := bytes.LastIndexByte(out[0].Name, '.')
		if zone := out[0].Name[dot+1:]; dot > 0 && len(zone) > 1 && !isDigit(zone[0]) && !isDigit(zone[len(zone)-1]) {
			good++
		} else {
			bad++
		}
	}
	if good == 0 || good < bad {
		return 0
	}
	return max(1, 5*good/(good+bad))
}
