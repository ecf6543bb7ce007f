package logs

import (
	"bytes"
	"time"

	"github.com/degas-dns/degas/events"
)

func init() {
	registerText(textFormat{
		name: "coredns", title: "CoreDNS' plugin log, {common} or {combined}", parser: newCoreDNS, alone: true, most: 90,
		missing: `lines 'ADDRESS:PORT - ID "TYPE CLASS NAME PROTOCOL …" RCODE …'`,
	})
}

// coreDNS reads the two ready formats of CoreDNS' plugin log. A container runtime may have put a time before a line.
type coreDNS struct{ reading }

func newCoreDNS(_ events.Options, clock func() time.Time) events.LineParser {
	c := &coreDNS{newReading(clock)}
	return c.parse
}

var dash = []byte(" - ")

func (c *coreDNS) parse(line []byte, out []events.Event) ([]events.Event, error) {
	i := bytes.Index(line, dash)
	if i < 0 {
		return out, c.other(line)
	}
	id, n := number(line[i+len(dash):], 5)
	text, ok := bytes.CutPrefix(line[i+len(dash)+n:], []byte(` "`))
	client, isAddress := address(line[bytes.LastIndexByte(line[:i], ' ')+1 : i])
	if n == 0 || !ok || !isAddress {
		return out, c.other(line)
	}
	qtype, text := word(text)
	class, text := word(text)
	qname, text := escapedWord(text)
	carrier, text := word(text)
	_, text, ok = bytes.Cut(text, []byte(`" `)) // size, DO, buffer size
	if !ok || !isClass(class) {
		return out, notOurs
	}
	out, e, err := c.event(out, qname)
	if err != nil {
		return out, err
	}
	e.Client, e.Type, e.ID, e.Transport = client, typeOf(qtype), uint16(id), transportOf(carrier)
	e.Time, _ = c.stamp(line[:i])
	rcode, text := word(text)
	_, text = word(text) // flags
	size, _ := word(text)
	if e.RCode = rcodeOf(rcode); e.RCode != events.NoRCode {
		e.Kind, e.Size = events.Both, sizeOf(size)
	}
	return out, nil
}

// other is the reason for a line without a query: what other plugins say, or what CoreDNS says when it starts.
func (c *coreDNS) other(line []byte) error {
	if at, rest := c.stamp(line); !at.IsZero() {
		line = bytes.TrimLeft(rest, " ")
	}
	for _, start := range []string{"[", ".", "CoreDNS-", "linux/", "plugin/", "stdout ", "stderr "} {
		if bytes.HasPrefix(line, []byte(start)) {
			return noQuery
		}
	}
	if i := bytes.LastIndexByte(line, ':'); i > 0 && i < len(line)-1 { // a zone: example.org.:53
		if _, n := number(line[i+1:], 5); i+1+n == len(line) && bytes.IndexByte(line, ' ') < 0 {
			return noQuery
		}
	}
	return notOurs
}
