package logs

import (
	"bytes"
	"time"

	"github.com/degas-dns/degas/events"
)

func init() {
	registerText(textFormat{
		name: "dnsmasq", title: "dnsmasq with log-queries, Pi-hole's pihole.log", parser: newDnsmasq, alone: true, most: 90,
		tag: "dnsmasq[", missing: `lines "dnsmasq[PID]: query[TYPE] NAME from ADDRESS"`,
	})
}

// dnsmasq reads what dnsmasq writes. Names may hold blanks, so a keyword counts only where one belongs.
type dnsmasq struct{ reading }

func newDnsmasq(_ events.Options, clock func() time.Time) events.LineParser {
	d := &dnsmasq{newReading(clock)}
	return d.parse
}

// unprintable stands for a name with bytes of control or beyond ASCII.
const unprintable = "<name unprintable>"

func (d *dnsmasq) parse(line []byte, out []events.Event) ([]events.Event, error) {
	end := bytes.Index(line, []byte(": "))
	tag := bytes.LastIndex(line[:max(end, 0)], []byte("dnsmasq"))
	switch {
	case tag < 0 || bytes.IndexByte(line[tag:end], ' ') >= 0:
		return out, notOurs
	case line[tag+len("dnsmasq")] == '-':
		return out, noQuery // dnsmasq-dhcp
	}
	client, text := serial(line[end+2:])
	key, rest := word(text)
	var e *events.Event
	var err error
	switch {
	case bytes.HasPrefix(key, []byte("query[")), bytes.HasPrefix(key, []byte("auth[")):
		out, e, err = d.query(out, key[bytes.IndexByte(key, '[')+1:], rest)
	case string(key) == "reply", string(key) == "cached", string(key) == "config", string(key) == "cached-stale":
		out, e, err = d.reply(out, rest)
	case string(key) == "forwarded", string(key) == "gravity", string(key) == "exactly", string(key) == "regex":
		err = repeated
	default:
		err = noQuery
	}
	if err != nil {
		return out, err
	}
	if e.Client.Addr.IsValid() {
		client.Addr, client.Name = e.Client.Addr, e.Client.Name
	}
	e.Client = client
	e.Time, _ = d.stamp(line[:tag])
	return out, nil
}

// serial reads the "17 192.0.2.7/53124 " that log-queries=extra puts before a message.
func serial(text []byte) (client events.Peer, rest []byte) {
	_, n := number(text, 19)
	if n == 0 || n >= len(text) || text[n] != ' ' {
		return client, text
	}
	from, rest := word(text[n+1:])
	client, ok := address(from)
	if !ok {
		return client, text
	}
	return client, rest
}

// query reads "NAME from ADDRESS" after "query[" and "TYPE]".
func (d *dnsmasq) query(out []events.Event, qtype, text []byte) ([]events.Event, *events.Event, error) {
	i := bytes.LastIndex(text, []byte(" from "))
	n := len(qtype) - 1
	if i < 0 || n < 0 || qtype[n] != ']' {
		return out, nil, notOurs
	}
	from, ok := address(bytes.TrimSpace(text[i+len(" from "):]))
	if !ok {
		return out, nil, notOurs
	}
	if string(text[:i]) == unprintable {
		return out, nil, hiddenName
	}
	out, e, err := d.raw(out, text[:i])
	if err != nil {
		return out, nil, err
	}
	e.Client, e.Type = from, typeOf(bytes.TrimPrefix(qtype[:n], []byte("type=")))
	return out, e, nil
}

// reply reads "NAME is NXDOMAIN", which has "-IPv4" or "-IPv6" at its end in old versions. Other replies repeat the
// name once for each record.
func (d *dnsmasq) reply(out []events.Event, text []byte) ([]events.Event, *events.Event, error) {
	qtype := events.NoType
	qname, ok := bytes.CutSuffix(text, []byte(" is NXDOMAIN"))
	if !ok {
		if qname, ok = bytes.CutSuffix(text, []byte(" is NXDOMAIN-IPv4")); ok {
			qtype = 1
		} else if qname, ok = bytes.CutSuffix(text, []byte(" is NXDOMAIN-IPv6")); ok {
			qtype = 28
		}
	}
	if !ok || string(qname) == unprintable {
		return out, nil, repeated
	}
	out, e, err := d.raw(out, qname)
	if err != nil {
		return out, nil, err
	}
	e.Kind, e.RCode, e.Type = events.Response, events.NXDomain, qtype
	return out, e, nil
}
