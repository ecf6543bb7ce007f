package logs

import (
	"bytes"
	"time"

	"github.com/degas-dns/degas/events"
)

func init() {
	registerText(textFormat{
		name: "unbound", title: "Unbound with log-queries or log-replies", parser: newUnbound, alone: true, most: 90,
		tag: "unbound[", missing: `lines "info: ADDRESS NAME. TYPE CLASS", or reply: or query: for info:`,
	})
}

// unbound reads Unbound's lines about queries and replies. Its statistics look alike: only a line that starts with an
// address and has a type and a class is a query.
type unbound struct{ reading }

func newUnbound(_ events.Options, clock func() time.Time) events.LineParser {
	u := &unbound{newReading(clock)}
	return u.parse
}

var unboundWords = [][]byte{[]byte("info: "), []byte("reply: "), []byte("query: ")}

func (u *unbound) parse(line []byte, out []events.Event) ([]events.Event, error) {
	anchor, text := -1, []byte(nil)
	for _, key := range unboundWords {
		if i := bytes.Index(line, key); i > 0 && (anchor < 0 || i < anchor) && line[i-1] == ' ' {
			anchor, text = i, line[i+len(key):]
		}
	}
	if anchor < 0 {
		return out, u.other(line)
	}
	from, text := word(text)
	client, ok := address(from)
	if !ok {
		return out, u.other(line)
	}
	qname, text := word(text)
	qtype, text := word(text)
	class, text := word(text)
	switch {
	case string(qname) == "-":
		return out, noQuestion
	case !isClass(class):
		return out, u.other(line)
	case len(qname) == 1 && (qname[0] == '&' || qname[0] == '#'):
		return out, hiddenName
	case len(qname) == 0 || qname[len(qname)-1] != '.':
		return out, notOurs
	}
	out, e, err := u.raw(out, qname)
	if err != nil {
		return out, err
	}
	e.Client, e.Type, e.Time = client, typeOf(qtype), u.time(line[:anchor])
	if rcode, text := word(text); len(rcode) > 0 {
		unboundReply(e, rcode, text)
	}
	return out, nil
}

// unboundReply reads "RCODE SECONDS CACHED SIZE on udp ADDRESS PORT", of which the last four words may be missing.
func unboundReply(e *events.Event, rcode, text []byte) {
	e.Kind, e.RCode = events.Response, rcodeOf(rcode)
	_, text = word(text)
	_, text = word(text)
	size, text := word(text)
	e.Size = sizeOf(size)
	if on, text := word(text); string(on) == "on" {
		carrier, text := word(text)
		server, text := word(text)
		port, _ := word(text)
		e.Transport = transportOf(carrier)
		e.Server, _ = address(server)
		e.Server.Port = portOf(port)
	}
}

// other is the reason for a line without a query.
func (u *unbound) other(line []byte) error {
	if bytes.Contains(line, []byte("unbound")) {
		return noQuery
	}
	return notOurs
}

// time reads the time at the start of a line, which may be in brackets.
func (u *unbound) time(text []byte) time.Time {
	if len(text) > 0 && text[0] == '[' {
		text = text[1:]
	}
	at, _ := u.stamp(text)
	return at
}
