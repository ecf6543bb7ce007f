package watch

import (
	"encoding/gob"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/degas-dns/degas/internal/printable"
)

// Bounds of a live Watch's promise: a network is taken to have at least so many pairs of a client and a new domain a
// day, and domains with many names, as long as nobody knows better.
const (
	leastPairs = 20000
	leastZones = 10
)

// silence is how long nothing more is said of a client or a domain that was found, in seconds.
const (
	clientSilence = 3600
	zoneSilence   = 86400
)

// step tells the detector of a client of one more domain, and raises the alarm.
func (w *Watch) step(client string, a *asks, hash uint64, half int64, bin int, second int64) {
	if t := w.clients.Tables[half-1]; t != nil {
		if old := t.By[client]; old != nil && old.Sample.has(hash) {
			return
		}
	}
	logR := a.step(w.o.Tables, bin)
	if logR < w.alarmAt() || w.forwards(client, a.All) {
		return
	}
	if second >= a.Silent {
		f := clientFinding(client, a, len(a.Sample.Hashes), logR/math.Ln10)
		f.FalseAlarms = math.Exp(-logR) * w.pairsADay()
		w.alarms = append(w.alarms, f)
	}
	a.Silent = second + clientSilence
	for s := range a.R {
		a.R[s] = math.Inf(-1)
	}
}

// alarmAt is the log of A, from which R is an alarm: the mean number of look-ups between two false alarms is at least A
// (Shin, Ramdas & Rinaldo 2024).
func (w *Watch) alarmAt() float64 { return math.Log(w.pairsADay() / (w.o.FalseAlarms / 2)) }

// pairsADay is how many new domains all clients together ask for in a day.
func (w *Watch) pairsADay() float64 {
	usual := float64(leastPairs)
	if w.o.Baseline != nil {
		usual = max(usual, w.o.Baseline.Pairs)
	}
	if hours := float64(w.span.Last-w.span.First) / 3600; hours >= 1 {
		usual = max(usual, float64(w.span.Pairs)*24/hours)
	}
	return usual
}

// Now tells a live Watch what time it is, at least once a minute. It ends stretches of time that are over, and returns
// what was found since the last call.
func (w *Watch) Now(now time.Time) []Finding {
	w.now = now.Unix()
	w.closeWhile(func(number, half int64, _, _, _ int) bool { return number < stretch(w.now, half)-1 })
	maps.DeleteFunc(w.judged.zones, func(_ zone, s *suspectZone) bool { return s.until < w.now-zoneSilence })
	clear(w.judged.clients) // the detector has told of them
	w.judged.asked = 0
	for z := range w.touched {
		w.look(z)
	}
	clear(w.touched)
	w.tell()
	for entry, n := range w.lists {
		w.say(w.listFinding(entry, n))
	}
	clear(w.lists)
	maps.DeleteFunc(w.said, func(_ string, until int64) bool { return until <= w.now })
	found := named(w.alarms)
	slices.SortFunc(found, worse)
	w.alarms = nil
	return found
}

// look judges a zone in the window of five minutes that is open.
func (w *Watch) look(z zone) {
	e := &w.zones[0]
	number := e.number(w.now)
	var halves [2]*names
	for i := range halves {
		if t := e.Tables[number-1+int64(i)]; t != nil {
			halves[i] = t.By[z]
		}
	}
	if window := together(halves[0], halves[1], scales[0].gate); window != nil {
		w.judge(z, window, 0, (number-1)*e.Half)
	}
}

// tell raises the alarm for zones that were not told of yet.
func (w *Watch) tell() {
	m := float64(max(len(w.judged.zones), leastZones))
	if w.o.Baseline != nil {
		m = max(m, w.o.Baseline.Gated)
	}
	for z, s := range w.judged.zones {
		if s.told || s.p*m > w.o.FalseAlarms/2 || w.passedOver(z, s) {
			continue
		}
		s.told = true
		f := w.zoneFinding(z, s)
		f.FalseAlarms = s.p * m
		w.say(f)
	}
}

// say raises the alarm for a domain or an entry, once in a day.
func (w *Watch) say(f Finding) {
	key := f.Kind + " " + f.Subject()
	if w.said[key] > w.now {
		return
	}
	if len(w.said) < mostEntries {
		w.said[key] = w.now + zoneSilence
	}
	w.alarms = append(w.alarms, f)
}

// Forget makes a live Watch find a domain anew that it told of, if there is a tunnel still.
func (w *Watch) Forget(domain string) {
	f := Finding{Kind: Tunnel, Domain: domain}
	delete(w.said, f.Kind+" "+f.Subject())
	delete(w.judged.zones, zone{Domain: domain})
}

// state is what a Watch writes down. Of a live one, the judged zones are those that were told of.
type state struct {
	Version int
	Seed    uint64
	Zones   [len(scales)]map[int64]*table[zone, *names]
	Clients map[int64]*table[string, *asks]
	Servers map[string]int64
	Lists   map[string]*names
	Told    map[zone]int64
	Said    map[string]int64
	Span    span
	Ended   *ended // of a Watch that is not live
}

// stateVersion changes with what state holds.
const stateVersion = 1

// Save writes what a Watch knows.
func (w *Watch) Save(out io.Writer) error {
	s := state{Version: stateVersion, Seed: w.o.Seed, Clients: w.clients.Tables, Servers: w.servers, Lists: w.lists,
		Told: map[zone]int64{}, Said: w.said, Span: w.span}
	for at := range w.zones {
		s.Zones[at] = w.zones[at].Tables
	}
	if !w.o.Live {
		s.Ended = w.ended()
	}
	for z, j := range w.judged.zones {
		if j.told {
			s.Told[z] = j.until
		}
	}
	return gob.NewEncoder(out).Encode(s)
}

// Restore goes on where the Watch that wrote in with Save was.
func (w *Watch) Restore(in io.Reader) error {
	var s state
	if err := gob.NewDecoder(in).Decode(&s); err != nil {
		return fmt.Errorf("read the state of a watch: %s", printable.Terminal(err.Error()))
	}
	if s.Version != stateVersion {
		return fmt.Errorf("read the state of a watch: its version is %d, this degas reads %d", s.Version, stateVersion)
	}
	if err := s.check(); err != nil {
		return fmt.Errorf("read the state of a watch: %w", err)
	}
	w.o.Seed, w.span = s.Seed, s.Span
	if w.span.Halves == nil {
		w.span.Halves = map[int64]bool{}
	}
	for at := range w.zones {
		for i, t := range s.Zones[at] {
			w.zones[at].table(i).merge(t)
		}
	}
	for i, t := range s.Clients {
		w.clients.table(i).merge(t)
	}
	maps.Copy(w.servers, s.Servers)
	maps.Copy(w.lists, s.Lists)
	maps.Copy(w.said, s.Said)
	for z, until := range s.Told {
		w.judged.zones[z] = &suspectZone{score: math.Inf(-1), p: 1, until: until, told: true}
	}
	s.Ended.restore(w)
	return nil
}

// check is an error if a state cannot have come from Save.
func (s *state) check() error {
	broken := fmt.Errorf("it is damaged")
	for _, tables := range s.Zones {
		for _, t := range tables {
			if t == nil {
				return broken
			}
			for _, n := range t.By {
				if n == nil || !n.valid() {
					return broken
				}
			}
		}
	}
	for _, t := range s.Clients {
		if t == nil {
			return broken
		}
		for _, a := range t.By {
			if a == nil || !a.valid() {
				return broken
			}
		}
	}
	for _, n := range s.Lists {
		if n == nil || !n.valid() {
			return broken
		}
	}
	if !s.Ended.valid() {
		return broken
	}
	return nil
}

func (n *names) valid() bool {
	return n.Sample.valid(mostNames) && n.Askers.valid(mostAskers) && n.Line.valid()
}

func (a *asks) valid() bool {
	return a.Sample.valid(mostDomains) && a.Line.valid() &&
		!slices.ContainsFunc(a.Sample.Values, func(v uint32) bool { return v&askBin >= bins })
}

func (s *sample) valid(k int) bool {
	return len(s.Hashes) == len(s.Values) && len(s.Hashes) <= k && slices.IsSorted(s.Hashes)
}

func (t *timeline) valid() bool {
	const far = 1 << 40 // seconds
	return len(t.Count) == 0 || t.Width >= baseWidth && t.Width < far && t.Start > -far && t.Start < far &&
		mod(t.Start, t.Width) == 0 && len(t.Count) <= mostBuckets
}

// Size is how many clients and domains are remembered, each stretch of time for itself.
func (w *Watch) Size() (clients, domains int) {
	for at := range w.zones {
		domains += w.zones[at].keys()
	}
	return w.clients.keys(), domains
}
