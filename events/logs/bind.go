package logs

import (
	"bytes"
	"time"

	"github.com/degas-dns/degas/events"
)

func init() {
	registerText(textFormat{
		name: "bind", title: "BIND 9: categories queries and query-errors", parser: newBind, alone: true, most: 90,
		missing: `lines "client ADDRESS#PORT …: query: NAME CLASS TYPE"`,
	})
	registerText(textFormat{
		name: "infoblox", title: "Infoblox NIOS: DNS responses, and queries as BIND's", parser: newBind, alone: true,
		sniff: func(head []byte) int {
			if !bytes.Contains(head, []byte(" response: ")) {
				return 0 // or is BIND's
			}
			return sniffText(head, newBind(events.Options{}, time.Now), 95)
		},
		missing: `lines "client ADDRESS#PORT: UDP: query: NAME CLASS TYPE response: RCODE"`,
	})
}

// bind reads the lines of BIND 9 and of Infoblox, which is made of BIND. Words around the anchors "client ", "#" and
// ": query: " come and go with every version, so nothing else is asked of a line. Names hold no blanks: BIND writes
// "\032".
type bind struct{ reading }

func newBind(_ events.Options, clock func() time.Time) events.LineParser {
	b := &bind{newReading(clock)}
	return b.parse
}

var (
	bindQuery  = []byte(": query: ")
	bindFailed = []byte(": query failed (")
	bindClient = []byte("client ")
)

func (b *bind) parse(line []byte, out []events.Event) ([]events.Event, error) {
	anchor, failed := bytes.Index(line, bindQuery), false
	if anchor < 0 {
		anchor = bytes.Index(line, bindFailed)
		failed = anchor >= 0
	}
	client := -1
	if anchor >= 0 {
		client = bytes.LastIndex(line[:anchor], bindClient)
	}
	if client < 0 {
		return out, b.other(line)
	}
	from, ok := bindPeer(line[client+len(bindClient) : anchor])
	if !ok {
		return out, notOurs
	}
	var e *events.Event
	var err error
	if failed {
		out, e, err = b.failure(out, line[anchor+len(bindFailed):])
	} else {
		out, e, err = b.query(out, line[anchor+len(bindQuery):])
	}
	if err != nil {
		return out, err
	}
	e.Client = from
	e.Time = b.time(line[:client])
	if e.Transport == events.UnknownTransport && anchor >= 5 { // Infoblox has it before the anchor
		e.Transport = transportOf(bytes.TrimLeft(line[anchor-4:anchor], ": "))
	}
	return out, nil
}

// other is the reason for a line without a query.
func (b *bind) other(line []byte) error {
	if at, _ := b.stamp(line); at.IsZero() && !bytes.Contains(line, bindClient) {
		return notOurs
	}
	return noQuery
}

// bindPeer reads "@0x7f00c0de0010 192.0.2.7#53124 (www.example)" and older forms.
func bindPeer(text []byte) (p events.Peer, ok bool) {
	if len(text) > 0 && text[0] == '@' {
		_, text = word(text)
	}
	i := bytes.IndexByte(text, '#')
	if i < 0 {
		return p, false
	}
	p, ok = address(text[:i])
	port, _ := number(text[i+1:], 5)
	p.Port = uint16(port)
	return p, ok
}

// query reads "NAME CLASS TYPE FLAGS (SERVER)", and Infoblox' "NAME CLASS TYPE response: RCODE FLAGS RECORDS".
func (b *bind) query(out []events.Event, text []byte) ([]events.Event, *events.Event, error) {
	qname, text := word(text)
	class, text := word(text)
	if !isClass(class) {
		return out, nil, notOurs
	}
	qtype, text := word(text)
	out, e, err := b.event(out, qname)
	if err != nil {
		return out, nil, err
	}
	e.Type = typeOf(qtype)
	next, text := word(text)
	if string(next) == "response:" {
		next, _ = word(text)
		e.Kind, e.RCode = events.Response, rcodeOf(next)
		return out, e, nil
	}
	if len(next) > 0 && (next[0] == '+' || next[0] == '-') {
		if e.Transport = events.UDP; bytes.IndexByte(next, 'T') > 0 {
			e.Transport = events.TCP
		}
		next, _ = word(text)
	}
	if n := len(next) - 1; n > 0 && next[0] == '(' && next[n] == ')' {
		e.Server, _ = address(next[1:n])
	}
	return out, e, nil
}

// failure reads "SERVFAIL) for NAME/CLASS/TYPE at query.c:1234". A name may hold a "/".
func (b *bind) failure(out []events.Event, text []byte) ([]events.Event, *events.Event, error) {
	rcode, text, _ := bytes.Cut(text, []byte(") for "))
	text, _ = word(text)
	i := bytes.LastIndexByte(text, '/')
	j := bytes.LastIndexByte(text[:max(i, 0)], '/')
	if j < 0 || !isClass(text[j+1:i]) {
		return out, nil, noQuestion
	}
	out, e, err := b.event(out, text[:j])
	if err != nil {
		return out, nil, err
	}
	e.Kind, e.RCode, e.Type = events.Response, rcodeOf(rcode), typeOf(text[i+1:])
	return out, e, nil
}

// time reads the time before a line's "client ". BIND's own, with a year, may follow a syslog's: the last one counts.
func (b *bind) time(text []byte) time.Time {
	at, text := b.stamp(text)
	for {
		i := bytes.Index(text, []byte(": "))
		if i < 0 {
			return at
		}
		if text = text[i+2:]; len(text) > 0 && isDigit(text[0]) {
			if inner, _, ok := b.cut(text); ok {
				return inner
			}
		}
	}
}
