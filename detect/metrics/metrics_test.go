package metrics

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/degas-dns/degas/events"
)

func text(t *testing.T, m *Metrics) string {
	t.Helper()
	var b strings.Builder
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWrite(t *testing.T) {
	m := New("1.2")
	m.Events.With("eth0", RCodeClass(events.NXDomain)).Add(3)
	m.Events.With("eth0", RCodeClass(events.NoRCode)).Add(1)
	m.Refused.With("a \"strange\"\n\\ \xff reason").Set(7)
	m.StateSaved.With().Set(1800000000)
	m.LastEvent.With().Set(time.Now().Add(-time.Hour).Unix())
	got := text(t, m)
	for _, want := range []string{
		"# HELP degas_events_total Events read.\n# TYPE degas_events_total counter\n" +
			"degas_events_total{source=\"eth0\",rcode=\"none\"} 1\ndegas_events_total{source=\"eth0\",rcode=\"nxdomain\"} 3\n",
		"degas_units_refused_total{reason=\"a \\\"strange\\\"\\n\\\\ \ufffd reason\"} 7\n",
		"# TYPE degas_names_scored_total counter\ndegas_names_scored_total 0\n",
		"# TYPE degas_last_event_age_seconds gauge\ndegas_last_event_age_seconds 360",
		"degas_state_saved_timestamp_seconds 1800000000\n",
		"degas_build_info{version=\"1.2\",go_version=\"go",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	line := regexp.MustCompile(`^(# (HELP|TYPE) degas_[a-z_]+ .+|` +
		`degas_[a-z_]+(\{([a-z_]+="(\\[\\"n]|[^\\"])*",?)+\})? \d+)$`)
	for l := range strings.Lines(got) {
		if !line.MatchString(strings.TrimSuffix(l, "\n")) {
			t.Errorf("%q is no line of the format", l)
		}
	}
}

func TestEach(t *testing.T) {
	m := New("1.2")
	for i := range mostSeries + 5 {
		m.Refused.With(fmt.Sprintf("reason %03d", i)).Add(1)
	}
	sum, last := int64(0), ""
	m.Refused.Each(func(labels []string, n int64) {
		if len(labels) != 1 || last >= labels[0] && last != "" && labels[0] != "other" {
			t.Errorf("%q after %q", labels, last)
		}
		sum, last = sum+n, labels[0]
	})
	if sum != mostSeries+5 {
		t.Errorf("%d counted, want %d", sum, mostSeries+5)
	}
	m.LastEvent.Each(func(labels []string, n int64) {
		if len(labels) != 0 || n == 0 {
			t.Errorf("without labels: %q %d", labels, n)
		}
	})
}

func TestRCodeClass(t *testing.T) {
	for code, want := range map[events.RCode]string{events.NoRCode: "none", events.NoError: "noerror",
		events.NXDomain: "nxdomain", events.ServFail: "servfail", events.Refused: "refused", events.FormErr: "formerr",
		4: "other", 23: "other", 3000: "other"} {
		if got := RCodeClass(code); got != want {
			t.Errorf("%d: %q, want %q", code, got, want)
		}
	}
}

// Labels without end must not fill memory.
func TestSeriesAreBounded(t *testing.T) {
	m := New("")
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 10 * mostSeries {
				m.Skipped.With(fmt.Sprint(g, i)).Add(1)
			}
		})
	}
	all.Wait()
	var sum int64
	for _, v := range m.Skipped.values {
		sum += v.Load()
	}
	if n := len(m.Skipped.values); n > mostSeries+1 || sum != 40*mostSeries {
		t.Errorf("%d series with %d in all", n, sum)
	}
	if m.Skipped.With("late") != m.Skipped.With("later") {
		t.Error("new labels are not counted together")
	}
}

func TestServe(t *testing.T) {
	l, err := Listen("0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- New("").Serve(ctx, l) }()
	for path, want := range map[string]string{"/metrics": "degas_build_info", "/livez": "ok\n", "/": "404"} {
		r, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || !strings.Contains(r.Status+string(body), want) {
			t.Errorf("%s: %s %q, %v", path, r.Status, body, err)
		}
		if ct := r.Header.Get("Content-Type"); path == "/metrics" && !strings.HasPrefix(ct, "text/plain; version=0.0.4") {
			t.Error(ct)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestListen(t *testing.T) {
	for addr, want := range map[string]string{"0": "127.0.0.1:", ":0": "127.0.0.1:", "127.0.0.1:0": "127.0.0.1:"} {
		l, err := Listen(addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Addr().String(); !strings.HasPrefix(got, want) {
			t.Errorf("%s listens at %s", addr, got)
		}
		l.Close()
	}
	if _, err := Listen("nowhere"); err == nil || !strings.Contains(err.Error(), "Try: another address") {
		t.Error(err)
	}
}
