package resolver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// All look-ups of net.Resolver work, in r's own form and in that of Net.
func TestLookups(t *testing.T) {
	u := serve(t, nil, nil)
	r := fresh(t, WithServers(u.addr))
	ctx := context.Background()
	before := runtime.NumGoroutine()
	addrs, err := r.LookupHost(ctx, "www.google.com")
	if err != nil || len(addrs) != 1 || addrs[0] != "192.0.2.7" {
		t.Error(addrs, err)
	}
	if ips, err := r.LookupIP(ctx, "ip4", "www.google.com"); err != nil || ips[0].String() != "192.0.2.7" {
		t.Error(ips, err)
	}
	if ips, err := r.LookupIPAddr(ctx, "www.google.com"); err != nil || ips[0].String() != "192.0.2.7" {
		t.Error(ips, err)
	}
	if ips, err := r.LookupNetIP(ctx, "ip", "www.google.com"); err != nil ||
		ips[0].Unmap() != netip.MustParseAddr("192.0.2.7") {
		t.Error(ips, err)
	}
	if names, err := r.LookupAddr(ctx, "192.0.2.7"); err != nil || names[0] != "host.example." {
		t.Error(names, err)
	}
	if name, err := r.LookupCNAME(ctx, "www.google.com"); err != nil || name != "www.google.com." {
		t.Error(name, err)
	}
	if mx, err := r.LookupMX(ctx, "google.com"); err != nil || mx[0].Host != "mail.example." {
		t.Error(mx, err)
	}
	if ns, err := r.LookupNS(ctx, "google.com"); err != nil || ns[0].Host != "ns.example." {
		t.Error(ns, err)
	}
	if txt, err := r.LookupTXT(ctx, "google.com"); err != nil || txt[0] != "hello" {
		t.Error(txt, err)
	}
	if name, srv, err := r.LookupSRV(ctx, "xmpp", "tcp", "google.com"); err != nil || name != "_xmpp._tcp.google.com." ||
		srv[0].Port != 80 {
		t.Error(name, srv, err)
	}
	if ips, err := r.Net().LookupNetIP(ctx, "ip4", "www.google.com"); err != nil || len(ips) != 1 {
		t.Error(ips, err)
	}
	var e *net.DNSError
	if _, err := r.LookupHost(ctx, "nothing.google.com."); !errors.As(err, &e) || !e.IsNotFound || e.UnwrapErr != nil {
		t.Error(err)
	}
	settle(t, before)
}

// A blocked name leaves through none of them.
func TestLookupsBlocked(t *testing.T) {
	u := serve(t, nil, nil)
	r := fresh(t, WithServers(u.addr))
	ctx := context.Background()
	for what, err := range map[string]error{
		"host":  errorOf(r.LookupHost(ctx, generated)),
		"ip":    errorOf(r.LookupIP(ctx, "ip", generated)),
		"addr":  errorOf(r.LookupIPAddr(ctx, generated)),
		"netip": errorOf(r.LookupNetIP(ctx, "ip", generated)),
		"cname": errorOf(r.LookupCNAME(ctx, generated)),
		"mx":    errorOf(r.LookupMX(ctx, generated)),
		"ns":    errorOf(r.LookupNS(ctx, generated)),
		"txt":   errorOf(r.LookupTXT(ctx, generated)),
		"srv":   func() error { _, _, err := r.LookupSRV(ctx, "", "", generated); return err }(),
	} {
		if b := wantBlocked(t, err); b.Class != "dga" {
			t.Errorf("%s: %+v", what, b)
		}
	}
	if err := errorOf(r.LookupHost(ctx, generated)); err.(*net.DNSError).Name != generated {
		t.Error(err)
	}
	old := net.DefaultResolver
	defer func() { net.DefaultResolver = old }()
	net.DefaultResolver = Net(withSystem("testdata/none"), WithServers(u.addr))
	var e *net.DNSError
	if _, err := net.LookupHost(generated); !errors.As(err, &e) || !e.IsNotFound {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", generated+":80"); !errors.As(err, &e) || !e.IsNotFound {
		t.Error(err)
	}
	if u.asked() != 0 {
		t.Errorf("queries left: %q", u.names)
	}
	if _, err := net.LookupMX("google.com"); err != nil || u.asked() != 1 {
		t.Error(err)
	}
	net.DefaultResolver = Net(WithServers("nonsense"))
	if _, err := net.LookupMX("google.com"); err == nil {
		t.Error("a Resolver that could not be made lets names pass")
	}
}

// errorOf is the error of a look-up.
func errorOf[T any](_ T, err error) error { return err }

// What an upstream blocks is told through package net, which knows no such thing.
func TestLookupsBlockedByUpstream(t *testing.T) {
	u := serve(t, nil, func(w dns.ResponseWriter, q *dns.Msg) {
		w.WriteMsg(ede(answer(q, dns.RcodeSuccess, q.Question[0].Name+" 60 IN A 0.0.0.0"), 17, "adult"))
	})
	r := fresh(t, WithServers(u.addr))
	_, err := r.LookupHost(context.Background(), "www.google.com")
	var by *UpstreamBlocked
	if e, ok := err.(*net.DNSError); !ok || !e.IsNotFound || !errors.As(err, &by) || by.Reason != "adult" ||
		by.Code != 17 || by.Server != u.addr {
		t.Errorf("%+v: %+v", err, by)
	}
}

// A name that package net gave a suffix is judged without it.
func TestNetSearch(t *testing.T) {
	u := serve(t, nil, nil)
	r := fresh(t, WithServers(u.addr), withSystem(conf(t, "search ns.svc.cluster.local corp.example")))
	for _, name := range []string{generated + ".corp.example.", generated + ".ns.svc.cluster.local."} {
		if err := errorOf(r.LookupMX(context.Background(), name)); err == nil {
			t.Error(name, "passes")
		} else {
			wantBlocked(t, err)
		}
	}
	if u.asked() != 0 {
		t.Errorf("queries left: %q", u.names)
	}
}

// The connection within the program keeps to deadlines, ends with Close, and survives what is no query.
func TestConn(t *testing.T) {
	u, mute := serve(t, nil, nil), serve(t, nil, silent)
	before := runtime.NumGoroutine()
	dial := func(server string) *dns.Conn {
		c, err := fresh(t, WithServers(server)).Net().Dial(context.Background(), "udp", "192.0.2.1:53")
		if err != nil {
			t.Fatal(err)
		}
		return &dns.Conn{Conn: c}
	}
	ask := func(c *dns.Conn, q *dns.Msg) *dns.Msg {
		t.Helper()
		if err := c.WriteMsg(q); err != nil {
			t.Fatal(err)
		}
		m, err := c.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	c := dial(u.addr)
	q := new(dns.Msg).SetQuestion("www.Google.com.", dns.TypeA)
	for range 2 { // again on one connection
		if m := ask(c, q); m.Id != q.Id || m.Question[0] != q.Question[0] || len(m.Answer) != 1 || !m.RecursionAvailable {
			t.Error(m)
		}
	}
	class := q.Copy()
	class.Question[0].Qclass = dns.ClassCHAOS
	if m := ask(c, class); m.Rcode != dns.RcodeRefused {
		t.Error(m)
	}
	if m := ask(c, new(dns.Msg)); m.Rcode != dns.RcodeRefused {
		t.Error(m)
	}
	c.Conn.Write([]byte{0, 3, 1, 2, 3})
	if m, err := c.ReadMsg(); err == nil {
		t.Error("an answer to no message:", m)
	}
	c.Close()

	c = dial(mute.addr)
	c.SetDeadline(time.Now().Add(20 * time.Millisecond))
	c.WriteMsg(q)
	if _, err := c.ReadMsg(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	c.Close()
	settle(t, before)
}

// Any bytes may come as a query.
func TestHostileQueries(t *testing.T) {
	u := serve(t, nil, nil)
	r := fresh(t, WithServers(u.addr))
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // judged, and not looked up
	n := 0
	hostile(t, func(p []byte) {
		q := new(dns.Msg)
		if n++; n%8 == 0 && q.Unpack(p) == nil {
			r.reply(ctx, q, nil).Pack()
		}
	})
	t.Log(n, "messages")
}
