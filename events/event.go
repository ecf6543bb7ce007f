// Package events reads who asked for which DNS name, and what came back, from captures and logs. [Open] recognises a
// file's format and gives its events one by one; [Join] makes one event of a query and its response.
//
// A format is one file that registers itself, in events/capture or events/logs. Import events/all to have them all.
package events

import (
	"net/netip"
	"strings"
	"time"
)

// Event is one question about a name: asked, answered, or both. Its memory belongs to the [Reader] that filled it in,
// and is valid until the next call of Next.
type Event struct {
	// Time is when the question or its answer was seen; the zero value means that the source does not say.
	Time time.Time
	// Name is the name as it was asked, byte by byte: labels joined by dots, without the final dot. A dot or a backslash
	// inside a label has a backslash before it; every other byte, also of control, is itself. The root is ".".
	Name []byte
	// Client asked; Server was asked.
	Client, Server Peer
	// Type is the type that was asked for, 0 where the source does not say.
	Type Type
	// RCode is the answer's, or NoRCode.
	RCode RCode
	// ID is the message's, 0 where the source does not say.
	ID uint16
	// Kind says whether this is a query, a response, or a query with its response.
	Kind Kind
	// Transport carried it.
	Transport Transport
	// Size is the length of the answer's message in bytes, or of the query's where there is no answer; 0 if unknown.
	Size int
	// Line is the number of the line, packet, row or frame, from 1.
	Line int64
	// Columns are what a log says besides, in its order, if Options.Columns asks for them.
	Columns []Column
}

// Reset makes e an event of which nothing is known. It keeps the memory of Columns.
func (e *Event) Reset() { *e = Event{RCode: NoRCode, Columns: e.Columns[:0]} }

// AppendLower appends a name in lower case to dst: names that differ in case alone are one name.
func AppendLower(dst, name []byte) []byte {
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// AppendEscaped appends a name as RFC 1035 writes it in ASCII: white space, bytes of control and bytes above ASCII are
// \DDD.
func AppendEscaped(dst, name []byte) []byte {
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// Peer is one end of an exchange. Sources name it by address, by a text such as a device's name, or not at all.
type Peer struct {
	Addr netip.Addr
	Port uint16
	Name string
}

// String is the address, else the name, else "".
func (p Peer) String() string {
	if p.Addr.IsValid() {
		return p.Addr.String()
	}
	return p.Name
}

// Column is a column of a log that degas does not interpret.
type Column struct{ Name, Value string }

// Kind says which messages an event stands for.
type Kind uint8

// Kinds of events.
const (
	Query Kind = iota
	Response
	Both // a query and its response
)

var kindNames = [...]string{"query", "response", "both"}

// String is the kind's name in event logs.
func (k Kind) String() string { return kindNames[min(int(k), len(kindNames)-1)] }

// Transport is what carried a message.
type Transport uint8

// Transports. UnknownTransport is that of a log that does not say.
const (
	UnknownTransport Transport = iota
	UDP
	TCP
	TLS
	HTTPS
	QUIC
)

var transportNames = [...]string{"", "udp", "tcp", "tls", "https", "quic"}

// String is the transport's name in event logs, "" if unknown.
func (t Transport) String() string { return transportNames[min(int(t), len(transportNames)-1)] }

// ParseTransport reads a transport's name in any case: udp, tcp, tls or dot, https or doh, quic or doq. Others are
// UnknownTransport.
func ParseTransport(s string) Transport {
	switch strings.ToLower(s) {
	case "udp":
		return UDP
	case "tcp":
		return TCP
	case "tls", "dot":
		return TLS
	case "https", "doh":
		return HTTPS
	case "quic", "doq":
		return QUIC
	}
	return UnknownTransport
}
