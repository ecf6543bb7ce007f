package stream

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/degas-dns/degas/datasets/synth"
	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/metrics"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/events/follow"
	_ "github.com/degas-dns/degas/events/logs"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
)

var policy = sync.OnceValue(func() *detect.Policy {
	m, _ := model.Builtin()
	c, _ := model.NewClassifier(m)
	p, _ := detect.New(detect.Options{Classifier: c})
	return p
})

// memory is a Sink.
type memory struct {
	mu    sync.Mutex
	found []watch.Finding
}

func (m *memory) Send(_ context.Context, f watch.Finding) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.found = append(m.found, f)
	return nil
}

func (m *memory) Close() error { return nil }

func (m *memory) subjects() (out []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.found {
		out = append(out, f.Subject())
	}
	return out
}

// lines are a log with a tunnel, in the format that needs one column.
func tunnel(t *testing.T) (lines []string, zone string) {
	t.Helper()
	f, err := synth.Lookup("dnscat2")
	if err != nil {
		t.Fatal(err)
	}
	names, err := f.Generate(synth.Params{Seed: 4, Count: 120})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		lines = append(lines, name+",192.0.2.7\n")
	}
	zone, _ = detect.Zone(names[0])
	return lines, zone
}

// begin watches a log, until stop is called.
func begin(t *testing.T, path, state string, sink *memory) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	o := Options{Policy: policy(), Watch: watch.New(watch.Options{Live: true}), Sink: sink, Metrics: metrics.New("test"),
		State: state, Look: 100 * time.Millisecond, Save: 100 * time.Millisecond}
	places, err := Restore(state, o.Watch)
	if err != nil {
		t.Fatal(err)
	}
	var from *follow.State
	if place, ok := places[path]; ok {
		from = &place
	}
	f, err := follow.Open(ctx, path, events.Options{Format: "csv", Fields: map[string]string{"name": "1", "client": "2"}},
		from)
	if err != nil {
		t.Fatal(err)
	}
	o.Sources = []Source{{Name: path, Reader: f, Stats: &f.Stats, Place: f.State}}
	done := make(chan error, 1)
	go func() { done <- Run(ctx, o) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func write(t *testing.T, path string, lines []string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.WriteString(f, strings.Join(lines, "")); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 300 {
		if ok() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal(what)
}

// A tunnel is found in a log as it grows, once; what is known lives through a restart in its middle.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	path, state := filepath.Join(dir, "queries.csv"), filepath.Join(dir, "state")
	lines, zone := tunnel(t)
	write(t, path, nil)
	sink := &memory{}
	stop := begin(t, path, state, sink)
	write(t, path, lines[:8]) // too few to say anything
	eventually(t, "no state", func() bool { _, err := os.Stat(state); return err == nil })
	time.Sleep(500 * time.Millisecond)
	stop()
	if got := sink.subjects(); len(got) > 0 {
		t.Errorf("found %q", got)
	}
	write(t, path, lines[8:14]) // while nobody watches
	stop = begin(t, path, state, sink)
	write(t, path, lines[14:])
	eventually(t, "the tunnel is not found", func() bool { return len(sink.subjects()) > 0 })
	stop()
	stop = begin(t, path, state, sink)
	time.Sleep(500 * time.Millisecond)
	stop()
	if got := sink.subjects(); len(got) != 1 || got[0] != zone {
		t.Errorf("found %q, want %s", got, zone)
	}
	if f := sink.found[0]; f.Names < 15 || f.Client != "192.0.2.7" {
		t.Errorf("%+v", f)
	}
}

// Lines that are written while nobody watches are read after a restart, also if the log was quiet all the time before.
func TestRunOfAQuietLog(t *testing.T) {
	dir := t.TempDir()
	path, state := filepath.Join(dir, "queries.csv"), filepath.Join(dir, "state")
	lines, zone := tunnel(t)
	write(t, path, []string{"www.example.org,192.0.2.7\n"})
	sink := &memory{}
	for range 2 {
		stop := begin(t, path, state, sink)
		eventually(t, "no state", func() bool { _, err := os.Stat(state); return err == nil })
		stop()
	}
	write(t, path, lines)
	stop := begin(t, path, state, sink)
	eventually(t, "the tunnel is not found", func() bool { return len(sink.subjects()) > 0 })
	stop()
	if got := sink.subjects(); len(got) != 1 || got[0] != zone {
		t.Errorf("found %q, want %s", got, zone)
	}
}

// failing is a Reader that fails.
type failing struct{}

func (failing) Next(*events.Event) error { return fmt.Errorf("the cable is cut") }

// A source that fails ends the watch with its name; sources that end do so without an error.
func TestRunEnds(t *testing.T) {
	o := Options{Policy: policy(), Watch: watch.New(watch.Options{Live: true}), Sink: &memory{},
		Metrics: metrics.New("test")}
	o.Sources = []Source{{Name: "eth7", Reader: failing{}, Stats: &events.Stats{}}}
	if err := Run(t.Context(), o); err == nil || err.Error() != "watch eth7: the cable is cut" {
		t.Errorf("%v", err)
	}
	text := strings.NewReader("name,client\na.example.com,192.0.2.1\n")
	in, err := events.OpenStream(t.Context(), text, "", events.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o.Sources = []Source{{Name: "ends", Reader: in, Stats: &in.Stats}}
	if err := Run(t.Context(), o); err != nil {
		t.Error(err)
	}
}

// A state that cannot be read is named, and says what to do.
func TestRestoreRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for _, text := range []string{"", "no state\n", `{"degas_watch":9}` + "\n", `{"degas_watch":1}` + "\nbroken"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Restore(path, watch.New(watch.Options{Live: true}))
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "remove the file") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A policy with another model decides about what comes next. The watch then goes by the tables of that model.
func TestAnotherModel(t *testing.T) {
	var kept []float64
	w := watch.New(watch.Options{Live: true})
	r := &runner{Options: Options{Policy: policy(), Watch: w, Metrics: metrics.New("test"),
		Keep: func(_ string, _ []events.Event, all []detect.Decision) { kept = append(kept, all[0].Score) }},
		cache: detect.NewCache(policy(), 0)}
	observe := func() {
		t.Helper()
		all := []events.Event{{Name: []byte("xjpakmdcfuqe.biz")}}
		if err := r.observe(t.Context(), &source{Source: Source{Name: "test"}}, all); err != nil {
			t.Fatal(err)
		}
	}
	observe()
	c, err := model.NewClassifier(modeltest.Small(.5, nil))
	if err != nil {
		t.Fatal(err)
	}
	r.adopt(r.Policy.WithModel(c))
	observe()
	r.adopt(policy())
	observe()
	if len(kept) != 3 || kept[0] < .9 || kept[1] > .7 || kept[2] != kept[0] {
		t.Errorf("scores %v", kept)
	}
}
