package simulate

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/degas-dns/degas/datasets/synth"
	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
)

// Family is how soon clients with malware of one family were found.
type Family struct {
	Name string `json:"name"`
	// Of is "synth" for datasets/synth, with seeds and a day of its own, "data" for the data set.
	Of string `json:"of"`
	// Domains is how many different registered domains its streams have, on average.
	Domains float64 `json:"domains"`
	// Share of the client's look-ups that do not exist is the malware's. It asks for a name every Gap, in the mean.
	Share float64       `json:"share"`
	Gap   time.Duration `json:"gap"`
	// Level is A.
	Level float64 `json:"level"`
	// Clients were infected, and Found of them were found before the malware's names or 24 hours were over.
	Clients int `json:"clients"`
	Found   int `json:"found"`
	// Names are the malware's, NX all that do not exist, and Time is what went by until the client was found: the median
	// client's, and what 95 % of clients are within. 0 stands for clients that were not found.
	Names   Quantiles `json:"names"`
	NX      Quantiles `json:"nx"`
	Minutes Quantiles `json:"minutes"`
}

// Quantiles are a median and the 95th percentile.
type Quantiles struct {
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
}

// stream is what malware of a family asks for.
type stream struct {
	family, of string
	names      []host
}

// streams of a family, and names of each.
const (
	streams       = 5
	namesOfStream = 120
)

// level is A where infected clients are looked for.
const level = 1e6

// cells are shares and times between two names of the malware.
var cells = []struct {
	share float64
	gap   time.Duration
}{{1, time.Minute}, {.3, time.Minute}, {.1, time.Minute}, {.03, time.Minute}, {.1, time.Second}, {.1, 10 * time.Minute}}

// infected measures clients with malware of every family.
func (s *simulation) infected(ctx context.Context) error {
	all, err := s.streams(ctx)
	if err != nil {
		return err
	}
	for _, c := range cells {
		if err := s.cell(ctx, all, c.share, c.gap); err != nil {
			return err
		}
		s.progress(fmt.Sprintf("infected clients, share %g, a name every %v", c.share, c.gap))
	}
	return nil
}

// streams makes the streams of all families and decides about their names.
func (s *simulation) streams(ctx context.Context) (out []stream, err error) {
	add := func(family, of string, names []string) error {
		hosts, err := decide(ctx, s.o.Policy, names)
		if err != nil {
			return fmt.Errorf("decide about names of %s: %w", family, err)
		}
		out = append(out, stream{family, of, hosts})
		return nil
	}
	for _, f := range synth.Families() {
		if f.Class != synth.ClassDGA {
			continue
		}
		for i := range streams {
			p := synth.Params{Seed: generated + uint64(i), Date: day.AddDate(0, 0, 31*i), Count: namesOfStream}
			names, err := f.Generate(p)
			if err != nil {
				return nil, fmt.Errorf("generate %s: %w", f.Name, err)
			}
			if err := add(f.Name, "synth", names); err != nil {
				return nil, err
			}
		}
	}
	for _, family := range slices.Sorted(maps.Keys(s.o.Families)) {
		names := slices.Clone(s.o.Families[family])
		s.r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		if err := add(family, "data", names[:min(len(names), streams*namesOfStream)]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// patient is a client with malware.
type patient struct {
	*stream
	offset    int // of its first name: clients are at different places of a stream
	m         float64
	names, nx int
	minutes   float64 // until it was found
	found     bool
	over      bool
}

// cell measures all families with one share and one rate, from clients side by side in one Watch.
func (s *simulation) cell(ctx context.Context, all []stream, share float64, gap time.Duration) error {
	byFamily := map[string][]*stream{}
	for i := range all {
		byFamily[all[i].family] = append(byFamily[all[i].family], &all[i])
	}
	var patients []*patient
	families := slices.Sorted(maps.Keys(byFamily))
	for _, family := range families {
		of := byFamily[family]
		for i := range s.o.Repeat {
			p := &patient{stream: of[i%len(of)], m: s.multiplier()}
			p.offset = s.r.IntN(len(p.stream.names))
			patients = append(patients, p)
		}
	}
	if err := s.runPatients(ctx, patients, share, gap); err != nil {
		return err
	}
	for i, family := range families {
		s.result.Infected = append(s.result.Infected,
			ofFamily(byFamily[family], patients[i*s.o.Repeat:(i+1)*s.o.Repeat], share, gap))
	}
	return nil
}

// most bounds a patient's look-ups of names that do not exist.
const most = 2000

// runPatients lets clients look up names, in steps of time, until each is found or has nothing more to ask for. A tenth
// as many clients are clean.
func (s *simulation) runPatients(ctx context.Context, patients []*patient, share float64, gap time.Duration) error {
	w := s.liveAt(level)
	step := time.Duration(float64(gap) * share)
	start := day.Add(6 * time.Hour)
	at := map[string]int{}
	for i := range patients {
		at[client(i).String()] = i
	}
	clean := len(patients) / 10
	multipliers := make([]float64, clean)
	for i := range multipliers {
		multipliers[i] = s.multiplier()
	}
	e := events.Event{Kind: events.Both, Type: 1, RCode: events.NXDomain}
	for k := 1; k <= most && time.Duration(k)*step <= 24*time.Hour; k++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		e.Time = start.Add(time.Duration(k) * step)
		open := false
		for i, p := range patients {
			h := s.turn(p, share)
			if h == nil {
				continue
			}
			open = true
			e.Name, e.Client.Addr = []byte(h.name), client(i)
			w.Observe(&e, &h.decision)
		}
		for i, m := range multipliers {
			h := s.draw(m)
			e.Name, e.Client.Addr = []byte(h.name), client(1<<22+i)
			w.Observe(&e, &h.decision)
			s.result.CleanLookups++
		}
		for _, f := range w.Now(e.Time) {
			if i, ok := at[f.Client]; f.Kind != watch.DGAClient {
				continue
			} else if ok {
				patients[i].found, patients[i].minutes = true, (time.Duration(k) * step).Minutes()
			} else {
				s.result.FalseClients++
			}
		}
		if !open {
			break
		}
	}
	return nil
}

// turn is what a patient asks for next, nil if it is found or asks for nothing any more.
func (s *simulation) turn(p *patient, share float64) *host {
	if p.found || p.over {
		return nil
	}
	if s.r.Float64() >= share {
		p.nx++
		return s.draw(p.m)
	}
	if p.names == len(p.stream.names) {
		p.over = true
		return nil
	}
	h := &p.stream.names[(p.offset+p.names)%len(p.stream.names)]
	p.names, p.nx = p.names+1, p.nx+1
	return h
}

// ofFamily sums up the clients of a family.
func ofFamily(of []*stream, patients []*patient, share float64, gap time.Duration) Family {
	f := Family{Name: of[0].family, Of: of[0].of, Share: share, Gap: gap, Level: level, Clients: len(patients)}
	for _, s := range of {
		different := map[string]bool{}
		for i := range s.names {
			domain, _ := detect.Zone(s.names[i].name)
			different[domain] = true
		}
		f.Domains += float64(len(different)) / float64(len(of))
	}
	var names, nx, minutes []float64
	for _, p := range patients {
		n, all, m := math.Inf(1), math.Inf(1), math.Inf(1)
		if p.found {
			f.Found++
			n, all, m = float64(p.names), float64(p.nx), p.minutes
		}
		names, nx, minutes = append(names, n), append(nx, all), append(minutes, m)
	}
	f.Names, f.NX, f.Minutes = quantiles(names), quantiles(nx), quantiles(minutes)
	return f
}

// quantiles of x, 0 instead of infinity.
func quantiles(x []float64) Quantiles {
	slices.Sort(x)
	at := func(p float64) float64 {
		v := x[min(int(math.Ceil(p*float64(len(x))))-1, len(x)-1)]
		if math.IsInf(v, 1) {
			return 0
		}
		return v
	}
	return Quantiles{at(.5), at(.95)}
}
