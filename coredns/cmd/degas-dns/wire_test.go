package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Names of which the model in the box is sure.
const (
	passedName  = "www.wikipedia.org."
	blockedName = "xjpakmdcfuqe.biz."
)

// bothAt listens at a port by UDP and TCP. The kernel gives a port that is free by UDP; somebody's connection may have
// it by TCP, so another one is tried.
func bothAt(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for try := 1; ; try++ {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", conn.LocalAddr().String())
		if err == nil {
			return conn, l
		}
		conn.Close()
		if try == 20 {
			t.Fatal(err)
		}
	}
}

// listenAs starts a server with a handler at a port of its own, over UDP and TCP.
func listenAs(t *testing.T, handler dns.HandlerFunc) (address string) {
	t.Helper()
	conn, l := bothAt(t)
	for _, s := range []*dns.Server{{PacketConn: conn, Handler: handler}, {Listener: l, Handler: handler}} {
		ready := make(chan struct{})
		s.NotifyStartedFunc = func() { close(ready) }
		go func() { _ = s.ActivateAndServe() }()
		<-ready
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return conn.LocalAddr().String()
}

// startVaried starts an upstream that answers many types. The first letters of a name say how: "nx" does not exist,
// "nodata" has no records, "short" has a TTL of 2 seconds (the cache
// makes them 5), "middle" has a TXT that is too long for 512 bytes, and "long" one that is too long for UDP.
func startVaried(t *testing.T) string {
	t.Helper()
	return listenAs(t, func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(r)
		m.RecursionAvailable = true
		q := r.Question[0]
		low := strings.ToLower(q.Name)
		h := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: q.Qclass, Ttl: 600}
		if strings.HasPrefix(low, "short") {
			h.Ttl = 2
		}
		soa := &dns.SOA{Hdr: h, Ns: "ns.example.net.", Mbox: "hostmaster.example.net.", Serial: 7,
			Refresh: 3600, Retry: 600, Expire: 86400, Minttl: h.Ttl}
		soa.Hdr.Rrtype = dns.TypeSOA
		switch {
		case strings.HasPrefix(low, "nx"):
			m.Rcode = dns.RcodeNameError
		case strings.HasPrefix(low, "nodata"):
		case q.Qtype == dns.TypeSOA:
			m.Answer = []dns.RR{soa}
		case q.Qtype == dns.TypeA:
			m.Answer = []dns.RR{&dns.A{Hdr: h, A: net.IPv4(192, 0, 2, 80)}, &dns.A{Hdr: h, A: net.IPv4(192, 0, 2, 81)}}
		case q.Qtype == dns.TypeAAAA:
			m.Answer = []dns.RR{&dns.AAAA{Hdr: h, AAAA: net.ParseIP("2001:db8::80")}}
		case q.Qtype == dns.TypeMX:
			m.Answer = []dns.RR{&dns.MX{Hdr: h, Preference: 10, Mx: "mail.example.net."}}
		case q.Qtype == dns.TypeCNAME:
			m.Answer = []dns.RR{&dns.CNAME{Hdr: h, Target: "www.example.org."}}
		case q.Qtype == dns.TypeTXT:
			for i := range map[string]int{"middle": 4, "long": 30}[strings.SplitN(low, ".", 2)[0]] + 1 {
				m.Answer = append(m.Answer, &dns.TXT{Hdr: h, Txt: []string{strings.Repeat("x", 200), fmt.Sprint(i)}})
			}
		}
		if len(m.Answer) == 0 {
			m.Ns = []dns.RR{soa}
		}
		if o := r.IsEdns0(); o != nil {
			m.SetEdns0(1232, o.Do())
		}
		if _, ok := w.RemoteAddr().(*net.UDPAddr); ok {
			m.Truncate(1232)
		}
		_ = w.WriteMsg(m)
	})
}

// pair starts two servers before one upstream that differ in one thing: the first answers repeated queries itself.
func pair(t *testing.T, flags ...string) (fast, plain string) {
	t.Helper()
	flags = append([]string{"--upstream", startVaried(t), "--no-stale"}, flags...)
	return serve(t, flags...), serve(t, append(flags, "--no-fast")...)
}

// packed is a query with what change makes of it.
func packed(t testing.TB, name string, qtype uint16, change ...func(*dns.Msg)) []byte {
	t.Helper()
	r := new(dns.Msg)
	r.SetQuestion(name, qtype)
	for _, f := range change {
		f(r)
	}
	raw, err := r.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// edns gives a query an OPT.
func edns(version uint8, size, flags uint16, options ...dns.EDNS0) func(*dns.Msg) {
	return func(r *dns.Msg) {
		o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: size, Ttl: uint32(flags)}, Option: options}
		o.SetVersion(version)
		r.Extra = append(r.Extra, o)
	}
}

// dial opens a socket to a server.
func dial(t testing.TB, network, server string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// send writes a message. Over TCP it has its length before it.
func send(t testing.TB, conn net.Conn, raw []byte) {
	t.Helper()
	if conn.LocalAddr().Network() == "tcp" {
		raw = append(binary.BigEndian.AppendUint16(nil, uint16(len(raw))), raw...)
	}
	if _, err := conn.Write(raw); err != nil {
		t.Fatal(err)
	}
}

// receive reads a message within a time. It is nil if none comes.
func receive(conn net.Conn, within time.Duration) []byte {
	_ = conn.SetReadDeadline(time.Now().Add(within))
	if conn.LocalAddr().Network() == "udp" {
		buffer := make([]byte, 4096) // more than bufsize lets through
		n, err := conn.Read(buffer)
		if err != nil {
			return nil
		}
		return buffer[:n]
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil
	}
	buffer := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, buffer); err != nil {
		return nil
	}
	return buffer
}

// sameAnswer says how two answers differ, or "". TTLs may differ by up to slack seconds, and owners by their case.
func sameAnswer(a, b []byte, slack uint32) string {
	if len(a) > 2 && len(b) > 2 && bytes.Equal(a[2:], b[2:]) {
		return ""
	}
	if (a == nil) != (b == nil) {
		return fmt.Sprintf("%d bytes and %d bytes", len(a), len(b))
	}
	if a == nil {
		return ""
	}
	var m, n dns.Msg
	if err := m.Unpack(a); err != nil {
		return err.Error()
	}
	if err := n.Unpack(b); err != nil {
		return err.Error()
	}
	sections := [][2][]dns.RR{{m.Answer, n.Answer}, {m.Ns, n.Ns}, {m.Extra, n.Extra}}
	for _, s := range sections {
		if len(s[0]) != len(s[1]) {
			return fmt.Sprintf("%v\nand\n%v", &m, &n)
		}
		for i := range s[0] {
			x, y := s[0][i].Header(), s[1][i].Header()
			if x.Rrtype == dns.TypeOPT {
				continue
			}
			if x.Ttl > y.Ttl+slack || y.Ttl > x.Ttl+slack {
				return fmt.Sprintf("a TTL of %d and of %d of %s", x.Ttl, y.Ttl, x.Name)
			}
			x.Ttl, y.Ttl = 0, 0
			// The cache has an owner as the first who asked wrote it.
			x.Name, y.Name = strings.ToLower(x.Name), strings.ToLower(y.Name)
		}
	}
	n.Id = m.Id
	if m.String() != n.String() {
		return fmt.Sprintf("%v\nand\n%v", &m, &n)
	}
	return ""
}
