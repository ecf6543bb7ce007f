// Package watch turns many weak scores into few findings whose false alarms are counted beforehand. A [Watch] is told
// of every event with its decision, and keeps two kinds of evidence in bounded memory:
//
//   - Clients that run a DGA ask for many generated names that do not exist. Every registered domain that a client asks
//     for the first time in a day multiplies its evidence by a likelihood ratio of the model's score. The evidence is
//     an e-value, so that false alarms are bounded whatever the order of names (clients.go, tables.go).
//   - Domains that carry a tunnel are asked for many long names. Twelve numbers of each domain in a window of time are
//     compared with those of domains without a tunnel (names.go, zones.go).
//
// A set of names or of domains is a bottom-k sample (sample.go) in a bounded table (table.go). Both merge: two Watches
// that saw two parts of the traffic merge into the one that saw all of it.
package watch

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/lines"
)

// Options of a Watch.
type Options struct {
	// Tables turn scores into evidence.
	Tables *Tables
	// FalseAlarms is how many findings about clean clients and clean domains may be expected a day, together; 0 is
	// DefaultFalseAlarms.
	FalseAlarms float64
	// Baseline is what is usual here, or nil.
	Baseline *Baseline
	// Seed is of the hashes. Watches that are merged have the same one, and who knows it can hide names; 0 is a random
	// one.
	Seed uint64
	// Zones and Clients are how many domains and clients are remembered in each stretch of time, DefaultZones and
	// DefaultClients if 0.
	Zones, Clients int
	// Live says that Now is called as time goes on: what is old is thrown away. Otherwise events may come in any order,
	// and Findings is called at the end.
	Live bool
	// Part says that other Watches see other parts of the same traffic, and that all are merged, or taken apart with
	// Parts, before anything is concluded: no stretch of time is ended before EndBefore or Findings. So the memory grows
	// with the time that the events span; Size tells.
	Part bool
}

// Defaults of Options. With them a Watch takes some 300 MB if everything is full.
const (
	DefaultFalseAlarms = 0.1
	DefaultZones       = 1 << 13
	DefaultClients     = 1 << 15
)

// scale is a length of window, two halves, and how many different names of a zone it takes to look at it.
type scale struct {
	half int64 // seconds
	gate float64
}

// scales are five minutes, an hour and a day.
var scales = [...]scale{{150, 15}, {1800, 25}, {43200, 60}}

// halfDay is the stretch of a client's look-ups: a domain is new if it was not asked for in this one or the one before.
const halfDay = 43200

// mostServers and mostEntries bound what is kept of servers and of a block list's entries.
const (
	mostServers = 1 << 12
	mostEntries = 1 << 16
)

// Watch collects evidence. It is not safe for concurrent use.
type Watch struct {
	o       Options
	zones   [len(scales)]epochs[zone, *names]
	clients epochs[string, *asks]
	before  map[int64]*table[string, *asks] // the half day before the oldest of clients
	servers map[string]int64                // how often an address answered: a forwarder asks for its clients
	lists   map[string]*names               // what was asked for, by the block list's entry
	judged  judged
	span    span

	touched map[zone]bool    // of a live Watch, since the last call of Now
	said    map[string]int64 // until when nothing more is said of a domain or an entry, in seconds since 1970
	alarms  []Finding        // of a live Watch, until the next call of Now
	now     int64            // seconds since 1970
	echo    suffixes

	sinceBound int
	name       []byte
	texts      map[netip.Addr]string // of addresses
	known      []facts               // of names, by their hashes; made with the first
	asked      asked
}

// span is what was seen.
type span struct {
	First, Last int64 // seconds since 1970, 0 if no event says
	Events      int64
	Pairs       int64 // clients with a domain, each counted once in half a day
	Halves      map[int64]bool
}

// New makes a Watch.
func New(o Options) *Watch {
	o.Zones, o.Clients = cmp.Or(o.Zones, DefaultZones), cmp.Or(o.Clients, DefaultClients)
	o.FalseAlarms, o.Seed = cmp.Or(o.FalseAlarms, DefaultFalseAlarms), cmp.Or(o.Seed, rand.Uint64())
	if o.Tables == nil {
		o.Tables = shipped
	}
	if o.Baseline != nil {
		o.Tables = o.Baseline.tables(o.Tables)
	}
	w := &Watch{o: o, before: map[int64]*table[string, *asks]{}, judged: newJudged(), texts: map[netip.Addr]string{},
		touched: map[zone]bool{}, said: map[string]int64{}}
	w.empty()
	return w
}

// empty makes a Watch forget what Parts takes.
func (w *Watch) empty() {
	w.clients = newEpochs[string, *asks](halfDay, w.o.Clients)
	for i, s := range scales {
		w.zones[i] = newEpochs[zone, *names](s.half, w.o.Zones)
	}
	w.servers, w.lists, w.span = map[string]int64{}, map[string]*names{}, span{Halves: map[int64]bool{}}
}

// SetTables turns scores from now on into evidence by the tables of another model. What was gathered stays: each
// look-up counted by the tables of the model that scored it.
func (w *Watch) SetTables(t *Tables) {
	if w.o.Baseline != nil {
		t = w.o.Baseline.tables(t)
	}
	w.o.Tables = t
}

// Observe adds an event and what the Policy decided about it. Both stay the caller's.
func (w *Watch) Observe(e *events.Event, d *detect.Decision) { w.ObserveTimes(e, d, 1) }

// ObserveTimes adds as many events that differ in their times alone, all of them near that of e.
func (w *Watch) ObserveTimes(e *events.Event, d *detect.Decision, times uint32) {
	second := w.clock(e)
	w.span.Events += int64(times)
	if server := w.text(e.Server); e.Kind != events.Query && server != "" {
		if _, known := w.servers[server]; known || len(w.servers) < mostServers {
			w.servers[server] += int64(times)
		}
	}
	if d.Verdict == detect.Blocked {
		w.listed(e, d, second, times)
	}
	if !evident(d) {
		return
	}
	w.name = events.AppendLower(w.name[:0], e.Name)
	n := w.facts(d)
	if n.cloud {
		return
	}
	client := w.text(e.Client)
	asker := xxh3.HashStringSeed(client, w.o.Seed)
	if w.echo.expansion(n, asker, second) {
		return
	}
	if d.Scored() && client != "" {
		w.ask(e, d, client, mix(asker, n.domain), n, second, times)
	}
	if n.evident {
		w.below(e, client, asker, n, second, times)
	}
}

// evident reports whether an event of which d was decided can be evidence.
func evident(d *detect.Decision) bool {
	return d.Scored() || d.Rule == detect.NoName || d.Rule == detect.NoRule
}

// Warm tells a Watch of an event before those that it is to observe, which another Watch observes: names that a search
// list makes are known by those before.
func (w *Watch) Warm(e *events.Event, d *detect.Decision) {
	if !evident(d) {
		return
	}
	w.name = events.AppendLower(w.name[:0], e.Name)
	if n := w.facts(d); !n.cloud {
		w.echo.expansion(n, xxh3.HashStringSeed(w.text(e.Client), w.o.Seed), w.clock(e))
	}
}

// forwards reports whether an address is a forwarder's, which asks for its clients: it answers about as much as it
// asks. A machine that answers now and then stays a client, so that malware cannot hide behind one answer.
func (w *Watch) forwards(address string, asked int64) bool {
	return 2*w.servers[address] >= max(asked, 1)
}

// mostTexts bounds Watch.texts.
const mostTexts = 1 << 16

// text is a peer's address or name. Writing an address down allocates, and there are few of them.
func (w *Watch) text(p events.Peer) string {
	if !p.Addr.IsValid() {
		return p.Name
	}
	s, ok := w.texts[p.Addr]
	if !ok {
		if len(w.texts) == mostTexts {
			clear(w.texts)
		}
		s = p.Addr.String()
		w.texts[p.Addr] = s
	}
	return s
}

// clock is the second of an event since 1970, and of none 0, or now in a live Watch.
func (w *Watch) clock(e *events.Event) int64 {
	second := w.now
	if !e.Time.IsZero() {
		second = e.Time.Unix()
		if w.span.First == 0 || second < w.span.First {
			w.span.First = second
		}
		w.span.Last = max(w.span.Last, second)
	}
	return second
}

// ask counts a domain that a client asked for, some times. pair is the hash of both.
func (w *Watch) ask(e *events.Event, d *detect.Decision, client string, pair uint64, n *facts,
	second int64, times uint32) {
	half, hash := w.clients.number(second), n.domain
	w.span.Halves[half] = true
	t := w.clients.table(half)
	a, ok := t.By[client]
	if !ok {
		if a, ok = t.at(strings.Clone(client), pair, func() *asks { return w.newAsks(client, half) }); !ok {
			return
		}
	}
	a.All += int64(times)
	a.Answered = a.Answered || e.RCode != events.NoRCode
	a.Least = min(a.Least, pair)
	nx := e.RCode == events.NXDomain
	if !nx && e.RCode != events.NoRCode {
		t.bound()
		return
	}
	rank := uint32(level(d.DGA))
	if nx {
		a.NX += int64(times)
		rank += 1 << 8 // before those of which nobody knows whether they exist
	}
	a.Line.add(second, times)
	if !e.Time.IsZero() {
		a.First, a.Last = min(a.First, e.Time.UnixNano()), max(a.Last, e.Time.UnixNano())
	}
	b := bin(d.DGA)
	a.Examples.add(rank, hash, func() string { return string(w.name[n.zone:]) })
	new := a.Sample.add(mostDomains, hash, packAsk(mod(second, halfDay), nx, b))
	if new {
		w.span.Pairs++
	}
	t.bound()
	if new && w.o.Live && (nx || !a.Answered) {
		w.step(client, a, hash, half, b, second)
	}
}

// newAsks is the set of a client that asks for the first time in half a day. Its detector goes on.
func (w *Watch) newAsks(client string, half int64) *asks {
	a := newAsks()
	if t := w.clients.Tables[half-1]; t != nil && w.o.Live {
		if old := t.By[client]; old != nil {
			a.R, a.Silent, a.Answered = old.R, old.Silent, old.Answered
		}
	}
	return a
}

// below counts a name for its zone, or for its client and server if it ends in no known top-level domain.
func (w *Watch) below(e *events.Event, client string, asker uint64, n *facts, second int64,
	times uint32) {
	a := &w.asked
	*a = asked{event: e, name: w.name, second: second, hash: n.hash, value: n.value,
		times: times}
	if client != "" {
		a.asker, a.client = client, asker
	}
	z := zone{Domain: lines.View(w.name[n.zone:])}
	if !n.zoned {
		z = zone{Client: client, Server: w.text(e.Server)}
	}
	w.count(w.zones[0].table(w.zones[0].number(second)), z, a)
	w.bound()
}

func (w *Watch) count(t *table[zone, *names], z zone, a *asked) {
	n, ok := t.By[z]
	if !ok {
		z = zone{strings.Clone(z.Domain), strings.Clone(z.Client), strings.Clone(z.Server)}
		if n, ok = t.at(z, a.hash, newNames); !ok {
			return
		}
	}
	n.add(a)
	t.bound()
	if w.o.Live && len(w.touched) < 4*w.o.Zones && !w.touched[z] {
		w.touched[zone{strings.Clone(z.Domain), strings.Clone(z.Client), strings.Clone(z.Server)}] = true
	}
}

// listed counts an event with a name on the block list.
func (w *Watch) listed(e *events.Event, d *detect.Decision, second int64, times uint32) {
	n := w.lists[d.Entry]
	if n == nil {
		if len(w.lists) == mostEntries {
			return
		}
		n = newNames()
		w.lists[d.Entry] = n
	}
	w.name = events.AppendLower(w.name[:0], e.Name)
	a := &asked{event: e, name: w.name, second: second, hash: xxh3.HashSeed(w.name, w.o.Seed),
		times: times}
	if a.asker = w.text(e.Client); a.asker != "" {
		a.client = xxh3.HashStringSeed(a.asker, w.o.Seed)
	}
	n.add(a)
}

// Merge adds what another Watch saw, which must not be used any more. Both have the same Seed, Zones and Clients, and
// neither is live. What comes out is what one Watch of all events would have, with two exceptions: a table that was
// full has lost items of keys that came late, and the names that a search list makes are known only beside those it
// made them of.
func (w *Watch) Merge(o *Watch) error {
	if w.o.Seed != o.o.Seed || w.o.Zones != o.o.Zones || w.o.Clients != o.o.Clients || w.o.Live || o.o.Live {
		return fmt.Errorf("merge watches: they differ in their options, or one is live")
	}
	for i := range w.zones {
		w.zones[i].merge(&o.zones[i])
	}
	w.clients.merge(&o.clients)
	for server, n := range o.servers {
		w.servers[server] += n
	}
	for entry, n := range o.lists {
		if mine := w.lists[entry]; mine != nil {
			mine.merge(n)
		} else {
			w.lists[entry] = n
		}
	}
	w.judged.merge(&o.judged)
	w.span.merge(&o.span)
	return nil
}

func (s *span) merge(o *span) {
	if s.First == 0 || o.First != 0 && o.First < s.First {
		s.First = o.First
	}
	s.Last = max(s.Last, o.Last)
	s.Events, s.Pairs = s.Events+o.Events, s.Pairs+o.Pairs
	for h := range o.Halves {
		s.Halves[h] = true
	}
}

// days is how long the events lasted. What lasted less than a day counts as one: whoever reads a capture expects no
// more false alarms of it than a day may have.
func (s *span) days() float64 { return max(float64(s.Last-s.First)/86400, 1) }
