package resolver

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/model"
)

// policy is one of the built-in model and lists.
func policy(t testing.TB, o detect.Options) *detect.Policy {
	t.Helper()
	m, err := model.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	if o.Classifier, err = model.NewClassifier(m); err != nil {
		t.Fatal(err)
	}
	p, err := detect.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wantBlocked fails unless err is both a *net.DNSError of a name that does not exist and a *Blocked.
func wantBlocked(t *testing.T, err error) *Blocked {
	t.Helper()
	var b *Blocked
	if old, ok := err.(*net.DNSError); !ok || !old.IsNotFound || !errors.As(err, &b) {
		t.Fatalf("error %v (%T), want one that the policy blocks", err, err)
	}
	return b
}

// A blocked name leaves in no form, and is a name that does not exist.
func TestNothingLeaves(t *testing.T) {
	u := serve(t, nil, nil)
	r := fresh(t, WithServers(u.addr), WithSearch(5, "corp.example", "example"))
	ctx := context.Background()
	for _, name := range []string{generated, generated + ".", "XJPAKMDCFUQE.biz", `xj\112akmdcfuqe.biz`,
		"www." + generated, "!." + generated, "www.google.com/." + generated, `http://a\.b/.` + generated,
		`\000\126.` + generated, "google.com:443." + generated, generated + ".corp.example",
		generated + ".example.", second} {
		_, err := r.Resolve(ctx, name, dns.TypeA)
		if err == nil {
			t.Errorf("%s passes", name)
			continue
		}
		b := wantBlocked(t, err)
		if b.Class != "dga" || b.Score < 0.99 || b.Model != "hybrid-small" || b.Rule != "score" ||
			!strings.Contains(err.Error(), "no such host: blocked as dga") {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
		if err := r.Check(name); err == nil {
			t.Errorf("Check lets %s pass", name)
		}
	}
	if n := u.asked(); n != 0 {
		t.Errorf("%d queries left: %q", n, u.names)
	}
	if err := r.Check("google.com"); err != nil {
		t.Error(err)
	}
	a, err := r.Resolve(ctx, "www.google.com.", dns.TypeA)
	if err != nil || len(a.Records) != 1 || a.Name != "www.google.com." || a.Server != u.addr ||
		a.Decision.Rule != detect.Score {
		t.Errorf("%+v, %v", a, err)
	}
	if u.asked() != 1 {
		t.Errorf("%d queries left: %q", u.asked(), u.names)
	}
}

// The search list is that of resolv.conf(5), and every name of it is judged.
func TestSearch(t *testing.T) {
	u := serve(t, nil, nil)
	ctx := context.Background()
	r := fresh(t, WithServers(u.addr), WithSearch(1, "none.example", "corp.example"))
	for _, c := range []struct{ name, found string }{
		{"www", "www.corp.example."}, {"www.example", "www.example."}, {"www.", "www."}, {"nothing.com", ""},
	} {
		a, err := r.Resolve(ctx, c.name, dns.TypeA)
		if c.found == "" {
			var e *net.DNSError
			if !errors.As(err, &e) || !e.IsNotFound || e.Name != c.name || e.UnwrapErr != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		} else if err != nil || a.Name != c.found {
			t.Errorf("%s: %+v, %v", c.name, a, err)
		}
	}
	if !u.saw("www.none.example.") || !u.saw("nothing.com.corp.example.") {
		t.Errorf("the search list was not used: %q", u.names)
	}
	// An allow entry wins over what stands before a suffix.
	r = fresh(t, WithServers(u.addr), WithSearch(1, "corp.example"), WithPolicy(policy(t, detect.Options{
		Action: detect.Block, Allow: []string{"*.corp.example"}})))
	if _, err := r.Resolve(ctx, generated+".corp.example.", dns.TypeA); err != nil {
		t.Error(err)
	}
	wantBlocked(t, func() error { _, err := r.Resolve(ctx, generated, dns.TypeA); return err }())
}

// A policy holds from its swap on, whatever the cache has.
func TestPolicySwap(t *testing.T) {
	u := serve(t, nil, nil)
	live := new(detect.Live) // lets every name pass
	var log bytes.Buffer
	r := fresh(t, WithServers(u.addr), WithLive(live), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	ctx := context.Background()
	for range 2 {
		if _, err := r.Resolve(ctx, generated, dns.TypeA); err != nil || u.asked() != 1 {
			t.Fatalf("%v after %d queries", err, u.asked())
		}
	}
	live.Swap(policy(t, detect.Options{Action: detect.Block, Block: []string{"bad.example"}}))
	_, err := r.Resolve(ctx, generated, dns.TypeA)
	wantBlocked(t, err)
	_, err = r.Resolve(ctx, "bad.example", dns.TypeA)
	if b := wantBlocked(t, err); b.Entry != "bad.example" || b.Class != "blocked" || b.Rule != "block list" ||
		b.Model != "" || b.Error() != `bad.example is blocked by "bad.example" of the block list` {
		t.Errorf("%+v", b)
	}
	live.Swap(policy(t, detect.Options{Action: detect.Report}))
	a, err := r.Resolve(ctx, generated, dns.TypeA)
	if err != nil || a.Decision.Action != detect.Report || a.Decision.Class != "dga" || u.asked() != 1 {
		t.Errorf("%+v, %v after %d queries", a, err, u.asked())
	}
	if !strings.Contains(log.String(), "action=report name="+generated+". type=A class=dga") {
		t.Errorf("the log has %q", log.String())
	}
}

// A threshold decides as min_proba of deep-lookup.
func TestThreshold(t *testing.T) {
	const doubtful = "bitacorita.com"
	m, err := model.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	c, err := model.NewClassifier(m)
	if err != nil {
		t.Fatal(err)
	}
	score := c.Score(doubtful)
	if r := fresh(t, WithServers("192.0.2.1"), WithThreshold(score*1.01)); r.Check(doubtful) != nil {
		t.Error("blocked below the threshold")
	}
	if r := fresh(t, WithServers("192.0.2.1"), WithThreshold(score*0.99)); r.Check(doubtful) == nil {
		t.Error("passed above the threshold")
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		want string
		opts []Option
	}{
		{"unknown protocol", []Option{WithServers("https://192.0.2.1/dns-query")}},
		{"must be an IP address", []Option{WithServers("tls://dns.example")}},
		{"must be an IP address", []Option{WithServers("")}},
		{"certificate of tls://", []Option{WithServers("192.0.2.1#5353")}},
		{"certificate of tls://", []Option{WithServers("tls://192.0.2.1#")}},
		{"at most 1", []Option{WithThreshold(1.5)}},
		{"above 0", []Option{WithThreshold(0)}},
		{"Try: WithThreshold without", []Option{WithThreshold(.5), WithPolicy(nil)}},
		{"may be negative", []Option{WithServers("192.0.2.1"), WithCache(-1)}},
		{"may be negative", []Option{WithServers("192.0.2.1"), WithAttempts(-1)}},
		{"is no domain name", []Option{WithServers("192.0.2.1"), WithSearch(1, "a..b")}},
		{"Try: resolver.WithServers", []Option{WithResolvConf("testdata/none")}},
	} {
		if r, err := New(c.opts...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		} else if r != nil {
			t.Error("a Resolver and an error")
		}
	}
	for text, want := range map[string]string{"192.0.2.1": "192.0.2.1:53 udp", "192.0.2.1:5353": "192.0.2.1:5353 udp",
		"2001:db8::1": "[2001:db8::1]:53 udp", "tcp://[2001:db8::1]": "[2001:db8::1]:53 tcp",
		"[fe80::1%eth0]:99": "[fe80::1%eth0]:99 udp", "tls://192.0.2.1": "192.0.2.1:853 tcp 192.0.2.1",
		"tls://[fe80::1%eth0]#dns.example": "[fe80::1%eth0]:853 tcp dns.example"} {
		s, err := parseServer(text, nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := s.addr + " " + s.network
		if s.tls != nil {
			got += " " + s.tls.ServerName
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// resolv.conf is read with bounds, and again when it has changed.
func TestResolvConf(t *testing.T) {
	path := conf(t, "# a comment\nnameserver nonsense\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n"+
		"nameserver 192.0.2.2\nnameserver 192.0.2.3\nsearch . Corp.Example a..b example\n"+
		"options ndots:3 timeout:99999999999 attempts:77 rotate use-vc")
	r, err := New(WithResolvConf(path), withSystem(conf(t, "domain home.example")))
	if err != nil {
		t.Fatal(err)
	}
	s := r.source.settings()
	var servers []string
	for _, server := range s.servers {
		servers = append(servers, server.network+" "+server.addr)
	}
	if got := strings.Join(servers, ", "); got != "tcp 192.0.2.1:53, tcp [2001:db8::1]:53, tcp 192.0.2.2:53" {
		t.Error(got)
	}
	if s.timeout > maxTimeout*time.Second || s.timeout < time.Second || s.attempts != maxAttempts || !s.rotate ||
		s.list.Ndots != 3 || strings.Join(s.suffixes, " ") != ".corp.example .example .home.example" {
		t.Errorf("%+v", s)
	}
	first := [2]*server{s.inOrder(time.Now())[0], s.inOrder(time.Now())[0]}
	if first[0] == first[1] {
		t.Error("rotate does not")
	}
	later := func() { r.source.read = r.source.read.Add(-time.Minute) }
	if later(); r.source.settings() != s {
		t.Error("read again without a change")
	}
	r.source.options.resolvConf = conf(t, "nameserver 192.0.2.9")
	if later(); r.source.settings().servers[0].addr != "192.0.2.9:53" {
		t.Error("not read again after a change")
	}
	r.source.options.resolvConf = "testdata/none"
	if later(); r.source.settings().servers[0].addr != "192.0.2.9:53" {
		t.Error("a missing file took the last one's place")
	}
	empty, err := New(WithResolvConf(conf(t, "")), withSystem("testdata/none"))
	if err != nil || empty.source.settings().servers[0].addr != "127.0.0.1:53" {
		t.Error("an empty file does not mean this host:", err)
	}
}

func FuzzQuery(f *testing.F) {
	for _, name := range []string{"", ".", "www.example.com", `a\.b.c`, `\000\255.example`, "a..b", "ÄB.example",
		strings.Repeat("a.", 130), `xj\112ak.biz`, `\`, `a\1`} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		q, ok := newQuery(dns.Fqdn(name), dns.TypeA)
		if !ok {
			return
		}
		if again, ok := newQuery(q.name, dns.TypeA); !ok || again != q {
			t.Errorf("%q: %+v, then %+v", name, q, again)
		}
		for _, c := range q.name {
			if c < ' ' || c > '~' || 'A' <= c && c <= 'Z' {
				t.Errorf("%q: %q is sent and printed", name, q.name)
			}
		}
	})
}

func BenchmarkResolve(b *testing.B) {
	u := serve(b, nil, nil)
	r := fresh(b, WithServers(u.addr))
	for _, c := range []struct{ name, ask string }{{"cached", "www.google.com."}, {"blocked", generated + "."}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Resolve(context.Background(), c.ask, dns.TypeA)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "look-ups/s")
		})
	}
	b.Run("net", func(b *testing.B) { // package net's own work with it
		b.ReportAllocs()
		for b.Loop() {
			r.LookupNetIP(context.Background(), "ip4", "www.google.com.")
		}
	})
}
