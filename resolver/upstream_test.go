package resolver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const generated, second = "xjpakmdcfuqe.biz", "oyvsupxkrgtiewyf.com" // names that the built-in model takes for a DGA's

// upstream is a DNS server on loopback, by UDP and TCP on one port.
type upstream struct {
	addr     string // host:port
	udp, tcp atomic.Int64
	accepted atomic.Int64 // connections

	mu    sync.Mutex
	names []string // that were asked for
}

// asked is the number of queries that came.
func (u *upstream) asked() int { return int(u.udp.Load() + u.tcp.Load()) }

// saw reports whether a query for name came.
func (u *upstream) saw(name string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, n := range u.names {
		if n == name {
			return true
		}
	}
	return false
}

// serve starts an upstream whose answers handle makes; nil means records. With a certificate it speaks TLS.
func serve(t testing.TB, cert *tls.Certificate, handle func(w dns.ResponseWriter, q *dns.Msg)) *upstream {
	t.Helper()
	if handle == nil {
		handle = records
	}
	var packets net.PacketConn
	var listener net.Listener
	for range 20 { // until a port is free for both
		var err error
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if packets, err = net.ListenPacket("udp", listener.Addr().String()); err == nil {
			break
		}
		listener.Close()
	}
	if packets == nil {
		t.Fatal("no port is free by UDP and TCP")
	}
	u := &upstream{addr: listener.Addr().String()}
	listener = &counting{listener, &u.accepted}
	if cert != nil {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{*cert}})
	}
	handler := func(n *atomic.Int64) dns.HandlerFunc {
		return func(w dns.ResponseWriter, q *dns.Msg) {
			n.Add(1)
			u.mu.Lock()
			u.names = append(u.names, q.Question[0].Name)
			u.mu.Unlock()
			handle(w, q)
		}
	}
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: handler(&u.udp)},
		{Listener: listener, Handler: handler(&u.tcp)}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go s.ActivateAndServe()
		<-started
		t.Cleanup(func() { // handlers that hang do not hold up the end
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			s.ShutdownContext(ctx)
		})
	}
	return u
}

type counting struct {
	net.Listener
	n *atomic.Int64
}

func (c *counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.n.Add(1)
	}
	return conn, err
}

// record reads a record as master files have it.
func record(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return rr
}

// answer is the answer of a server that resolves names, with records.
func answer(q *dns.Msg, rcode int, texts ...string) *dns.Msg {
	m := new(dns.Msg)
	m.SetRcode(q, rcode)
	m.RecursionAvailable = true
	for _, text := range texts {
		rr := record(text)
		if _, ok := rr.(*dns.SOA); ok {
			m.Ns = append(m.Ns, rr)
		} else {
			m.Answer = append(m.Answer, rr)
		}
	}
	return m
}

const soa = ". 300 IN SOA ns.example. admin.example. 1 2 3 4 60"

// records answers every name but those that begin with "no" or have the label none with a few records.
func records(w dns.ResponseWriter, q *dns.Msg) {
	name := q.Question[0].Name
	if strings.HasPrefix(name, "no") || strings.Contains(name, ".none.") {
		w.WriteMsg(answer(q, dns.RcodeNameError, soa))
		return
	}
	data := map[uint16][]string{
		dns.TypeA:     {"A 192.0.2.7"},
		dns.TypeMX:    {"MX 10 mail.example."},
		dns.TypeNS:    {"NS ns.example."},
		dns.TypeTXT:   {"TXT hello"},
		dns.TypePTR:   {"PTR host.example."},
		dns.TypeSRV:   {"SRV 1 2 80 host.example."},
		dns.TypeCNAME: {"CNAME host.example."},
	}[q.Question[0].Qtype]
	var texts []string
	for _, d := range data {
		texts = append(texts, name+" 300 IN "+d)
	}
	if texts == nil {
		texts = []string{soa}
	}
	w.WriteMsg(answer(q, dns.RcodeSuccess, texts...))
}

// certificate is for 127.0.0.1 and dns.example. pool trusts it.
func certificate(t testing.TB) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, DNSNames: []string{"dns.example"}, IPAddresses: []net.IP{{127, 0, 0, 1}}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// withSystem is a stand-in for /etc/resolv.conf, whose search list package net adds to names.
func withSystem(path string) Option { return func(o *options) { o.systemConf = path } }

// fresh makes a Resolver that asks servers and knows no search list of this host.
func fresh(t testing.TB, opts ...Option) *Resolver {
	t.Helper()
	r, err := New(append([]Option{withSystem(conf(t, "search resolver.test")), WithTimeout(10 * time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// conf writes a resolv.conf.
func conf(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
