package degas

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/degas-dns/degas/datasets/synth"
	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	_ "github.com/degas-dns/degas/events/logs"
)

// noon is when tests begin, in the middle of every stretch of time.
var noon = time.Date(2026, 3, 4, 12, 0, 10, 0, time.UTC)

// quiet makes an engine of which nothing runs: a test moves it.
func quiet(t *testing.T, s settings) *engine {
	t.Helper()
	e, err := newEngine(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.watched.close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// asks is a query of a client.
func asks(name string, at time.Time) *query {
	return &query{name: []byte(name), asked: []byte(name), time: at, qtype: 1, kind: events.Both, transport: events.UDP,
		client: netip.MustParseAddrPort("192.0.2.7:5353")}
}

// counted is the sum of a metric with a label of a value.
func counted(t *testing.T, metric, value string) (sum float64) {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == metric && len(m.Label) > 0 && m.Label[0].GetValue() == value {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestHeld(t *testing.T) {
	var h held
	if h.has([]byte("evil.example"), noon) || h.forget(noon) != nil {
		t.Error("nothing was held yet")
	}
	h.hold("evil.example", noon.Add(time.Minute))
	h.hold("late.example", noon.Add(time.Hour))
	for name, want := range map[string]bool{"evil.example": true, "EVIL.Example": true, "a.b.evil.example": true,
		"notevil.example": false, "evil.example.com": false, "example": false, "": false, ".": false, "..": false,
		`a\.evil.example`: false, `b.a\.evil.example`: false, `a\\.evil.example`: true, "\x00\xff.evil.example": true,
		strings.Repeat("a.", 127) + "evil.example": true} {
		if got := h.has([]byte(name), noon); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
	over := noon.Add(time.Minute)
	if h.has([]byte("a.evil.example"), over) {
		t.Error("held too long")
	}
	if got := h.forget(over); len(got) != 1 || h.forget(over) != nil || len(*h.until.Load()) != 1 ||
		!h.has([]byte("late.example"), over) {
		t.Error("wrong ones were let go")
	}
}

func TestHeldIsBounded(t *testing.T) {
	var h held
	m := map[string]time.Time{}
	for i := range mostHeld {
		m[fmt.Sprintf("%d.example", i)] = noon.Add(time.Minute)
	}
	h.until.Store(&m)
	h.hold("more.example", noon.Add(time.Minute))
	h.hold("7.example", noon.Add(time.Hour))
	if h.has([]byte("more.example"), noon) || !h.has([]byte("7.example"), noon.Add(time.Minute)) {
		t.Error("one more is held, or one that is known is not held longer")
	}
}

func TestEvidenceDropsWhatIsTooMuch(t *testing.T) {
	e := quiet(t, usual())
	before := counted(t, "coredns_degas_events_dropped_total", "evidence")
	q := asks("", noon)
	for i := range mostWaiting + 5 {
		q.name = fmt.Appendf(q.name[:0], "www.example%d.com", i)
		for range 2 { // the second one is counted in the first, or lost as it is
			e.watched.add(q, &detect.Decision{}, action{})
		}
	}
	if n := counted(t, "coredns_degas_events_dropped_total", "evidence") - before; n != 10 {
		t.Errorf("%v events are counted as lost, want 10", n)
	}
	copy(q.name, "xxx") // the waiting events have memory of their own
	taken := e.watched.take()
	if len(taken) != mostWaiting || string(taken[0].event.Name) != "www.example0.com" || taken[0].times != 2 ||
		len(e.watched.take()) != 0 {
		t.Errorf("%d events wait, the first %+v", len(taken), taken[0])
	}
	e.watched.add(q, &detect.Decision{}, action{})
	if n := len(e.watched.take()); n != 1 {
		t.Errorf("%d events wait after that, want 1", n)
	}
}

// TestTunnelIsHeld sends a tunnel whose names pass one by one, in simulated time.
func TestTunnelIsHeld(t *testing.T) {
	family, err := synth.Lookup("iodine")
	if err != nil {
		t.Fatal(err)
	}
	names, err := family.Generate(synth.Params{Seed: 3, Count: 120})
	if err != nil {
		t.Fatal(err)
	}
	zone, _ := detect.Zone(names[0])
	for _, c := range []struct {
		name string
		set  func(*settings)
		held bool

		rcode events.RCode
	}{
		{"blocked", func(s *settings) { s.actions[tunnel] = action{does: nxdomain} }, true, 0},
		// Whoever asks for such names below others' domains must not have them blocked.
		{"denied", func(s *settings) { s.actions[tunnel] = action{does: nxdomain} }, false, events.NXDomain},
		{"reported", func(*settings) {}, false, 0},
		{"monitor", func(s *settings) { s.actions[tunnel], s.monitor = action{does: nxdomain}, true }, false, 0},
		{"allowed", func(s *settings) {
			s.actions[tunnel] = action{does: nxdomain}
			s.lists.Allow = []string{filepath.Join(folder(t, map[string]string{"a": "*." + zone + "\n"}), "a")}
		}, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := usual()
			c.set(&s)
			e := quiet(t, s)
			before, now := e.version(), noon
			send := func() {
				for i, name := range names {
					now = now.Add(20 * time.Millisecond)
					q := asks(name, now)
					q.qtype, q.size, q.rcode = 10, 200, c.rcode // NULL
					d, err := e.decide(t.Context(), q)
					if err != nil {
						t.Fatal(err)
					}
					e.watched.add(q, &d, action{})
					if i%10 == 9 {
						e.watched.work(now)
						e.watched.look(t.Context(), now)
					}
				}
			}
			send()
			plain := asks("plain."+zone, now)
			d, _ := e.decide(t.Context(), plain)
			if held := d.Rule == detect.Evidence; held != c.held || held != (e.version() > before) {
				t.Fatalf("%s is held: %v, want %v; version %d after %d", zone, held, c.held, e.version(), before)
			}
			if !c.held {
				return
			}
			if a, k := e.action(&d); a.does != nxdomain || k != tunnel || d.Verdict != detect.Malicious {
				t.Errorf("decision %+v", d)
			}
			held := e.version()
			now = now.Add(e.hold)
			plain.time = now
			e.watched.look(t.Context(), now)
			if d, _ := e.decide(t.Context(), plain); d.Rule == detect.Evidence || e.version() == held {
				t.Error("the domain was not let go")
			}
			send()
			plain.time = now
			if d, _ := e.decide(t.Context(), plain); d.Rule != detect.Evidence {
				t.Error("a tunnel that goes on is not found again")
			}
		})
	}
}

func TestSummary(t *testing.T) {
	var s summary
	one := func(name string, d detect.Decision, a action) {
		q := asks(name, noon)
		x := seen{decision: d, act: a, times: 1}
		q.event(&x.event)
		s.add(&x)
	}
	one("www.example.com", detect.Decision{}, action{})
	for range 3 {
		one("a.bad.com", detect.Decision{Verdict: detect.Malicious, Class: "dga"}, action{does: report})
	}
	one("t.tunnel.com", detect.Decision{Verdict: detect.Malicious, Class: "tunnel"}, action{does: nxdomain})
	one("ads.list.com", detect.Decision{Verdict: detect.Blocked}, action{does: nxdomain})
	if s.queries != 6 || s.done != [kinds]int64{3, 1, 1} || s.domains["bad.com"] != 3 || len(s.clients) != 1 {
		t.Errorf("%+v", s)
	}
	for i := range 2 * mostSummed {
		one(fmt.Sprintf("a.%d-bad.com", i), detect.Decision{Verdict: detect.Malicious, Class: "dga"}, action{does: report})
	}
	if len(s.domains) != mostSummed {
		t.Errorf("%d domains are remembered", len(s.domains))
	}
	if s.print(); s.queries != 0 || s.domains != nil {
		t.Errorf("not forgotten: %+v", s)
	}
}

// stalled is somebody who does not read, until the end.
type stalled chan struct{}

func (s stalled) Write(p []byte) (int, error) {
	<-s
	return len(p), nil
}

// A reader of the log who stalls does not stop what writes it.
func TestStalledReader(t *testing.T) {
	to := make(stalled)
	defer close(to)
	p := newPipe(to)
	lost := 0
	for range 3 * mostBuffers {
		if _, err := p.Write([]byte("line\n")); err != nil {
			lost++
		}
	}
	if lost < mostBuffers || lost > 2*mostBuffers {
		t.Errorf("%d of %d lines were lost", lost, 3*mostBuffers)
	}
	begin := time.Now()
	if p.close(); time.Since(begin) > 2*lastTry {
		t.Error("the end waits for the reader")
	}
}

// readLog reads a log of queries as degas scan does.
func readLog(t *testing.T, path string) (names []string) {
	t.Helper()
	f, err := events.Open(t.Context(), path, events.Options{Columns: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		var e events.Event
		if err := f.Next(&e); err == io.EOF {
			return names
		} else if err != nil {
			t.Fatal(err)
		}
		names = append(names, string(e.Name))
		if !e.Time.Equal(noon) || e.Client.String() != "192.0.2.7" || e.Kind != events.Both || e.Type != 1 ||
			e.Transport != events.UDP {
			t.Errorf("read %+v", e)
		}
		if last := e.Columns[len(e.Columns)-1]; last != (events.Column{Name: "done", Value: "nxdomain"}) {
			t.Errorf("last column %v", last)
		}
	}
}

func TestQueryLogRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queries.jsonl")
	s := usual()
	s.log = path
	e := quiet(t, s)
	var want []string
	for _, name := range []string{"www.example.com", "\xc3\x28\x00\"\\\\\n.example", ".", `a\.b.example`} {
		want = append(want, name)
		e.watched.add(asks(name, noon), &detect.Decision{Verdict: detect.Blocked}, action{does: nxdomain})
	}
	e.watched.work(noon)
	if got := readLog(t, path); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("read %q, want %q", got, want)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	e.watched.add(asks("later.example", noon), &detect.Decision{}, action{does: nxdomain})
	e.watched.work(noon)
	if old, now := readLog(t, path+".1"), readLog(t, path); len(old) != len(want) || len(now) != 1 {
		t.Errorf("%d lines in the old log, and %d in the new one", len(old), len(now))
	}
}

// taker is an HTTP server that takes events, unless it fails.
type taker struct {
	*httptest.Server
	mu    sync.Mutex
	fails int
	text  strings.Builder
	most  int
}

func newTaker(t *testing.T, fails int) *taker {
	k := &taker{fails: fails}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.fails > 0 {
			k.fails--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		k.most = max(k.most, len(body))
		k.text.Write(body)
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *taker) taken() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.text.String()
}

func TestPosterTriesAgain(t *testing.T) {
	k := newTaker(t, 1)
	p := newPoster(k.URL)
	var want strings.Builder
	for i := range 3 {
		line := fmt.Sprintf("{\"line\":%d,%q:0}\n", i, strings.Repeat("x", mostBody/2))
		want.WriteString(line)
		p.add([]byte(line))
	}
	for end := time.Now().Add(20 * time.Second); len(k.taken()) < want.Len() && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	p.close()
	if k.taken() != want.String() {
		t.Errorf("%d bytes came, want the %d sent", len(k.taken()), want.Len())
	}
	if k.most > mostBody {
		t.Errorf("a body of %d bytes", k.most)
	}
}

func TestPosterIsBounded(t *testing.T) {
	k := newTaker(t, 1<<30)
	p := newPoster(k.URL)
	before := counted(t, "coredns_degas_events_dropped_total", "url")
	lines := []byte(strings.Repeat(strings.Repeat("x", 1023)+"\n", 1<<10))
	for range mostPosted/len(lines) + 2 {
		p.add(lines)
	}
	if len(p.waiting) > mostPosted {
		t.Errorf("%d bytes wait", len(p.waiting))
	}
	if n := counted(t, "coredns_degas_events_dropped_total", "url") - before; n != 2<<10 {
		t.Errorf("%v lines are counted as lost, want %d", n, 2<<10)
	}
	p.close()
	if n := counted(t, "coredns_degas_events_dropped_total", "url") - before; n != 18<<10 {
		t.Errorf("%v lines are counted as lost at the end, want all %d", n, 18<<10)
	}
}

func TestStopWritesWhatWaits(t *testing.T) {
	k := newTaker(t, 0)
	s := usual()
	s.log, s.events = filepath.Join(t.TempDir(), "queries.jsonl"), k.URL
	e, err := newEngine(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	e.start()
	const n = 3000
	for i := range n {
		q := asks(fmt.Sprintf("%d.example", i), noon)
		e.observe(q, &detect.Decision{}, action{does: nxdomain})
	}
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	if got := readLog(t, s.log); len(got) != n {
		t.Errorf("the log has %d lines, want %d", len(got), n)
	}
	if got := strings.Count(k.taken(), "\n"); got != n {
		t.Errorf("the server got %d lines, want %d", got, n)
	}
}

func TestLimits(t *testing.T) {
	ask := func(l *limits, client string, at time.Time) bool { return l.allow(netip.MustParseAddr(client), at) }
	if none := newLimits(0, 0); !ask(none, "192.0.2.1", noon) {
		t.Error("no limit bounds")
	}
	l := newLimits(2, 3)
	for i, c := range []struct {
		client string
		after  time.Duration
		want   bool
	}{
		{"192.0.2.1", 0, true}, {"192.0.2.1", 0, true}, {"192.0.2.1", 0, true}, {"192.0.2.1", 0, false},
		{"192.0.2.1", 400 * time.Millisecond, false}, {"192.0.2.1", 500 * time.Millisecond, true},
		{"192.0.2.1", -time.Hour, false}, {"192.0.2.1", time.Second, true},
		{"192.0.2.1", time.Hour, true}, {"192.0.2.1", time.Hour, true}, {"192.0.2.1", time.Hour, true},
		{"192.0.2.1", time.Hour, false},
	} {
		if got := ask(l, c.client, noon.Add(c.after)); got != c.want {
			t.Errorf("query %d: %v, want %v", i, got, c.want)
		}
	}
	// A network of 64 bits is one client, whatever its zone; the next network is another one.
	l = newLimits(1, 2)
	for i, c := range []struct {
		client string
		want   bool
	}{{"2001:db8::1", true}, {"2001:db8::2%eth0", true}, {"2001:db8::ffff:0:0:1", false}, {"2001:db8:0:1::1", true}} {
		if got := ask(l, c.client, noon); got != c.want {
			t.Errorf("IPv6 query %d: %v, want %v", i, got, c.want)
		}
	}
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for k := range 1000 {
				ask(l, fmt.Sprintf("10.%d.0.%d", i, k%250), time.Now())
			}
		})
	}
	wait.Wait()
}
