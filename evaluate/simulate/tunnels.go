package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/degas-dns/degas/datasets/synth"
	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
)

// runningTunnel asks for the names of a tool one after another.
type runningTunnel struct {
	names     [][]byte
	decisions []detect.Decision
	zone      string
	kind      events.Type
	client    netip.Addr
	start     time.Time
	gap       time.Duration
	begin     time.Duration // since start
	next      time.Duration
	found     time.Duration // after begin; 0 as long as it is not
	sent      int
	out       int64 // bytes before the zone, of different names
}

// newTunnel decides about the names of a tunnel.
func newTunnel(ctx context.Context, p *detect.Policy, names []string, kind events.Type) (*runningTunnel, error) {
	t := &runningTunnel{names: make([][]byte, len(names)), decisions: make([]detect.Decision, len(names)), kind: kind}
	asked := make([]string, len(names))
	for i, name := range names {
		for _, r := range name { // a letter of Latin-1 stands for a byte
			t.names[i] = append(t.names[i], byte(r))
		}
		asked[i] = string(t.names[i])
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("a tunnel without names")
	}
	t.zone, _ = detect.Zone(string(events.AppendLower(nil, t.names[0])))
	return t, p.DecideAll(ctx, asked, t.decisions)
}

// until asks for all names that are due.
func (t *runningTunnel) until(w *watch.Watch, at time.Duration) {
	for t.next <= at && t.found == 0 {
		i := t.sent % len(t.names)
		name := t.names[i]
		if again := t.sent / len(t.names); again > 0 { // a tunnel never asks twice: other letters in front
			name = slices.Clone(name)
			for k := range 3 {
				name[k], again = 'a'+byte(again%26), again/26
			}
		}
		e := events.Event{Name: name, Time: t.start.Add(t.next), Kind: events.Both, Type: t.kind, Size: 160,
			Client: events.Peer{Addr: t.client}, Server: events.Peer{Addr: netip.AddrFrom4([4]byte{192, 0, 2, 53})}}
		w.Observe(&e, &t.decisions[i])
		t.sent++
		t.out += int64(max(len(name)-len(t.zone)-1, 0))
		t.next += t.gap
	}
}

// ofTunnel is the tunnel that a finding is about, nil if it is about another domain.
func ofTunnel(tunnels []*runningTunnel, f *watch.Finding) *runningTunnel {
	for _, t := range tunnels {
		if f.Domain == t.zone || f.Domain == "" && f.Client == t.client.String() {
			return t
		}
	}
	return nil
}

// Tunnel is how long one tool's sessions run, at a rate, until they are found.
type Tunnel struct {
	Tool    string        `json:"tool"`
	Variant string        `json:"variant,omitempty"`
	Type    string        `json:"type"` // that it asks for
	Gap     time.Duration `json:"gap"`  // between two names
	// Sessions ran, of which Found were found.
	Sessions int `json:"sessions"`
	Found    int `json:"found"`
	// Time, Names and Bytes are of the session in the middle until it was found, 0 if less than half were. Bytes counts
	// what stood before the zone, which is more than the payload.
	Time  time.Duration `json:"time"`
	Names int           `json:"names"`
	Bytes int64         `json:"bytes"`
	// Longest is the time of the session that ran longest until it was found.
	Longest time.Duration `json:"longest"`
}

// gaps are between two names of a tunnel, and how long a tunnel runs at most.
var gaps = []struct{ gap, most time.Duration }{
	{100 * time.Millisecond, 10 * time.Minute}, {time.Second, 2 * time.Hour}, {time.Minute, 49 * time.Hour},
	{10 * time.Minute, 49 * time.Hour},
}

// types that tunnels ask for here. Nothing but its names speaks against a tunnel that asks for addresses.
var types = []struct {
	name string
	kind events.Type
}{{"A", 1}, {"TXT", 16}}

// sessions of each tool, variant, rate and type.
const sessions = 3

// namesOfTunnel is how many names of a tunnel are made. Longer ones begin again, with other first letters.
const namesOfTunnel = 300

// tunnels runs all tunnels of datasets/synth over benign traffic.
func (s *simulation) tunnels(ctx context.Context) error {
	made := map[string][]*runningTunnel{} // by tool and variant
	var tools []Tunnel
	for _, f := range synth.Families() {
		if f.Class != synth.ClassTunnel {
			continue
		}
		variants := f.Variants
		if len(variants) == 0 {
			variants = []string{""}
		}
		for _, v := range variants {
			tools = append(tools, Tunnel{Tool: f.Name, Variant: v, Sessions: sessions})
			for i := range sessions {
				p := synth.Params{Seed: generated + uint64(i), Date: day, Count: namesOfTunnel, Variant: v}
				names, err := f.Generate(p)
				if err != nil {
					return fmt.Errorf("generate %s: %w", f.Name, err)
				}
				t, err := newTunnel(ctx, s.o.Policy, names, 0)
				if err != nil {
					return fmt.Errorf("decide about the names of %s: %w", f.Name, err)
				}
				made[f.Name+" "+v] = append(made[f.Name+" "+v], t)
			}
		}
	}
	for _, g := range gaps {
		for _, kind := range types {
			runs := make([][]*runningTunnel, len(tools))
			for i := range sessions {
				var all []*runningTunnel
				for k, tool := range tools {
					t := *made[tool.Tool+" "+tool.Variant][i]
					t.kind, t.gap, t.start, t.client = kind.kind, g.gap, day.Add(5*time.Hour), client(1<<23+k)
					t.begin = time.Duration(s.r.Int64N(int64(min(10*g.gap, time.Hour))))
					t.next = t.begin
					all = append(all, &t)
					runs[k] = append(runs[k], &t)
				}
				if err := s.runTunnels(ctx, all, g.gap, g.most); err != nil {
					return err
				}
			}
			for k, tool := range tools {
				tool.Type, tool.Gap = kind.name, g.gap
				s.result.Tunnels = append(s.result.Tunnels, summary(tool, runs[k]))
			}
		}
		s.progress("tunnels with a name every " + g.gap.String())
	}
	return nil
}

// summary fills in how long the runs took.
func summary(t Tunnel, runs []*runningTunnel) Tunnel {
	found := slices.DeleteFunc(slices.Clone(runs), func(r *runningTunnel) bool { return r.found == 0 })
	slices.SortFunc(found, func(a, b *runningTunnel) int { return int(a.found - b.found) })
	t.Found = len(found)
	if middle := len(runs) / 2; middle < len(found) {
		t.Time, t.Names, t.Bytes = found[middle].found, found[middle].sent, found[middle].out
	}
	if len(found) > 0 {
		t.Longest = found[len(found)-1].found
	}
	return t
}

// runTunnels runs tunnels side by side, each from a client of its own, over benign traffic.
func (s *simulation) runTunnels(ctx context.Context, tunnels []*runningTunnel, gap, most time.Duration) error {
	w := watch.New(watch.Options{Tables: s.o.Tables, Seed: s.r.Uint64() | 1, Live: true})
	start := day.Add(5 * time.Hour)
	step := min(max(gap, time.Second), time.Minute)
	others := map[string]bool{}
	for at := time.Duration(0); at <= most; at += step {
		if err := ctx.Err(); err != nil {
			return err
		}
		// The slower the tunnels, the less traffic there is in a second, so that the simulation ends.
		s.background(w, start.Add(at), 4)
		open := 0
		for _, t := range tunnels {
			if t.found == 0 {
				open++
				t.until(w, at)
			}
		}
		for _, f := range w.Now(start.Add(at)) {
			if f.Kind != watch.Tunnel {
				continue
			}
			if t := ofTunnel(tunnels, &f); t == nil {
				others[f.Subject()] = true
			} else if t.found == 0 {
				t.found = max(at-t.begin, step)
			}
		}
		if open == 0 {
			break
		}
	}
	s.result.TunnelTraffic += float64(most) / float64(24*time.Hour)
	for name := range others {
		s.result.FalseTunnels = append(s.result.FalseTunnels, name)
	}
	return nil
}

// background asks for n benign names from random clients. A data set of bare domains has none.
func (s *simulation) background(w *watch.Watch, at time.Time, n int) {
	for range min(n, len(s.hosts)) {
		b := &s.hosts[s.r.IntN(len(s.hosts))]
		e := events.Event{Name: []byte(b.name), Time: at, Kind: events.Both, Type: 1, Size: 120,
			Client: events.Peer{Addr: client(s.r.IntN(500))}}
		w.Observe(&e, &b.decision)
	}
}

// newRand is the source of chance of a simulation.
func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x51)) }
