package main

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// head is a header with the counts of the four sections.
func head(counts ...uint16) []byte {
	raw := []byte{0, 0, 1, 0}
	for _, n := range counts {
		raw = binary.BigEndian.AppendUint16(raw, n)
	}
	return raw
}

// label is a label of n letters.
func label(n int) []byte { return append([]byte{byte(n)}, strings.Repeat("a", n)...) }

// question is a question for a name in wire form.
func question(name ...byte) []byte { return append(slices.Clone(name), 0, 1, 0, 1) }

// opt is an OPT whose length of data is what it says, not what follows.
func opt(length int, data ...byte) []byte {
	raw := []byte{0, 0, 41, 4, 208, 0, 0, 0, 0}
	return append(binary.BigEndian.AppendUint16(raw, uint16(length)), data...)
}

// option is an option of EDNS whose length is what it says.
func option(code, length int, data ...byte) []byte {
	raw := binary.BigEndian.AppendUint16(nil, uint16(code))
	return append(binary.BigEndian.AppendUint16(raw, uint16(length)), data...)
}

// exampleWire is "a.example." in wire form.
var exampleWire = []byte("\x01a\x07example\x00")

// withOption is a query with an OPT that has one option.
func withOption(code, length int, data ...byte) []byte {
	o := option(code, length, data...)
	return slices.Concat(head(1, 0, 0, 1), question(exampleWire...), opt(len(o), o...))
}

// broken are messages that break RFC 1035, 6891, or the RFC of an option. Rcodes are what CoreDNS answers: FORMERR, or
// NOERROR where its library is generous and the question is clear all the same. RFC 6891 (6.1.1) asks for FORMERR to
// two OPTs; the library takes the last one.
var broken = []struct {
	name  string
	raw   []byte
	rcode int
}{
	// Counts that lie.
	{"no question", head(0, 0, 0, 0), dns.RcodeFormatError},
	{"two questions, one there", slices.Concat(head(2, 0, 0, 0), question(exampleWire...)), dns.RcodeFormatError},
	{"65,535 questions", slices.Concat(head(65535, 0, 0, 0), question(exampleWire...)), dns.RcodeFormatError},
	{"two questions", slices.Concat(head(2, 0, 0, 0), question(exampleWire...), question(exampleWire...)),
		dns.RcodeFormatError},
	{"65,535 answers", slices.Concat(head(1, 65535, 0, 0), question(exampleWire...)), dns.RcodeFormatError},
	{"65,535 of the authority", slices.Concat(head(1, 0, 65535, 0), question(exampleWire...)), dns.RcodeFormatError},
	{"65,535 additional", slices.Concat(head(1, 0, 0, 65535), question(exampleWire...)), dns.RcodeFormatError},
	{"all counts 65,535", head(65535, 65535, 65535, 65535), dns.RcodeFormatError},
	{"an answer that is not there", slices.Concat(head(1, 1, 0, 0), question(exampleWire...)), dns.RcodeSuccess},
	{"an OPT that is not there", slices.Concat(head(1, 0, 0, 1), question(exampleWire...)), dns.RcodeSuccess},
	{"an OPT of two that is not there", slices.Concat(head(1, 0, 0, 2), question(exampleWire...), opt(0)),
		dns.RcodeSuccess},
	{"an OPT that is not counted", slices.Concat(head(1, 0, 0, 0), question(exampleWire...), opt(0)), dns.RcodeSuccess},
	{"OPT in the answer", slices.Concat(head(1, 1, 0, 0), question(exampleWire...), opt(0)), dns.RcodeSuccess},
	{"OPT in the authority", slices.Concat(head(1, 0, 1, 0), question(exampleWire...), opt(0)), dns.RcodeSuccess},
	{"three additional", slices.Concat(head(1, 0, 0, 3), question(exampleWire...), opt(0), opt(0), opt(0)),
		dns.RcodeFormatError},

	// Names.
	{"no name", head(1, 0, 0, 0), dns.RcodeServerFailure},
	{"a name without an end", slices.Concat(head(1, 0, 0, 0), label(5)), dns.RcodeFormatError},
	{"a label beyond the end", append(head(1, 0, 0, 0), 63, 'a'), dns.RcodeFormatError},
	{"no type", slices.Concat(head(1, 0, 0, 0), exampleWire), dns.RcodeRefused},
	{"half a type", slices.Concat(head(1, 0, 0, 0), exampleWire, []byte{0}), dns.RcodeFormatError},
	{"no class", slices.Concat(head(1, 0, 0, 0), exampleWire, []byte{0, 1}), dns.RcodeRefused},
	{"half a class", slices.Concat(head(1, 0, 0, 0), exampleWire, []byte{0, 1, 0}), dns.RcodeFormatError},
	{"a label of 64", slices.Concat(head(1, 0, 0, 0), question(append(label(64), 0)...)), dns.RcodeFormatError},
	{"a label of 127", slices.Concat(head(1, 0, 0, 0), question(append(label(127), 0)...)), dns.RcodeFormatError},
	{"an extended label", slices.Concat(head(1, 0, 0, 0), question(0x41, 4, 1, 2, 3, 4, 0)), dns.RcodeFormatError},
	{"a name of 256", slices.Concat(head(1, 0, 0, 0), question(slices.Concat(label(63), label(63), label(63),
		label(62), []byte{0})...)), dns.RcodeFormatError},
	{"a name of 400", slices.Concat(head(1, 0, 0, 0), question(slices.Concat(label(63), label(63), label(63),
		label(63), label(63), label(63), []byte{0})...)), dns.RcodeFormatError},
	{"a pointer to itself", slices.Concat(head(1, 0, 0, 0), question(0xc0, 12)), dns.RcodeFormatError},
	{"two pointers to each other", slices.Concat(head(1, 0, 0, 0), question(0xc0, 14, 0xc0, 12)), dns.RcodeFormatError},
	{"a label and a pointer to it", slices.Concat(head(1, 0, 0, 0), question(1, 'a', 0xc0, 12)), dns.RcodeFormatError},
	{"a pointer forward", slices.Concat(head(1, 0, 0, 0), question(0xc0, 18), exampleWire), dns.RcodeSuccess},
	{"a pointer beyond the end", slices.Concat(head(1, 0, 0, 0), question(0xff, 0xff)), dns.RcodeFormatError},
	{"half a pointer", append(head(1, 0, 0, 0), 0xc0), dns.RcodeFormatError},
	{"a pointer into the header", slices.Concat(head(1, 0, 0, 0), question(0xc0, 0)), dns.RcodeSuccess},
	{"an OPT owned by a loop", slices.Concat(head(1, 0, 0, 1), question(exampleWire...), []byte{0xc0, 27}, opt(0)[1:]),
		dns.RcodeFormatError},

	// OPT.
	{"two OPTs", slices.Concat(head(1, 0, 0, 2), question(exampleWire...), opt(0), opt(0)), dns.RcodeSuccess},
	{"an OPT with an owner", slices.Concat(head(1, 0, 0, 1), question(exampleWire...), []byte("\x01b"), opt(0)),
		dns.RcodeSuccess},
	{"an OPT owned by a pointer", slices.Concat(head(1, 0, 0, 1), question(exampleWire...), []byte{0xc0, 12},
		opt(0)[1:]), dns.RcodeSuccess},
	{"an OPT cut in its type", slices.Concat(head(1, 0, 0, 1), question(exampleWire...), opt(0)[:2]),
		dns.RcodeFormatError},
	{"an OPT cut in its class", slices.Concat(head(1, 0, 0, 1), question(exampleWire...), opt(0)[:4]),
		dns.RcodeFormatError},
	{"an OPT cut in its flags", slices.Concat(head(1, 0, 0, 1), question(exampleWire...), opt(0)[:7]),
		dns.RcodeFormatError},
	{"an OPT cut in its length", slices.Concat(head(1, 0, 0, 1), question(exampleWire...), opt(0)[:10]),
		dns.RcodeFormatError},
	{"an OPT longer than the message", slices.Concat(head(1, 0, 0, 1), question(exampleWire...), opt(100)),
		dns.RcodeFormatError},
	{"an OPT of 65,535", slices.Concat(head(1, 0, 0, 1), question(exampleWire...), opt(65535, option(100, 0)...)),
		dns.RcodeFormatError},
	{"an OPT with one byte", slices.Concat(head(1, 0, 0, 1), question(exampleWire...), opt(1, 0)), dns.RcodeFormatError},
	{"half an option", slices.Concat(head(1, 0, 0, 1), question(exampleWire...), opt(3, 0, 100, 0)),
		dns.RcodeFormatError},
	{"an option longer than the OPT", withOption(100, 9, 'x'), dns.RcodeFormatError},
	{"an option of 65,535", withOption(100, 65535), dns.RcodeFormatError},
	{"an option shorter than its data", withOption(100, 1, 'x', 'y'), dns.RcodeFormatError},

	// Options.
	{"a cookie of 0", withOption(10, 0), dns.RcodeSuccess},
	{"a cookie of 7", withOption(10, 7, 1, 2, 3, 4, 5, 6, 7), dns.RcodeSuccess},
	{"a cookie of 9", withOption(10, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9), dns.RcodeSuccess},
	{"a subnet of 1", withOption(8, 1, 0), dns.RcodeFormatError},
	{"a subnet of an unknown family", withOption(8, 5, 0, 9, 8, 0, 1), dns.RcodeFormatError},
	{"a subnet of 33 bits", withOption(8, 9, 0, 1, 33, 0, 192, 0, 2, 0, 0), dns.RcodeFormatError},
	{"a subnet with a scope", withOption(8, 7, 0, 1, 24, 24, 192, 0, 2), dns.RcodeSuccess},
	{"an expiry of 3", withOption(9, 3, 1, 2, 3), dns.RcodeFormatError},
	{"a keepalive of 1", withOption(11, 1, 1), dns.RcodeFormatError},
	{"an extended error of 1", withOption(15, 1, 0), dns.RcodeFormatError},
}

// TestMalformed sends broken messages to servers with and without a front, and over TCP. One that is not right gets
// FORMERR or what the table holds, and the server lives on.
func TestMalformed(t *testing.T) {
	fast, plain := pair(t, "--action", "nxdomain")
	for _, at := range []struct{ name, network, server string }{{"fast", "udp", fast}, {"plain", "udp", plain},
		{"tcp", "tcp", fast}} {
		for _, c := range broken {
			conn := dial(t, at.network, at.server)
			for i := range byte(2) {
				raw := slices.Clone(c.raw)
				raw[1] = i
				send(t, conn, raw)
				answer := receive(conn, 5*time.Second)
				if got := rcodeOf(answer); got != c.rcode {
					t.Errorf("%s, %s: rcode %d, want %d", at.name, c.name, got, c.rcode)
				} else if answer[1] != i || answer[2]&0x80 == 0 || (&dns.Msg{}).Unpack(answer) != nil {
					t.Errorf("%s, %s: answer %x", at.name, c.name, answer)
				}
			}
		}
		if m := ask(t, at.network, at.server, passedName, dns.TypeA); len(m.Answer) != 2 {
			t.Errorf("after all: %v", m)
		}
	}
}
