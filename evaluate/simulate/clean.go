package simulate

import (
	"context"
	"fmt"
	"math"
	"time"

	"gonum.org/v1/gonum/mathext"

	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
)

// Clean is how often clean clients raised an alarm in a live Watch.
type Clean struct {
	// Spread is Pooled or Overdispersed.
	Spread string `json:"spread"`
	// Pairs is how many domains each client asks for in half a day.
	Pairs int `json:"pairs"`
	// Level is A: the mean number of look-ups between two false alarms is promised to be at least A.
	Level float64 `json:"level"`
	// Observations is how many look-ups of a client and a new domain there were.
	Observations int64 `json:"observations"`
	// Promised is Observations/Level, the mean number of alarms at most. Alarms is how many there were, of how many
	// Clients, and from Low to High lies their mean (95 %, exact for Poisson).
	Promised float64 `json:"promised"`
	Alarms   int     `json:"alarms"`
	Clients  int     `json:"clients"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
}

// Broken reports whether more alarms came than chance explains.
func (c *Clean) Broken() bool { return c.Low > c.Promised }

// Shown reports whether the whole interval keeps the promise.
func (c *Clean) Shown() bool { return c.High <= c.Promised }

// Batch is how many clean clients a Watch that is not live found.
type Batch struct {
	Spread string `json:"spread"`
	// FalseAlarms is what was asked for, a day: half of it may be about clients. Days were simulated.
	FalseAlarms float64 `json:"false_alarms"`
	Days        int     `json:"days"`
	Clients     int     `json:"clients"` // each day
	Found       int     `json:"found"`   // in all days
	DaysFound   int     `json:"days_found"`
	Low         float64 `json:"low"` // 95 % of the mean of Found
	High        float64 `json:"high"`
}

// Spreads of clean clients.
const (
	Pooled        = "pooled"        // every client asks for names that look generated equally often
	Overdispersed = "overdispersed" // clients differ by a factor of Gamma(1/2, 2)
)

// levels of A. At high ones few alarms can be seen, at low ones many.
var levels = []float64{1e2, 1e3, 1e4, 1e5, 1e6}

// pairsADay is what a Baseline says of the network, so much that A does not depend on what a simulation sees.
const pairsADay = 1e12

// liveAt is a live Watch with a fixed A.
func (s *simulation) liveAt(level float64) *watch.Watch {
	return watch.New(watch.Options{Tables: s.o.Tables, FalseAlarms: 2 * pairsADay / level, Seed: s.r.Uint64() | 1,
		Live: true, Baseline: &watch.Baseline{Version: 1, Pairs: pairsADay}})
}

// busy is how many domains a busy client asks for in half a day: nearly as many as a Watch remembers of one.
const busy = 400

// clean measures clean clients, and then a tenth as many that are busy.
func (s *simulation) clean(ctx context.Context) error {
	for _, spread := range []string{Pooled, Overdispersed} {
		if err := s.cleanLive(ctx, spread, s.o.Clients, s.o.Pairs, levels); err != nil {
			return err
		}
		if err := s.cleanLive(ctx, spread, s.o.Clients/10, busy, levels); err != nil {
			return err
		}
		if err := s.cleanBatch(ctx, spread); err != nil {
			return err
		}
	}
	return nil
}

// multiplierOf is how often a client asks for names that look generated, as a multiple.
func (s *simulation) multiplierOf(spread string) float64 {
	if spread == Pooled {
		return 1
	}
	return s.multiplier()
}

// cleanLive tells live Watches, one for each level, of clean clients.
func (s *simulation) cleanLive(ctx context.Context, spread string, clients, pairs int, levels []float64) error {
	out := make([]Clean, len(levels))
	watches := make([]*watch.Watch, len(levels))
	for i, level := range levels {
		out[i] = Clean{Spread: spread, Pairs: pairs, Level: level}
	}
	for c := range clients {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c%perWatch == 0 { // the table of clients must not overflow, and memory be spent
			for i, level := range levels {
				watches[i] = s.liveAt(level)
			}
		}
		n := s.ask(watches, c, spread, pairs)
		for i, w := range watches {
			out[i].Observations += n
			found := len(w.Now(day))
			out[i].Alarms += found
			out[i].Clients += min(found, 1)
		}
	}
	for i := range out {
		c := &out[i]
		c.Promised = float64(c.Observations) / c.Level
		c.Low, c.High = poisson(c.Alarms)
	}
	s.result.Clean = append(s.result.Clean, out...)
	s.progress(fmt.Sprintf("clean clients, %s, %d domains each", spread, pairs))
	return nil
}

// perWatch is how many clean clients one Watch has.
const perWatch = 2000

// ask tells Watches of a clean client's look-ups in half a day, all of names that do not exist. n is how many different
// domains it asked for.
func (s *simulation) ask(watches []*watch.Watch, c int, spread string, pairs int) (n int64) {
	m := s.multiplierOf(spread)
	gap := 11 * time.Hour / time.Duration(pairs)
	seen := make(map[*host]bool, pairs)
	e := events.Event{Kind: events.Both, Type: 1, RCode: events.NXDomain, Client: events.Peer{Addr: client(c)}}
	for i := range pairs {
		h := s.draw(m)
		if seen[h] {
			continue
		}
		seen[h] = true
		n++
		e.Name, e.Time = []byte(h.name), day.Add(time.Duration(i)*gap)
		for _, w := range watches {
			w.Observe(&e, &h.decision)
		}
	}
	return n
}

// batchDays is how many days are simulated for Watches that are not live.
const batchDays = 10

// cleanBatch reads days of clean clients as files.
func (s *simulation) cleanBatch(ctx context.Context, spread string) error {
	for _, allowed := range []float64{.1, 10} {
		b := Batch{Spread: spread, FalseAlarms: allowed, Days: batchDays, Clients: s.o.Clients / batchDays}
		for range batchDays {
			if err := ctx.Err(); err != nil {
				return err
			}
			w := watch.New(watch.Options{Tables: s.o.Tables, FalseAlarms: allowed, Seed: s.r.Uint64() | 1})
			for c := range b.Clients {
				s.ask([]*watch.Watch{w}, c, spread, s.o.Pairs)
			}
			found := len(w.Findings())
			b.Found += found
			b.DaysFound += min(found, 1)
		}
		b.Low, b.High = poisson(b.Found)
		s.result.Batch = append(s.result.Batch, b)
	}
	s.progress("clean clients in files, " + spread)
	return nil
}

// poisson is the exact 95 % interval of the mean of a Poisson number of which n was seen (Garwood 1936).
func poisson(n int) (low, high float64) {
	// The chance of at least n is the regularised incomplete gamma function P(n, mean).
	solve := func(k, p float64) float64 {
		lo, hi := 0.0, k+20+10*math.Sqrt(k)
		for range 60 {
			if mid := (lo + hi) / 2; mathext.GammaIncReg(k, mid) < p {
				lo = mid
			} else {
				hi = mid
			}
		}
		return (lo + hi) / 2
	}
	if n > 0 {
		low = solve(float64(n), .025)
	}
	return low, solve(float64(n+1), .975)
}
