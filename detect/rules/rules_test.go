package rules

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/alloctest"
)

// TestName has the original's rules in its order. Entropies were computed with Python, as the original does.
func TestName(t *testing.T) {
	for _, c := range []struct{ name, label, reason string }{
		{"www.example.com", "", ""},
		{"", "", ""},
		{strings.Repeat("a", 40) + ".example.com", "medium", "hex encoding detected"}, // a label of 40 is short enough
		{strings.Repeat("g", 40) + ".example.com", "", ""},
		{strings.Repeat("g", 41) + ".example.com", "high", "packet label length too high"},
		{"x." + strings.Repeat("a", 41), "high", "packet label length too high"}, // before its hexadecimal digits
		{strings.Repeat("ü", 40) + ".example.com", "", ""},                       // characters, not bytes
		{strings.Repeat("ü", 41) + ".example.com", "high", "packet label length too high"},
		{`a_\/b.example.com`, "high", "rare symbols detected"},
		{`a_\\/b.example.com`, "high", "rare symbols detected"}, // with an event's escape
		{`a_/\b.example.com`, "", ""},
		{`a\.b.example.com`, "", ""},
		{strings.Repeat("g", 30) + `\.` + strings.Repeat("g", 30) + ".com", "", ""}, // the original splits there too
		{"abcdefghijklmnopqrstuvwxyz0123.com", "high", "high entropy detected"},     // 4.91
		{"ABCDEFGHabcdefghijklmnop.com", "high", "high entropy detected"},           // case counts: 4.59
		{"abcdefghabcdefghijklmnop.com", "", ""},                                    // 3.99
		{strings.Repeat("0af", 7) + ".example.com", "medium", "hex encoding detected"},
		{"g" + strings.Repeat("0AF", 7) + ".example.com", "medium", "hex encoding detected"},
		{strings.Repeat("a", 19) + ".example.com", "", ""},
		{"a.x" + strings.Repeat("0", 30) + ".com", "", ""}, // only the first run counts
		{"caf\xff.example.com", "100%", "not utf-8 symbols detected"},
		{strings.Repeat("g", 41) + "\xff", "100%", "not utf-8 symbols detected"},
		{strings.Repeat("g.", 128), "", ""}, // 256 bytes: no name that the original's parser takes
	} {
		label, reason, ok := Name([]byte(c.name))
		if label != c.label || reason != c.reason || ok != (c.label != "") {
			t.Errorf("%q: %s, %s, %v, want %s, %s", c.name, label, reason, ok, c.label, c.reason)
		}
	}
}

func TestMaltrail(t *testing.T) {
	long := strings.Repeat("a", 25)
	for _, c := range []struct {
		name   string
		nx     bool
		reason string
	}{
		{"www.example.com", true, ""},
		{"", true, ""},
		{long + ".com", false, "long domain"},
		{long[1:] + ".com", false, ""},
		{long + "-.com", false, ""},
		{long + ".blogspot.com", false, ""},
		{"bcdfghjk.com", true, "consonant threshold no such domain"},
		{"bcdfghjk.com", false, ""},
		{"bcdfghj.com", true, ""},
		{"bcdf-ghjk.com", true, ""},
		{"www.bcdfghjk.com", true, "consonant threshold no such domain"},
		{"www.com", true, ""},
		{"abcdefghijklm.com", true, "entropy threshold no such domain"}, // log2 13 = 3.70
		{"aeiouaeiou1.com", true, ""},
	} {
		label, reason, ok := Maltrail([]byte(c.name), c.nx)
		if reason != c.reason || ok != (reason != "") || ok != (label == "suspicious") {
			t.Errorf("%q, %v: %s, %s, %v", c.name, c.nx, label, reason, ok)
		}
	}
}

func TestNoAllocs(t *testing.T) {
	for _, name := range []string{"www.example.com", strings.Repeat("é", 100), `a\.b_\\/`, strings.Repeat("0af", 9)} {
		for _, d := range Detectors {
			bytes := []byte(name)
			if n := testing.AllocsPerRun(10, func() { d.Ask(bytes, true) }); n > 0 {
				t.Errorf("%s of %q allocates %v times", d.Name, name, n)
			}
		}
	}
}

func FuzzDetectors(f *testing.F) {
	f.Add([]byte("www.example.com"), true)
	f.Add([]byte("\xff\\.\\\\\xc3\xa9"), false)
	f.Add([]byte(strings.Repeat("\\.", 300)), true)
	f.Fuzz(func(t *testing.T, name []byte, nx bool) {
		for _, d := range Detectors {
			label, reason, ok := d.Ask(name, nx)
			if ok != (label != "") || ok != (reason != "") {
				t.Errorf("%s of %q: %q, %q, %v", d.Name, name, label, reason, ok)
			}
		}
	})
}

// observe counts n names of a domain, one each step.
func observe(w *Windows, n int, name string, e events.Event, start time.Time, step time.Duration) {
	for i := range n {
		e.Name, e.Time = []byte(strings.ReplaceAll(name, "%d", strconv.Itoa(i))), start
		if !start.IsZero() {
			e.Time = start.Add(time.Duration(i) * step)
		}
		w.Observe(&e)
	}
}

func TestWindows(t *testing.T) {
	start := time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)
	long := strings.Repeat("q", 48) + "%d.t.example.com"
	client := events.Event{Client: events.Peer{Name: "laptop-7"}}
	for _, c := range []struct {
		what  string
		n     int
		name  string
		event events.Event
		start time.Time
		step  time.Duration
		want  string
	}{
		{"few names", 8, "a%d.example.com", client, start, time.Second, ""},
		{"nine names", 9, "a%d.example.com", client, start, time.Second, "anomalous-dns 9"},
		{"nine names in nine hours", 9, "a%d.example.com", client, start, time.Hour, ""},
		{"one name again and again", 2000, "a.example.com", client, start, time.Millisecond, ""},
		{"13 names", 13, "a%d.example.com", client, start, time.Second, "anomalous-dns 13; anomalous-dns, resolvers 13"},
		{"long names", 25, long, client, start, time.Second,
			"anomalous-dns 25; anomalous-dns, resolvers 25; Elastic 25 laptop-7"},
		{"long names in half an hour", 25, long, client, start, 2 * time.Minute,
			"anomalous-dns 25; anomalous-dns, resolvers 25"},
		{"names without a time", 150, "a%d.example.com", client, time.Time{}, 0,
			"RITA 150 0.225; anomalous-dns 150; anomalous-dns, resolvers 150"},
		{"1,200 names in a minute", 1200, "a%d.example.com", client, start, 50 * time.Millisecond,
			"RITA 1000 0.800; anomalous-dns 1000; anomalous-dns, resolvers 1000; maltrail 1000"},
		{"registered domains", 2000, "a%d.com", client, start, time.Millisecond, ""},
		{"dynamic DNS", 2000, "a%d.duckdns.org", client, start, time.Millisecond, ""},
		{"minimised names", 2000, "_.a%d.example.com", client, start, time.Millisecond, ""},
		{"responses", 2000, "a%d.example.com", events.Event{Kind: events.Response}, start, time.Millisecond, ""},
		{"no names", 2000, "a b%d.example.com", client, start, time.Millisecond, ""},
	} {
		w := NewWindows(0)
		observe(w, c.n, c.name, c.event, c.start, c.step)
		got := []string{}
		for _, h := range w.Hits() {
			text := fmt.Sprint(h.Rule, " ", h.Names)
			if h.Score > 0 {
				text += fmt.Sprintf(" %.3f", h.Score)
			}
			if h.Client != "" {
				text += " " + h.Client
			}
			if h.Domain != "example.com" || !h.Start.Equal(c.start) || h.Reason == "" {
				t.Errorf("%s: %+v", c.what, h)
			}
			got = append(got, text)
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%s: %q, want %q", c.what, text, c.want)
		}
	}
}

// A domain has a hit for each window, in the order of time.
func TestWindowsEnd(t *testing.T) {
	w := NewWindows(0)
	start := time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)
	observe(w, 9, "a%d.example.com", events.Event{}, start, time.Second)
	observe(w, 10, "a%d.example.com", events.Event{}, start.Add(2*time.Hour), time.Second)
	observe(w, 5, "b%d.example.com", events.Event{}, start, time.Second) // time runs backwards
	hits := w.Hits()
	if len(hits) != 3 || hits[0].Names != 9 || hits[1].Names != 15 || hits[1].Start.Sub(hits[0].Start) != 2*time.Hour {
		t.Errorf("%+v", hits)
	}
}

// A flood of domains takes no more than the bound.
func TestWindowsBound(t *testing.T) {
	const domains = 64
	w := NewWindows(domains)
	taken := alloctest.Bytes(func() {
		for round := range 3 {
			for d := range 4 * domains {
				observe(w, 20, fmt.Sprintf("%%d-%s.%d.x%d.com", strings.Repeat("q", 50), round, d), events.Event{}, time.Time{}, 0)
			}
		}
	})
	for i := range w.open {
		if len(w.open[i]) > domains || len(w.order[i]) > domains || len(w.hits[i]) > domains {
			t.Errorf("%s: %d windows, %d keys, %d hits", windowRules[i].name, len(w.open[i]), len(w.order[i]), len(w.hits[i]))
		}
	}
	if len(w.hits[1]) != domains || taken > uint64(3*4*domains*len(windowRules)*3000) {
		t.Errorf("%d hits, %d bytes", len(w.hits[1]), taken)
	}
}
