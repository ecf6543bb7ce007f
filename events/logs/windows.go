package logs

import (
	"bytes"
	"time"

	"github.com/degas-dns/degas/events"
)

func init() {
	registerText(textFormat{
		name: "windows-dns", title: "the debug log of Windows' DNS server", parser: newWindows, most: 95,
		missing: `lines "DATE TIME THREAD PACKET … (3)www(7)example(3)com(0)"`,
	})
}

// windows reads the debug log of Windows' DNS server. Dates are in the form of the server's language, and text of free
// form stands before and, with details, between the lines.
type windows struct{ reading }

func newWindows(_ events.Options, clock func() time.Time) events.LineParser {
	w := &windows{newReading(clock)}
	return w.parse
}

func (w *windows) parse(line []byte, out []events.Event) ([]events.Event, error) {
	i := bytes.Index(line, []byte(" PACKET "))
	if i < 0 {
		return out, windowsOther(line)
	}
	carrier, text := word(line[i+len(" PACKET "):])
	if len(carrier) > 3 { // the address of the packet, which Windows 2003 has not
		carrier, text = word(text)
	}
	direction, text := word(text)
	remote, text := word(text)
	id, text := word(text)
	kind, text := word(text)
	answer := string(kind) == "R"
	if answer {
		kind, text = word(text)
	}
	_, text, _ = bytes.Cut(text, []byte{'['})
	flags, text, ok := bytes.Cut(text, []byte{']'})
	sent := string(direction) == "Snd"
	switch {
	case !ok || !sent && string(direction) != "Rcv":
		return out, notOurs
	case string(kind) != "Q":
		return out, noQuery // a notification or an update
	case answer != sent:
		return out, ownQuery
	}
	qtype, text := word(text)
	qname := bytes.TrimSpace(text)
	w.buf, ok = countedName(w.buf[:0], qname)
	if !ok {
		return out, noName
	}
	out, e, err := named(out, w.buf)
	if err != nil {
		return out, err
	}
	e.Client, e.Type, e.Transport = peer(remote), typeOf(qtype), transportOf(carrier)
	e.Time, _ = w.stamp(line[:i])
	e.ID = hexID(id)
	if sent {
		e.Kind, e.RCode = events.Response, rcodeOf(flags[bytes.LastIndexByte(flags, ' ')+1:])
	}
	return out, nil
}

// windowsOther is the reason for a line without a packet.
func windowsOther(line []byte) error {
	for _, c := range line {
		if c < ' ' && c != '\t' {
			return notOurs
		}
	}
	return noQuery
}

// hexID reads a message's number of hexadecimal digits, 0 if it is none.
func hexID(text []byte) uint16 {
	v := 0
	for _, c := range text[:min(len(text), 4)] {
		d := hexDigit(c)
		if d < 0 {
			return 0
		}
		v = v<<4 | d
	}
	return uint16(v)
}
