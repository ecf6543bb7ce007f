package watch

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
)

// A live Watch tells of a tunnel and of a DGA once, within a minute of traffic, and goes on after a restart.
func TestLive(t *testing.T) {
	all := office(t)
	decisions := decide(t, all)
	o := Options{Seed: 1, Live: true}
	w := New(o)
	first := map[string]time.Duration{}
	tick := start
	for i := range all {
		w.Observe(&all[i], &decisions[i])
		if all[i].Time.Sub(tick) < 5*time.Second {
			continue
		}
		tick = all[i].Time
		for _, f := range w.Now(tick) {
			key := f.Kind + " " + f.Subject()
			if _, again := first[key]; again && f.Kind != List {
				t.Errorf("%s is told of twice", key)
			}
			first[key] = tick.Sub(start)
		}
		if i == len(all)/2 { // killed and started again
			var state bytes.Buffer
			if err := w.Save(&state); err != nil {
				t.Fatal(err)
			}
			w = New(o)
			if err := w.Restore(&state); err != nil {
				t.Fatal(err)
			}
		}
	}
	zone, _ := detect.Zone(generate(t, "iodine", 1)[0])
	delete(first, "dga-client 192.0.2.91") // of which nothing says yet that it gets answers
	if len(first) != 3 || first["tunnel "+zone] > time.Minute || first["dga-client 192.0.2.66"] > 8*time.Minute {
		t.Errorf("%v", first)
	}
}

// Events that are told of once with their number are the same as each of them told of.
func TestObserveTimes(t *testing.T) {
	all := office(t)
	decisions := decide(t, all)
	one, each := New(Options{Seed: 1}), New(Options{Seed: 1})
	for i := range all {
		times := uint32(1 + i%3)
		one.ObserveTimes(&all[i], &decisions[i], times)
		for range times {
			each.Observe(&all[i], &decisions[i])
		}
	}
	if got, want := one.Findings(), each.Findings(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

// A tunnel that goes on after it was forgotten is found again.
func TestForget(t *testing.T) {
	all := office(t)
	decisions := decide(t, all)
	w := New(Options{Seed: 1, Live: true})
	zone, _ := detect.Zone(generate(t, "iodine", 1)[0])
	found, tick := 0, start
	for i := range all {
		w.Observe(&all[i], &decisions[i])
		if all[i].Time.Sub(tick) < 5*time.Second {
			continue
		}
		tick = all[i].Time
		for _, f := range w.Now(tick) {
			if f.Kind == Tunnel && f.Domain == zone && found < 3 {
				found++
				w.Forget(zone)
			}
		}
	}
	if found < 2 {
		t.Errorf("the tunnel was found %d times, want again and again", found)
	}
}

// A state that is damaged is refused.
func TestRestoreRefuses(t *testing.T) {
	w := New(Options{Seed: 1, Live: true})
	observe(t, w, office(t)[:500])
	var state bytes.Buffer
	if err := w.Save(&state); err != nil {
		t.Fatal(err)
	}
	good := state.Bytes()
	for cut := 0; cut < len(good); cut += 1 + len(good)/50 {
		if err := New(Options{Live: true}).Restore(bytes.NewReader(good[:cut])); err == nil {
			t.Errorf("a state of %d of %d bytes is read", cut, len(good))
		}
	}
	if err := New(Options{Live: true}).Restore(strings.NewReader("no state\x1b[31m")); err == nil ||
		strings.ContainsRune(err.Error(), 0x1b) {
		t.Errorf("%v", err)
	}
}
