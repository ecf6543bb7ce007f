package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/miekg/dns"
)

// clogOutput is where CoreDNS' log goes, unless a test reads it.
var clogOutput = io.Discard

func TestMain(m *testing.M) {
	if err := order(); err != nil {
		panic(err)
	}
	caddy.Quiet, dnsserver.Quiet = true, true
	clog.SetOutput(clogOutput)
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

// upstream is a server that knows an address for every name.
type upstream struct {
	address string
	asked   atomic.Int64
	ttl     uint32
}

func startUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{ttl: 300}
	u.address = listenAs(t, func(w dns.ResponseWriter, r *dns.Msg) {
		u.asked.Add(1)
		m := new(dns.Msg)
		m.SetReply(r)
		m.RecursionAvailable = true
		q := r.Question[0]
		switch {
		case strings.HasPrefix(strings.ToLower(q.Name), "nx"):
			m.Rcode = dns.RcodeNameError
			soa, _ := dns.NewRR("example. 60 IN SOA a.example. b.example. 1 2 3 4 60")
			m.Ns = []dns.RR{soa}
		case q.Qtype == dns.TypeA:
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: q.Qclass, Ttl: u.ttl},
				A: net.IPv4(192, 0, 2, 80)}}
		case q.Qtype == dns.TypeTXT:
			for i := range 30 {
				m.Answer = append(m.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: q.Qclass,
					Ttl: u.ttl}, Txt: []string{strings.Repeat("x", 200), fmt.Sprint(i)}})
			}
			if _, ok := w.RemoteAddr().(*net.UDPAddr); ok {
				m.Truncate(1232)
			}
		}
		_ = w.WriteMsg(m)
	})
	return u
}

// freePort is an address that nobody has, for UDP or TCP. Its port is below those that the kernel gives out, so that no
// other part of a test takes it in the meantime.
func freePort(t *testing.T) string {
	t.Helper()
	for {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		l.Close()
		if conn, err := net.ListenPacket("udp", address); err == nil {
			conn.Close()
			return address
		}
	}
}

// corefileOf is what degas-dns prints with flags.
func corefileOf(t *testing.T, flags ...string) string {
	t.Helper()
	var out bytes.Buffer
	a := app()
	a.Writer = &out
	if err := a.Run(append([]string{"degas-dns", "--print-corefile"}, flags...)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// serve starts a server with flags, and gives its address.
func serve(t *testing.T, flags ...string) string {
	t.Helper()
	address := freePort(t)
	serveCorefile(t, corefileOf(t, append([]string{"--listen", address}, flags...)...))
	return address
}

func serveCorefile(t *testing.T, text string) *caddy.Instance {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	i, err := caddy.Start(caddy.CaddyfileInput{Filepath: "test", Contents: []byte(text), ServerTypeName: "dns"})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	t.Cleanup(func() {
		for _, err := range i.ShutdownCallbacks() {
			t.Error(err)
		}
		if err := i.Stop(); err != nil {
			t.Error(err)
		}
	})
	return i
}

func ask(t *testing.T, network, server, name string, qtype uint16) *dns.Msg {
	t.Helper()
	r := new(dns.Msg)
	r.SetQuestion(name, qtype)
	r.SetEdns0(1232, false)
	c := dns.Client{Net: network, Timeout: 5 * time.Second}
	m, _, err := c.Exchange(r, server)
	if err != nil {
		t.Fatalf("%s %s: %v", network, name, err)
	}
	return m
}

func TestForwardsAndBlocks(t *testing.T) {
	for _, fast := range []string{"", "--no-fast"} {
		t.Run("fast "+fast, func(t *testing.T) {
			u := startUpstream(t)
			flags := []string{"--upstream", u.address, "--action", "nxdomain"}
			if fast != "" {
				flags = append(flags, fast)
			}
			server := serve(t, flags...)
			for range 3 {
				for _, network := range []string{"udp", "tcp"} {
					if m := ask(t, network, server, "www.wikipedia.org.", dns.TypeA); len(m.Answer) != 1 {
						t.Errorf("%s: %v", network, m)
					}
					m := ask(t, network, server, "xjpakmdcfuqe.biz.", dns.TypeA)
					if m.Rcode != dns.RcodeNameError || m.IsEdns0() == nil || len(m.IsEdns0().Option) != 1 {
						t.Errorf("%s: %v", network, m)
					}
				}
			}
			if n := u.asked.Load(); n < 1 || n > 2 { // one of them by the plugin loop
				t.Errorf("the upstream was asked %d times, want once or twice", n)
			}
		})
	}
}

// Flags that cannot go together, or addresses in use, are errors before anything starts.
func TestRefuses(t *testing.T) {
	used, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	for flags, want := range map[string]string{
		"--listen " + used.Addr().String():       "address already in use",
		"--listen localhost:53":                  "the host must be an IP address",
		"--listen 127.0.0.1:0":                   "the port must be a number",
		"--tls 127.0.0.1:853":                    "needs a certificate",
		"--tls 127.0.0.1:5353 --cert a --key b":  "one port cannot have both",
		"--quic 127.0.0.1:5353 --cert a --key b": "one port cannot have both",
		"--tls 192.0.2.1:853 --cert a --key b":   "all addresses have the same ports",
		"--cert a":                               "both are needed",
		"--sinkhole 192.0.2.1":                   "go together",
		"--action sinkhole":                      "go together",
		"--popular-top 5":                        "--popular-top needs --popular",
		"--corefile a --action drop":             "the Corefile has everything",
		"--corefile /nowhere":                    "read the Corefile",
		`--block a\b`:                            "cannot stand in a Corefile",
		"--health 127.0.0.1":                     "must be HOST:PORT",
		"--allow {$HOME}":                        "cannot stand in a Corefile",
		"surplus":                                "is not expected",
	} {
		a := app()
		a.Writer, a.ErrWriter = io.Discard, io.Discard
		if err := a.Run(append([]string{"degas-dns"}, strings.Fields(flags)...)); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", flags, err, want)
		}
	}
	same := corefileOf(t, "--tls", "127.0.0.1:853", "--quic", "127.0.0.1:853", "--listen", "127.0.0.1:53", "--cert", "a",
		"--key", "b", "--metrics", "9153", "--upstream", "tls://9.9.9.9#dns.quad9.net")
	for _, want := range []string{".:53 tls://.:853 quic://.:853 {", "prometheus 127.0.0.1:9153",
		"tls://9.9.9.9%dns.quad9.net"} {
		if !strings.Contains(same, want) {
			t.Errorf("no %q in\n%s", want, same)
		}
	}
}
