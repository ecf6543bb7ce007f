package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// silence is the rcode of no answer at all.
const silence = -1

// conformance is what a query has to be answered with.
type conformance struct {
	name  string
	query func(t testing.TB, name string) []byte
	// rcode is that of a name that passes. A blocked name has NXDOMAIN in place of NOERROR.
	rcode int
	// soa is whether the SOA of a name that passes is in the answer.
	soa, opt, do bool
	truncated    bool
	// deviates says where CoreDNS does not answer as the RFC asks. The row has what it answers.
	deviates string
}

// asks is a query for the SOA, without RD as the tests of RFC 8906 are, changed.
func asks(change ...func(*dns.Msg)) func(testing.TB, string) []byte {
	return asksFor(dns.TypeSOA, change...)
}

func asksFor(qtype uint16, change ...func(*dns.Msg)) func(testing.TB, string) []byte {
	return func(t testing.TB, name string) []byte {
		return packed(t, name, qtype, append([]func(*dns.Msg){func(r *dns.Msg) { r.RecursionDesired = false }}, change...)...)
	}
}

// edited is a query whose bytes are changed.
func edited(edit func(raw []byte) []byte) func(testing.TB, string) []byte {
	return func(t testing.TB, name string) []byte { return edit(asks()(t, name)) }
}

func opcode(code byte) func(raw []byte) []byte {
	return func(raw []byte) []byte {
		raw[2] |= code << 3
		return raw
	}
}

func counts(section int, n uint16) func(raw []byte) []byte {
	return func(raw []byte) []byte {
		binary.BigEndian.PutUint16(raw[4+2*section:], n)
		return raw
	}
}

// Flags of OPT.
const (
	flagDO      = 0x8000
	flagUnknown = 0x0040
)

var unknownOption = &dns.EDNS0_LOCAL{Code: 100, Data: []byte("x")}

// Names in the first column: RFC 8906 with its section, or ISC for the queries of its EDNS compliance test.
var conformances = []conformance{
	{name: "8906 8.1.1 plain; ISC plain", query: asks(), soa: true},
	{name: "8906 8.1.2 unknown type", query: asksFor(1000)},
	{name: "8906 8.1.3.1 CD", query: asks(func(r *dns.Msg) { r.CheckingDisabled = true }), soa: true},
	{name: "8906 8.1.3.2 AD", query: asks(func(r *dns.Msg) { r.AuthenticatedData = true }), soa: true},
	{name: "8906 8.1.3.3 Z", query: asks(func(r *dns.Msg) { r.Zero = true }), soa: true},
	{name: "8906 8.1.3.4 RD", query: asks(func(r *dns.Msg) { r.RecursionDesired = true }), soa: true},
	{name: "8906 8.1.4 unknown opcode", rcode: dns.RcodeNotImplemented, query: edited(func(raw []byte) []byte {
		return counts(0, 0)(opcode(15)(raw[:12]))
	})},
	{name: "8906 8.2.1 EDNS; ISC edns", query: asks(edns(0, 4096, 0)), soa: true, opt: true},
	{name: "8906 8.2.2 EDNS version 1", query: asks(edns(1, 4096, 0)), rcode: dns.RcodeBadVers, opt: true},
	{name: "ISC EDNS version 100", query: asks(edns(100, 4096, 0)), rcode: dns.RcodeBadVers, opt: true},
	{name: "8906 8.2.3 unknown option; ISC ednsopt", query: asks(edns(0, 4096, 0, unknownOption)), soa: true, opt: true},
	{name: "8906 8.2.4 unknown flag; ISC ednsflags", query: asks(edns(0, 4096, flagUnknown)), soa: true, opt: true},
	{name: "8906 8.2.5 version 1, unknown flag", query: asks(edns(1, 4096, flagUnknown)), rcode: dns.RcodeBadVers,
		opt: true},
	{name: "8906 8.2.6 version 1, unknown option", query: asks(edns(1, 4096, 0, unknownOption)),
		rcode: dns.RcodeBadVers, opt: true},
	{name: "ISC EDNS version 100, unknown option", query: asks(edns(100, 4096, 0, unknownOption)),
		rcode: dns.RcodeBadVers, opt: true},
	{name: "8906 8.2.7 truncated at 512", query: func(t testing.TB, name string) []byte {
		if name == passedName {
			name = "middle." + name
		}
		return asksFor(dns.TypeTXT, edns(0, 512, flagDO))(t, name)
	}, opt: true, do: true, truncated: true},
	{name: "ISC DO at 512", query: asks(edns(0, 512, flagDO)), soa: true, opt: true, do: true},
	{name: "8906 8.2.8 DO; ISC do", query: asks(edns(0, 4096, flagDO)), soa: true, opt: true, do: true},
	{name: "8906 8.2.9 version 1, DO", query: asks(edns(1, 4096, flagDO)), rcode: dns.RcodeBadVers, opt: true,
		deviates: "DO is not copied (RFC 3225, 3)"},
	{name: "8906 8.2.10 several options", query: asks(edns(0, 4096, 0, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE,
		Cookie: "0102030405060708"}, &dns.EDNS0_NSID{Code: dns.EDNS0NSID}, &dns.EDNS0_EXPIRE{Code: dns.EDNS0EXPIRE,
		Empty: true}, &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1,
		Address: net.IPv4zero})), soa: true, opt: true},
	{name: "A, with RD", query: asksFor(dns.TypeA, func(r *dns.Msg) { r.RecursionDesired = true })},
	{name: "EDNS size 0", query: asks(edns(0, 0, 0)), soa: true, opt: true},
	{name: "opcode 1, IQUERY", query: edited(opcode(1)), rcode: dns.RcodeNotImplemented},
	{name: "opcode 2, STATUS", query: edited(opcode(2)), rcode: dns.RcodeNotImplemented},
	{name: "opcode 4, NOTIFY", query: edited(opcode(4)), rcode: dns.RcodeSuccess, soa: true,
		deviates: "it is forwarded; a resolver would say NOTIMP or REFUSED (RFC 1996, 3.10)"},
	{name: "opcode 5, UPDATE", query: edited(opcode(5)), rcode: dns.RcodeNotImplemented},
	{name: "opcode 6, DSO", query: edited(opcode(6)), rcode: dns.RcodeNotImplemented},
	{name: "class CH", query: asksFor(dns.TypeTXT, func(r *dns.Msg) { r.Question[0].Qclass = dns.ClassCHAOS }),
		rcode: dns.RcodeRefused},
	{name: "class NONE", query: asks(func(r *dns.Msg) { r.Question[0].Qclass = dns.ClassNONE }),
		rcode: dns.RcodeRefused},
	{name: "class ANY", query: asks(func(r *dns.Msg) { r.Question[0].Qclass = dns.ClassANY }), soa: true},
	{name: "no question", query: edited(func(raw []byte) []byte { return counts(0, 0)(raw[:12]) }),
		rcode: dns.RcodeFormatError},
	{name: "two questions", query: edited(func(raw []byte) []byte {
		return counts(0, 2)(append(raw, raw[12:]...))
	}), rcode: dns.RcodeFormatError},
	{name: "trailing bytes", query: edited(func(raw []byte) []byte { return append(raw, 1, 2, 3) }), soa: true,
		deviates: "bytes behind the message are ignored (no RFC says what to do)"},
	{name: "an answer", query: edited(func(raw []byte) []byte {
		raw[2] |= 0x80
		return raw
	}), rcode: silence},
	{name: "half a header", query: edited(func(raw []byte) []byte { return raw[:11] }), rcode: silence},
}

// TestConformance asks two servers, one of them over TCP too. Each query is sent twice: the second answer may be one
// that was kept.
func TestConformance(t *testing.T) {
	fast, plain := pair(t, "--action", "nxdomain")
	for _, at := range []struct{ name, network, server string }{{"fast", "udp", fast}, {"plain", "udp", plain},
		{"tcp", "tcp", fast}} {
		for _, c := range conformances {
			for _, name := range []string{passedName, blockedName} {
				t.Run(at.name+"/"+c.name+"/"+name, func(t *testing.T) {
					raw := c.query(t, name)
					for range 2 {
						conn := dial(t, at.network, at.server)
						binary.BigEndian.PutUint16(raw, binary.BigEndian.Uint16(raw)+1)
						send(t, conn, raw)
						wait := 5 * time.Second
						if c.rcode == silence {
							wait = 100 * time.Millisecond
						}
						if err := c.check(raw, receive(conn, wait), name, at.network); err != nil {
							t.Errorf("%v %s", err, c.deviates)
						}
					}
				})
			}
		}
	}
}

// check compares an answer with what is wanted.
func (c *conformance) check(query, answer []byte, name, network string) error {
	if answer == nil || c.rcode == silence {
		if answer == nil && c.rcode == silence {
			return nil
		}
		return fmt.Errorf("answer %x, want silence: %v", answer, c.rcode == silence)
	}
	m := new(dns.Msg)
	if err := m.Unpack(answer); err != nil {
		return err
	}
	rcode, soa, truncated := c.rcode, c.soa, c.truncated && network == "udp"
	asked := len(m.Question) > 0 && (m.Question[0].Qclass == dns.ClassINET || m.Question[0].Qclass == dns.ClassANY)
	if name == blockedName && asked && rcode == dns.RcodeSuccess && m.Opcode == dns.OpcodeQuery {
		rcode, soa, truncated = dns.RcodeNameError, false, false
	}
	has := len(m.Answer) > 0 && m.Answer[0].Header().Rrtype == dns.TypeSOA
	o := m.IsEdns0()
	var wrong []string
	for what, is := range map[string]bool{
		"ID":             m.Id != binary.BigEndian.Uint16(query),
		"QR":             !m.Response,
		"opcode":         byte(m.Opcode) != query[2]>>3&0xf && m.Rcode != dns.RcodeFormatError,
		"AA":             m.Authoritative,
		"AD":             m.AuthenticatedData,
		"Z":              m.Zero,
		"RA":             !m.RecursionAvailable && (m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError),
		"TC":             m.Truncated != truncated,
		"rcode":          m.Rcode != rcode,
		"the answer":     has != soa,
		"OPT":            (o != nil) != c.opt,
		"version":        o != nil && o.Version() != 0,
		"DO":             o != nil && o.Do() != c.do,
		"flags of OPT":   o != nil && o.Hdr.Ttl&0x7fff != 0,
		"unknown option": o != nil && strings.Contains(o.String(), "LOCAL OPT: 100"),
		"size":           network == "udp" && c.truncated && len(answer) > 512,
	} {
		if is {
			wrong = append(wrong, what)
		}
	}
	if wrong != nil {
		return fmt.Errorf("wrong are %s of\n%v", strings.Join(wrong, ", "), m)
	}
	return nil
}

// TestLengthsOverTCP sends lengths that are not those of the message behind them. The server answers nothing that it
// has not read, and goes on.
func TestLengthsOverTCP(t *testing.T) {
	server := serve(t, "--upstream", startVaried(t))
	query := asksFor(dns.TypeA)(t, passedName)
	for _, c := range []struct {
		name   string
		length int
		rcode  int
	}{
		{"too long", len(query) + 100, silence},
		{"too short", len(query) - 1, dns.RcodeFormatError},
		{"of the header alone", 12, dns.RcodeServerFailure}, // CoreDNS; FORMERR would be right
		{"less than a header", 11, silence},
		{"nothing", 0, silence},
		{"right", len(query), dns.RcodeSuccess},
	} {
		conn := dial(t, "tcp", server)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(c.length)), query...)); err != nil {
			t.Fatal(err)
		}
		wait := 5 * time.Second
		if c.rcode == silence {
			wait = 200 * time.Millisecond
		}
		answer := receive(conn, wait)
		if got := rcodeOf(answer); got != c.rcode {
			t.Errorf("%s: rcode %d, want %d", c.name, got, c.rcode)
		}
		// A client that is gone in the middle of a message.
		conn.Close()
		if m := ask(t, "tcp", server, passedName, dns.TypeA); len(m.Answer) != 2 {
			t.Fatalf("after %s: %v", c.name, m)
		}
	}
	// A connection that says nothing is closed.
	if testing.Short() {
		return
	}
	conn := dial(t, "tcp", server)
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a silent connection: %v, want that it is closed", err)
	}
}

// rcodeOf is the rcode in a header.
func rcodeOf(answer []byte) int {
	if len(answer) < 12 {
		return silence
	}
	return int(answer[3] & 0xf)
}
