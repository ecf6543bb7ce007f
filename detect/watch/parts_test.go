package watch

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/degas-dns/degas/events"
)

// days is traffic of several days: offices, malware that goes on across midnight and noon, names looked up first
// without and then with an answer, a tunnel without a domain, forwarders, and events without a time.
func days(t testing.TB) (out []events.Event) {
	for _, shift := range []time.Duration{0, 11 * time.Hour, 47 * time.Hour} {
		for _, e := range office(t) {
			e.Time = e.Time.Add(shift)
			out = append(out, e)
		}
	}
	noon := start.Truncate(24 * time.Hour).Add(12 * time.Hour)
	for i, name := range generate(t, "dnscat2", 900) { // more than a sample holds
		out = append(out, answered(noon.Add(time.Duration(i-400)*time.Second), "192.0.2.78", name, events.NoError))
	}
	for i, name := range generate(t, "ramnit", 700) {
		client := fmt.Sprintf("192.0.2.%d", 90+i%3)
		at := noon.Add(time.Duration(i-300) * 4 * time.Minute)
		asked := answered(at, client, name, events.NoRCode)
		asked.Kind = events.Query
		out = append(out, asked, answered(at.Add(time.Hour), client, name, events.NXDomain))
		e := answered(at, "192.0.2.53", name, events.NXDomain) // a forwarder
		answer := answered(at, "192.0.2.9", name, events.NXDomain)
		answer.Server = events.Peer{Addr: netip.MustParseAddr("192.0.2.53")}
		out = append(out, e, answer)
	}
	for i := range 300 {
		name := fmt.Sprintf("%x.%x", i*7919, i*104729)
		e := answered(noon.Add(time.Duration(i)*time.Second), "192.0.2.79", name, events.NoError)
		e.Server, e.Type = events.Peer{Addr: netip.MustParseAddr("198.51.100.1")}, 16
		if i%50 == 0 {
			e.Time = time.Time{}
		}
		out = append(out, e)
	}
	slices.SortStableFunc(out, func(a, b events.Event) int { return a.Time.Compare(b.Time) })
	return out
}

// saved is what Restore makes of what a Watch writes.
func saved(t testing.TB, w *Watch) *Watch {
	t.Helper()
	var b bytes.Buffer
	if err := w.Save(&b); err != nil {
		t.Fatal(err)
	}
	out := New(Options{Part: true})
	if err := out.Restore(&b); err != nil {
		t.Fatal(err)
	}
	return out
}

// concluded merges the shares of Watches as far apart as can be: by lane and half day, then the lanes.
func concluded(t testing.TB, parts []*Watch, lanes int) []Finding {
	t.Helper()
	shares := map[Share]*Watch{}
	for _, w := range parts {
		for share, part := range w.Parts(lanes) {
			if part = saved(t, part); shares[share] == nil {
				shares[share] = part
			} else if err := shares[share].Merge(part); err != nil {
				t.Fatal(err)
			}
		}
	}
	lane := map[int]*Watch{}
	for _, share := range slices.SortedFunc(func(yield func(Share) bool) {
		for s := range shares {
			if !yield(s) {
				return
			}
		}
	}, func(a, b Share) int { return cmp.Compare(a.Half, b.Half) }) {
		w := lane[share.Lane]
		if w == nil {
			w = New(Options{Part: true, Seed: 1})
			lane[share.Lane] = w
		}
		if err := w.Merge(saved(t, shares[share])); err != nil {
			t.Fatal(err)
		}
		w.EndBefore(share.EndOf())
	}
	end := New(Options{Part: true, Seed: 1})
	for _, w := range lane {
		w.EndBefore(math.MaxInt64)
		if clients, domains := w.Size(); clients+domains > 0 {
			t.Errorf("%d clients and %d domains are not at their end", clients, domains)
		}
		if err := end.Merge(saved(t, w)); err != nil {
			t.Fatal(err)
		}
	}
	return end.Findings()
}

// Whatever way the events are cut, the parts have the findings of the whole, to the last digit.
func TestParts(t *testing.T) {
	all := days(t)
	decisions := decide(t, all)
	whole := New(Options{Seed: 1})
	for i := range all {
		whole.Observe(&all[i], &decisions[i])
	}
	want := whole.Findings()
	if len(want) < 7 {
		t.Fatalf("only %d findings: %q", len(want), subjects(want))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range []int{1, 2, 7} {
		for name, part := range map[string]func(i int) int{
			"stretches": func(i int) int { return i * k / len(all) },
			"turns":     func(i int) int { return i % k },
			"random":    func(int) int { return r.IntN(k) },
		} {
			for _, lanes := range []int{1, 5} {
				t.Run(fmt.Sprint(k, name, lanes), func(t *testing.T) {
					parts := make([]*Watch, k)
					for i := range parts {
						parts[i] = New(Options{Seed: 1, Part: true})
					}
					for i := range all {
						parts[part(i)].Observe(&all[i], &decisions[i])
					}
					got := concluded(t, parts, lanes)
					if !slices.Equal(subjects(got), subjects(want)) {
						t.Fatalf("%q\nwant %q", subjects(got), subjects(want))
					}
					for i := range got {
						if !reflect.DeepEqual(got[i], want[i]) {
							a, _ := json.Marshal(got[i])
							b, _ := json.Marshal(want[i])
							t.Errorf("%s\nwant %s", a, b)
						}
					}
				})
			}
		}
	}
}

// A Watch that was warmed knows the names of a search list as the one before it does.
func TestWarm(t *testing.T) {
	var all []events.Event
	for i, name := range generate(t, "ramnit", 200) {
		at := start.Add(time.Duration(i) * 3 * time.Second)
		all = append(all, answered(at, "192.0.2.9", name, events.NoError),
			answered(at, "192.0.2.9", name+".corp.example.com", events.NXDomain))
	}
	decisions := decide(t, all)
	events := func(warm int) int64 {
		w := New(Options{Seed: 1, Part: true})
		for i := range all {
			if i < warm {
				w.Warm(&all[i], &decisions[i])
			} else if i >= 100 {
				w.Observe(&all[i], &decisions[i])
			}
		}
		for _, t := range w.zones[0].Tables {
			if n := t.By[zone{Domain: "example.com"}]; n != nil {
				return n.Queries
			}
		}
		return 0
	}
	if cold, warm := events(0), events(100); cold == 0 || warm != 0 {
		t.Errorf("%d names of a search list are evidence, and after warming %d", cold, warm)
	}
}
