package watch

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/degas-dns/degas/detect"
)

// judged is what was found out about zones and clients whose stretches of time are over.
type judged struct {
	zones   map[zone]*suspectZone // those that passed the gate
	clients map[string]*suspectClient
	asked   int64 // clients with evidence, each counted once in half a day
}

// suspectZone is a zone that passed the gate at least once.
type suspectZone struct {
	score float64 // the highest, whose window is
	scale int
	start int64 // second of the window's begin
	until int64 // second of the last window that passed the gate
	p     float64
	total *names // all that was asked for, as far as it was merged
	best  *names // what the score is of
	told  bool   // of a live Watch: until is when it was told
}

// suspectClient is a client whose evidence was above 1 in half a day.
type suspectClient struct {
	logE  float64 // log of the sum of E over half days
	total *asks
	n     int // domains that counted
}

// mostJudged bounds zones and clients that are suspected. The least suspect are forgotten.
const mostJudged = 1 << 14

func newJudged() judged {
	return judged{zones: map[zone]*suspectZone{}, clients: map[string]*suspectClient{}}
}

// close ends a table of a scale: its windows are judged, and its sets go to the next scale.
func (w *Watch) close(at int, number int64) {
	e := &w.zones[at]
	t, following := e.Tables[number], e.Tables[number+1]
	for z, n := range t.By {
		var more *names
		if following != nil {
			more = following.By[z]
		}
		if window := together(n, more, scales[at].gate); window != nil {
			w.judge(z, window, at, number*e.Half)
		}
	}
	delete(e.Tables, number)
	if at+1 < len(scales) {
		next := &w.zones[at+1]
		next.table(next.number(number * e.Half)).merge(t)
		return
	}
	for z, n := range t.By {
		if s := w.judged.zones[z]; s != nil && s.total == nil {
			s.total = n
		} else if s != nil {
			s.total.merge(n)
		}
	}
}

// together is what two halves of a window hold, of which one may be nil. It is nil if they have fewer names than the
// gate asks for, and may share memory with a half.
func together(a, b *names, gate float64) *names {
	size := 0.0
	for _, n := range []*names{a, b} {
		if n != nil {
			size += n.Sample.size(mostNames)
		}
	}
	switch {
	case size < gate:
		return nil
	case a == nil:
		return b
	case b == nil:
		return a
	}
	window := a.clone()
	window.merge(b)
	return window
}

// leastBytes is how much information names that ask for addresses carry at least in a window before they are looked at,
// as log1p. A tunnel has that in a minute. Devices and programs that put an identifier into a name have less, unless
// there are many of them. Who asks for types that carry data has no such excuse.
var leastBytes = math.Log1p(2048)

// judge looks at a zone in a window that begins at a second.
func (w *Watch) judge(z zone, n *names, at int, start int64) {
	if n.Sample.size(mostNames) < scales[at].gate {
		return
	}
	x := n.measure(float64(2 * scales[at].half))
	if x[oddMeasure] < .5 && x[bytesMeasure] < leastBytes {
		return
	}
	score := w.o.Tables.Zones.score(x)
	s := w.judged.zones[z]
	if s == nil {
		if len(w.judged.zones) >= mostJudged {
			w.judged.forget()
		}
		s = &suspectZone{score: math.Inf(-1)}
		w.judged.zones[z] = s
	}
	s.until = max(s.until, start)
	if score < s.score || score == s.score && (at > s.scale || at == s.scale && start >= s.start) {
		return
	}
	s.score, s.scale, s.start, s.best = score, at, start, n.clone()
	s.p = w.o.Tables.Zones.p(score)
}

// forget leaves the three quarters of the zones and of the clients that are most suspect, if there are too many.
func (j *judged) forget() {
	forgetLeast(j.zones, func(s *suspectZone) float64 { return s.score })
	forgetLeast(j.clients, func(s *suspectClient) float64 { return s.logE })
}

func forgetLeast[K comparable, S any](all map[K]S, score func(S) float64) {
	if len(all) < mostJudged {
		return
	}
	scores := make([]float64, 0, len(all))
	for _, s := range all {
		scores = append(scores, score(s))
	}
	slices.Sort(scores)
	least := scores[len(scores)/4]
	maps.DeleteFunc(all, func(_ K, s S) bool { return score(s) <= least })
}

// closeClients ends a half day of clients.
func (w *Watch) closeClients(number int64) {
	t, before := w.clients.Tables[number], w.before[number-1]
	for client, a := range t.By {
		var old *asks
		if before != nil {
			old = before.By[client]
		}
		logE, n := a.evidence(w.o.Tables, old)
		if n > 0 {
			w.judged.asked++
		}
		if logE <= 0 {
			continue
		}
		s := w.judged.clients[client]
		if s == nil {
			if len(w.judged.clients) >= mostJudged {
				w.judged.forget()
			}
			s = &suspectClient{math.Inf(-1), newAsks(), 0}
			w.judged.clients[client] = s
		}
		s.logE, s.n = logAdd(s.logE, logE), s.n+n
		s.total.merge(a)
	}
	clear(w.before)
	w.before[number] = t
	delete(w.clients.Tables, number)
}

// closing is how many full tables a Watch holds of a scale before it ends the oldest stretches of time.
const closing = 4

// bound ends the oldest stretches of time if there are too many sets.
func (w *Watch) bound() {
	w.sinceBound++
	if w.sinceBound < 1<<12 || w.o.Part {
		return
	}
	w.sinceBound = 0
	w.closeWhile(func(_, _ int64, tables, sets, most int) bool { return tables > 2 && sets > closing*most })
}

// end ends all stretches of time.
func (w *Watch) end() {
	w.closeWhile(func(_, _ int64, _, _, _ int) bool { return true })
}

// closeWhile ends stretches of time, as epochs.closeWhile does, of all scales of zones from the shortest on, and of
// clients.
func (w *Watch) closeWhile(more func(number, half int64, tables, sets, most int) bool) {
	for at := range w.zones {
		w.zones[at].closeWhile(more, func(number int64) { w.close(at, number) })
	}
	w.clients.closeWhile(more, w.closeClients)
}

// Findings ends a Watch that is not live, and says what it found, the worst first. Of the findings about domains, at
// most 1 % are expected to be false (Benjamini & Hochberg 1995), of those about clients at most 5 % (e-BH, Wang &
// Ramdas 2022), and of both together no more than Options.FalseAlarms a day.
func (w *Watch) Findings() []Finding {
	w.end()
	found := slices.Concat(w.foundClients(), w.foundZones())
	for entry, n := range w.lists {
		found = append(found, w.listFinding(entry, n))
	}
	slices.SortFunc(found, worse)
	return found
}

// Shares of findings that may be false.
const (
	falseZones   = .01
	falseClients = .05
)

// leastClients is how many clients there are taken to be at least: who scans the log of one client has picked it out of
// a network. It keeps two odd names from being a finding.
const leastClients = 1000

// foundZones are the zones that carry a tunnel.
func (w *Watch) foundZones() (found []Finding) {
	type one struct {
		zone
		*suspectZone
	}
	all := []one{}
	for z, s := range w.judged.zones {
		if w.passedOver(z, s) {
			continue
		}
		all = append(all, one{z, s})
	}
	slices.SortFunc(all, func(a, b one) int { return cmp.Or(cmp.Compare(a.p, b.p), compareZones(a.zone, b.zone)) })
	m, reported := float64(len(all)), 0
	for k, s := range all {
		if s.p <= falseZones*float64(k+1)/m && s.p*m/w.span.days() <= w.o.FalseAlarms/2 {
			reported = k + 1
		}
	}
	for _, s := range all[:reported] {
		f := w.zoneFinding(s.zone, s.suspectZone)
		f.FalseAlarms = s.p * m / w.span.days()
		found = append(found, f)
	}
	return named(found)
}

// passedOver reports whether nothing is said of a zone: it is usual here, or a forwarder's, which asks for its clients.
func (w *Watch) passedOver(z zone, s *suspectZone) bool {
	return w.o.Baseline.usualZone(z) || z.Domain == "" && s.best != nil && w.forwards(z.Client, s.best.Queries)
}

// named leaves out all but the first finding about a domain: several clients may ask for a domain whose names end in no
// known top-level domain.
func named(found []Finding) []Finding {
	seen := map[string]bool{}
	return slices.DeleteFunc(found, func(f Finding) bool {
		again := f.Kind == Tunnel && f.Domain != "" && seen[f.Domain]
		seen[f.Domain] = true
		return again
	})
}

// commonZone is the zone of all names, "" if there is none.
func commonZone(names []string) (common string) {
	for i, name := range names {
		z, _ := detect.Zone(name)
		if i > 0 && z != common || z == name {
			return ""
		}
		common = z
	}
	return common
}

// foundClients are the clients that run a DGA.
func (w *Watch) foundClients() (found []Finding) {
	type one struct {
		name string
		logE float64
		*suspectClient
	}
	all := []one{}
	halves := math.Log(float64(max(len(w.span.Halves), 1)))
	for name, s := range w.judged.clients {
		if !w.forwards(name, s.total.All) {
			all = append(all, one{name, s.logE - halves, s})
		}
	}
	slices.SortFunc(all, func(a, b one) int { return cmp.Or(cmp.Compare(b.logE, a.logE), cmp.Compare(a.name, b.name)) })
	k, reported := math.Log(float64(max(w.judged.asked, leastClients))), 0
	expected := func(logE float64) float64 { return math.Exp(k-logE) / w.span.days() }
	for i, s := range all {
		if s.logE >= k-math.Log(float64(i+1)*falseClients) && expected(s.logE) <= w.o.FalseAlarms/2 {
			reported = i + 1
		}
	}
	for _, s := range all[:reported] {
		f := clientFinding(s.name, s.total, s.n, s.logE/math.Ln10)
		f.FalseAlarms = expected(s.logE)
		found = append(found, f)
	}
	return related(found, func(name string) *asks { return w.judged.clients[name].total })
}

func (j *judged) merge(o *judged) {
	j.asked += o.asked
	for z, s := range o.zones {
		mine := j.zones[z]
		if mine == nil {
			j.zones[z] = s
			continue
		}
		total := mine.total
		if total == nil {
			total = s.total
		} else if s.total != nil {
			total.merge(s.total)
		}
		until := max(mine.until, s.until)
		if s.score > mine.score {
			*mine = *s
		}
		mine.total, mine.until = total, until
	}
	for client, s := range o.clients {
		if mine := j.clients[client]; mine != nil {
			mine.logE, mine.n = logAdd(mine.logE, s.logE), mine.n+s.n
			mine.total.merge(s.total)
		} else {
			j.clients[client] = s
		}
	}
}
