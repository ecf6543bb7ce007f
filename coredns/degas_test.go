package degas

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
)

// Names of which the model in the box is sure.
const (
	good       = "www.wikipedia.org."
	generated  = "xjpakmdcfuqe.biz."
	inGenerate = "cdn.xjpakmdcfuqe.biz."
)

// start makes the plugin that a stanza of a Corefile describes. Below is what answers behind it.
func start(t *testing.T, stanza string, below plugin.Handler) *Degas {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	c := caddy.NewTestController("dns", stanza)
	c.ServerBlockKeys = []string{"."}
	all, err := parse(c)
	if err != nil {
		t.Fatal(err)
	}
	e, err := newEngine(context.Background(), all[0])
	if err != nil {
		t.Fatal(err)
	}
	e.start()
	t.Cleanup(func() {
		if err := e.stop(); err != nil {
			t.Error(err)
		}
	})
	return &Degas{Next: below, engine: e}
}

// answering answers every query with an address, and counts them.
func answering(n *int) plugin.Handler {
	return test.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		*n++
		m := new(dns.Msg)
		m.SetReply(r)
		m.RecursionAvailable = true
		if r.Question[0].Qtype == dns.TypeA {
			m.Answer = []dns.RR{test.A(r.Question[0].Name + " 300 IN A 192.0.2.80")}
		}
		return dns.RcodeSuccess, w.WriteMsg(m)
	})
}

// folder writes lists into a folder and gives it for LISTS in a stanza.
func folder(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestVerdicts(t *testing.T) {
	dir := folder(t, map[string]string{"allow": "xjpakmdcfuqe.biz\n", "below": "cdn.xjpakmdcfuqe.biz\n",
		"block": "*.blocked.example\nxjpakmdcfuqe.biz\n"})
	for _, c := range []struct {
		name, stanza, question string
		qtype                  uint16
		rcode                  int
		answers, authority     int
		ede                    int // -1 for none
		text                   string
		passed                 bool
	}{
		{name: "bare reports", stanza: "degas", question: generated, ede: -1, answers: 1, passed: true},
		{name: "good passes", stanza: "degas {\naction dga nxdomain\n}", question: good, ede: -1, answers: 1, passed: true},
		{name: "nxdomain", stanza: "degas {\naction dga nxdomain\n}", question: generated, rcode: dns.RcodeNameError,
			authority: 1, ede: 15, text: "class=dga score="},
		{name: "of the domain", stanza: "degas {\naction dga nxdomain\n}", question: inGenerate,
			rcode: dns.RcodeNameError, authority: 1, ede: 15},
		{name: "monitor", stanza: "degas {\naction dga nxdomain\nmonitor\n}", question: generated, ede: -1, answers: 1,
			passed: true},
		{name: "nodata", stanza: "degas {\naction dga nodata\n}", question: generated, authority: 1, ede: 15},
		{name: "refused", stanza: "degas {\naction dga refused\n}", question: generated, rcode: dns.RcodeRefused, ede: 15},
		{name: "sinkhole A", stanza: "degas {\naction dga sinkhole 192.0.2.1 2001:db8::1\n}", question: generated,
			answers: 1, ede: 15},
		{name: "sinkhole AAAA", stanza: "degas {\naction dga sinkhole 192.0.2.1 2001:db8::1\n}", question: generated,
			qtype: dns.TypeAAAA, answers: 1, ede: 15},
		{name: "sinkhole without an address of the type", stanza: "degas {\naction dga sinkhole 192.0.2.1\n}",
			question: generated, qtype: dns.TypeAAAA, authority: 1, ede: 15},
		{name: "sinkhole HTTPS", stanza: "degas {\naction dga sinkhole 192.0.2.1\n}", question: generated,
			qtype: dns.TypeHTTPS, authority: 1, ede: 15},
		{name: "filtered", stanza: "degas {\naction dga nxdomain\nfiltered\n}", question: generated,
			rcode: dns.RcodeNameError, authority: 1, ede: 17},
		{name: "explained", stanza: "degas {\naction dga nxdomain\nexplain txt\n}", question: generated,
			qtype: dns.TypeTXT, answers: 1, ede: 15},
		{name: "PTR", stanza: "degas {\naction dga nxdomain\n}", question: generated, qtype: dns.TypePTR,
			rcode: dns.RcodeNameError, authority: 1, ede: 15},
		{name: "the probe of the plugin loop", stanza: "degas {\naction dga nxdomain\n}",
			question: "994854121595915117.1467872418333274228.", qtype: dns.TypeHINFO, ede: -1, passed: true},
		{name: "another zone", stanza: "degas example.org {\naction dga nxdomain\n}", question: generated, ede: -1,
			answers: 1, passed: true},
		{name: "threshold", stanza: "degas {\naction dga nxdomain\nthreshold 0.99999999\n}", question: generated, ede: -1,
			answers: 1, passed: true},
		{name: "rate of false alarms", stanza: "degas {\naction dga nxdomain\nfalse_alarms 0.01\n}", question: generated,
			rcode: dns.RcodeNameError, authority: 1, ede: 15},
		{name: "allowed", stanza: "degas {\naction dga nxdomain\nallow LISTS/allow\n}", question: generated, ede: -1,
			answers: 1, passed: true},
		{name: "allow beats block", stanza: "degas {\nallow LISTS/allow\nblock LISTS/block\n}", question: generated,
			ede: -1, answers: 1, passed: true},
		{name: "blocked by a list, without an action", stanza: "degas {\nblock LISTS/block\n}",
			question: "a.blocked.example.", rcode: dns.RcodeNameError, authority: 1, ede: 15, text: "rule=block:block"},
		{name: "an allowed name lies below", stanza: "degas {\naction dga nxdomain\nallow LISTS/below\n}",
			question: generated, authority: 1, ede: 15},
		{name: "reverse zones are not scored", stanza: "degas {\naction dga nxdomain\n}",
			question: "1.2.0.192.in-addr.arpa.", ede: -1, answers: 1, passed: true},
		{name: "upper case", stanza: "degas {\naction dga nxdomain\n}", question: strings.ToUpper(generated),
			rcode: dns.RcodeNameError, authority: 1, ede: 15},
	} {
		t.Run(c.name, func(t *testing.T) {
			passed := 0
			d := start(t, strings.ReplaceAll(c.stanza, "LISTS", dir), answering(&passed))
			for _, edns := range []bool{true, false} {
				r := new(dns.Msg)
				r.SetQuestion(c.question, max(c.qtype, dns.TypeA))
				if edns {
					r.SetEdns0(1232, true)
				}
				w := dnstest.NewRecorder(&test.ResponseWriter{})
				rcode, err := d.ServeDNS(context.Background(), w, r)
				if err != nil || rcode != dns.RcodeSuccess {
					t.Fatalf("rcode %d, error %v", rcode, err)
				}
				m := w.Msg
				if m.Rcode != c.rcode || len(m.Answer) != c.answers || len(m.Ns) != c.authority {
					t.Errorf("got %v", m)
				}
				if !m.RecursionAvailable || m.Authoritative || m.AuthenticatedData || m.Id != r.Id {
					t.Errorf("flags of %v", m)
				}
				code, text := -1, ""
				if o := m.IsEdns0(); o != nil {
					if !edns {
						t.Error("OPT in the answer to a query without one")
					}
					for _, option := range o.Option {
						if e, ok := option.(*dns.EDNS0_EDE); ok {
							code, text = int(e.InfoCode), e.ExtraText
						}
					}
				}
				if edns && (code != c.ede || !strings.Contains(text, c.text) || len(text) > 120) {
					t.Errorf("extended error %d %q, want %d %q", code, text, c.ede, c.text)
				}
				if packed, err := m.Pack(); err != nil || len(packed) > 512 {
					t.Errorf("%d bytes, error %v", len(packed), err)
				}
			}
			if c.passed != (passed == 2) || !c.passed && passed != 0 {
				t.Errorf("%d of 2 queries passed, want all: %v", passed, c.passed)
			}
		})
	}
}

func TestDropAnswersNothing(t *testing.T) {
	passed := 0
	d := start(t, "degas {\naction dga drop\n}", answering(&passed))
	w := dnstest.NewRecorder(&test.ResponseWriter{})
	r := new(dns.Msg)
	r.SetQuestion(generated, dns.TypeA)
	if rcode, err := d.ServeDNS(context.Background(), w, r); rcode != dns.RcodeSuccess || err != nil || w.Msg != nil ||
		passed != 0 {
		t.Errorf("rcode %d, error %v, answer %v, %d passed", rcode, err, w.Msg, passed)
	}
}

func TestAppendName(t *testing.T) {
	for in, want := range map[string]string{".": ".", "a.b.": "a.b", `a\.b.c.`: `a\.b.c`, `\000x.`: "\x00x",
		`a\\b.`: `a\\b`, `\046.`: `\.`, `\092.`: `\\`, `a\"b.`: `a"b`, `x\255.`: "x\xff", `\12`: "12", `\`: `\`} {
		if got := string(appendName(nil, in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestLimit(t *testing.T) {
	passed := 0
	d := start(t, "degas {\nlimit 1 5\n}", answering(&passed))
	for range 20 {
		r := new(dns.Msg)
		r.SetQuestion(good, dns.TypeA)
		if _, err := d.ServeDNS(context.Background(), dnstest.NewRecorder(&test.ResponseWriter{}), r); err != nil {
			t.Fatal(err)
		}
	}
	if passed < 5 || passed > 7 {
		t.Errorf("%d of 20 queries passed, want some 5", passed)
	}
	w := dnstest.NewRecorder(&test.ResponseWriter{RemoteIP: "192.0.2.99"})
	r := new(dns.Msg)
	r.SetQuestion(good, dns.TypeA)
	if _, err := d.ServeDNS(context.Background(), w, r); err != nil || w.Msg == nil {
		t.Errorf("another client gets no answer: %v", err)
	}
}

func TestTransport(t *testing.T) {
	tcp := &test.ResponseWriter{TCP: true}
	for server, want := range map[string]string{"dns://.:53": "udp", "tls://.:853": "tls", "https://.:443": "https",
		"https3://.:443": "https", "quic://.:853": "quic"} {
		if got := transportOf(server, (&test.ResponseWriter{}).RemoteAddr()).String(); got != want {
			t.Errorf("%s: %s, want %s", server, got, want)
		}
	}
	if got := transportOf("dns://.:53", tcp.RemoteAddr()).String(); got != "tcp" {
		t.Errorf("TCP: %s", got)
	}
	if got := peer(&net.UDPAddr{IP: net.ParseIP("::ffff:192.0.2.1"), Port: 9}).String(); got != "192.0.2.1:9" {
		t.Errorf("peer %s", got)
	}
}

func TestParseErrors(t *testing.T) {
	for stanza, want := range map[string]string{
		"degas {\nfoo\n}":                                     `unknown property "foo"`,
		"degas {\naction dga\n}":                              "Try: action dga nxdomain",
		"degas {\naction dga explode\n}":                      `"explode" is unknown. Try: nxdomain`,
		"degas {\naction virus drop\n}":                       `"virus" is unknown. Try: dga, tunnel, list`,
		"degas {\naction dga sinkhole\n}":                     "sinkhole needs an address",
		"degas {\naction dga sinkhole x\n}":                   `"x" is no address`,
		"degas {\naction dga sinkhole 192.0.2.1 192.0.2.2\n}": "one IPv4 and one IPv6",
		"degas {\nthreshold 2\n}":                             "at most 1",
		"degas {\nthreshold NaN\n}":                           "at most 1",
		"degas {\nthreshold .5\nfalse_alarms .1\n}":           "one of them decides",
		"degas {\nfail open\n}":                               `"open" is unknown. Try: closed`,
		"degas {\nlimit\n}":                                   "queries a second",
		"degas {\nlimit 0\n}":                                 "above 0",
		"degas {\nttl -1\n}":                                  "above 0",
		"degas {\nhold soon\n}":                               "Try: 1h",
		"degas {\nevents ftp://x\n}":                          "is no URL",
		"degas {\nmonitor please\n}":                          "takes no argument",
		"degas {\nmodel\n}":                                   "takes one argument, not 0",
		"degas {\nallow\n}":                                   "needs an argument",
		"degas {\npopular a b\n}":                             "how many of the first names",
	} {
		if _, err := parse(caddy.NewTestController("dns", stanza)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", stanza, err, want)
		}
	}
}
