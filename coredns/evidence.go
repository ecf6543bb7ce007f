package degas

import (
	"context"
	"errors"
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/notify"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/printable"
)

// Pace of the evidence. A tunnel that is fast carries 200 kB a second: where many names wait that look like a tunnel's,
// the next step comes at once. A look costs little where little changed. Looks take at most a tenth of the time, unless
// the last one is longestLook ago.
const (
	pause       = time.Second
	longestLook = 2 * time.Second
	many        = 16
	suspicious  = .5      // score of a tunnel
	mostWaiting = 1 << 15 // different events between two pauses
)

// seen is an event with what was decided and done, and how often it came.
type seen struct {
	event    events.Event // with memory of its own
	decision detect.Decision
	act      action
	times    uint32
}

// evidence collects what queries say together. Queries only put their event into waiting; a goroutine takes them out,
// feeds the watch, writes the log and looks for findings.
type evidence struct {
	engine *engine
	watch  *watch.Watch
	log    *queryLog // or nil
	sink   notify.Sink
	seed   maphash.Seed
	// tables are for the watch, once another version of the model is in use.
	tables atomic.Pointer[watch.Tables]

	mu      sync.Mutex
	waiting []seen // the first n of them
	n       int
	suspect int // of them, those that look like a tunnel's
	spare   []seen
	same    map[uint64]int // of what a client asks again, where it waits

	wake    chan struct{} // many suspects wait
	summary summary
	doubted map[string]bool // domains of tunnels to which nobody answers, that were reported
}

func newEvidence(e *engine, t *watch.Tables) (*evidence, error) {
	v := &evidence{engine: e, watch: watch.New(watch.Options{Tables: t, Live: true}), seed: maphash.MakeSeed(),
		same: map[uint64]int{}, doubted: map[string]bool{}, wake: make(chan struct{}, 1)}
	if e.log != "" || e.events != "" {
		var err error
		if v.log, err = openQueryLog(e.log, e.events); err != nil {
			return nil, err
		}
	}
	var sinks []notify.Sink
	for _, target := range e.notify {
		s, err := notify.Open(target, notify.Options{})
		if err != nil {
			return nil, errors.Join(err, notify.All(sinks...).Close())
		}
		sinks = append(sinks, s)
	}
	v.sink = notify.All(sinks...)
	return v, nil
}

// again tells queries apart that differ in more than their times.
type again struct {
	name   uint64
	client netip.Addr
	qtype  uint16
	rcode  events.RCode
	does   deed
}

// add takes a query with what came of it. It never waits: if too many do, the query is counted and lost to the
// evidence and the log. A query that a client repeats before a pause is counted in its first event, unless a log wants
// each.
func (v *evidence) add(q *query, d *detect.Decision, a action) {
	key := maphash.Comparable(v.seed, again{maphash.Bytes(v.seed, q.name), q.client.Addr(), q.qtype, q.rcode, a.does})
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.log == nil {
		if i, ok := v.same[key]; ok {
			v.waiting[i].times++
			return
		}
	}
	if v.n == mostWaiting {
		eventsDropped.WithLabelValues("evidence").Inc()
		return
	}
	if v.n == len(v.waiting) {
		v.waiting = append(v.waiting, seen{})
	}
	s := &v.waiting[v.n]
	name := append(s.event.Name[:0], q.name...)
	q.event(&s.event)
	s.event.Name = name
	s.decision, s.act, s.times = *d, a, 1
	if v.log == nil {
		v.same[key] = v.n
	}
	v.n++
	if d.Tunnel < suspicious {
		return
	}
	if v.suspect++; v.suspect >= many {
		select {
		case v.wake <- struct{}{}:
		default:
		}
	}
}

// take hands out what waits, valid until the next call.
func (v *evidence) take() []seen {
	v.mu.Lock()
	defer v.mu.Unlock()
	taken := v.waiting[:v.n]
	v.waiting, v.spare, v.n, v.suspect = v.spare, v.waiting, 0, 0
	clear(v.same)
	return taken
}

// run works until ctx ends.
func (v *evidence) run(ctx context.Context) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	next, counted, told := time.Now(), time.Now(), time.Now()
	for {
		select {
		case <-ctx.Done():
			v.work(time.Now())
			v.summary.print()
			return
		case <-tick.C:
		case <-v.wake:
		}
		now := time.Now()
		v.work(now)
		if now := time.Now(); !now.Before(next) {
			v.look(ctx, now)
			next = now.Add(min(10*time.Since(now), longestLook))
		}
		if now.Sub(counted) >= 10*time.Second {
			v.engine.countLists()
			counted = now
		}
		if now.Sub(told) >= time.Hour {
			v.summary.print()
			clear(v.doubted)
			told = now
		}
	}
}

// look looks for findings, and lets go of domains that were held long enough.
func (v *evidence) look(ctx context.Context, now time.Time) {
	v.tell(ctx, v.watch.Now(now), now)
	for _, domain := range v.engine.held.forget(now) {
		v.watch.Forget(domain) // so that a tunnel that goes on is found again
		v.engine.changed()
	}
}

// work takes what waits.
func (v *evidence) work(now time.Time) {
	waiting := v.take()
	if t := v.tables.Swap(nil); t != nil {
		v.watch.SetTables(t)
	}
	for i := range waiting {
		s := &waiting[i]
		e := s.event
		if s.act.does > report && s.decision.Class == kindNames[tunnel] {
			e.RCode, e.Kind = events.NoRCode, events.Query // the answer is degas' own, and says nothing about the domain
		}
		v.watch.ObserveTimes(&e, &s.decision, s.times)
		if v.summary.add(s) {
			done := s.act.does.String()
			if s.act.does == report {
				done = "would block"
			}
			log.Infof("%s %s for %s: %s", done, printable.Terminal(string(s.event.Name)), s.event.Client, s.decision.Reason)
		}
		if v.log != nil {
			v.log.write(s)
		}
	}
	if v.log != nil {
		v.log.flush()
	}
}

// tell reports findings, and holds the domains of tunnels.
func (v *evidence) tell(ctx context.Context, found []watch.Finding, now time.Time) {
	act := v.engine.actions[tunnel]
	blocks := act.does > report && !v.engine.monitor
	for _, f := range found {
		findingCount.WithLabelValues(f.Kind).Inc()
		if f.Kind == watch.List {
			continue // the metrics and the log have each of them
		}
		done := "reported"
		if f.Kind == watch.Tunnel && f.Domain != "" && blocks && !v.engine.policy.Load().policy.IsPopular(f.Domain) {
			if !carries(&f) {
				v.watch.Forget(f.Domain) // it may soon
				if v.doubted[f.Domain] || len(v.doubted) == mostHeld {
					continue
				}
				v.doubted[f.Domain] = true
				done = "not blocked as a whole: nobody answers"
			} else {
				v.engine.held.hold(f.Domain, now.Add(v.engine.hold))
				v.engine.changed()
				done = "blocked for " + v.engine.hold.String()
			}
		}
		log.Warningf("%s %s, client %s: %s (%s)", f.Kind, printable.Terminal(f.Subject()), printable.Terminal(f.Client),
			printable.Terminal(f.Reason), done)
		if err := v.sink.Send(ctx, f); err != nil {
			log.Warningf("send a finding: %v", err)
		}
	}
}

func (v *evidence) close() error {
	err := v.sink.Close()
	if v.log != nil {
		err = errors.Join(err, v.log.close())
	}
	return err
}

// carries reports whether names of a tunnel's domain reach somebody who answers. Anybody can ask for names that look
// like a tunnel's below a domain of others, whose servers deny them; nobody shall have it blocked for all in this way.
func carries(f *watch.Finding) bool { return f.Answered >= leastAnswers && f.Answered >= f.NXDomain }

// leastAnswers is how many names have an answer before their domain is blocked as a whole.
const leastAnswers = 5

// held are domains that are blocked until a time. There are few: a map is copied whenever one comes or goes.
type held struct {
	mu    sync.Mutex
	until atomic.Pointer[map[string]time.Time]
}

// mostHeld bounds held: whoever finds more tunnels than that has other worries.
const mostHeld = 1 << 12

func (h *held) change(f func(map[string]time.Time)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := map[string]time.Time{}
	if old := h.until.Load(); old != nil {
		for domain, t := range *old {
			next[domain] = t
		}
	}
	f(next)
	h.until.Store(&next)
	heldDomains.Set(float64(len(next)))
}

// hold blocks a domain and all below it until a time.
func (h *held) hold(domain string, until time.Time) {
	h.change(func(m map[string]time.Time) {
		if _, known := m[domain]; known || len(m) < mostHeld {
			m[domain] = until
		}
	})
}

// forget lets go of what was held long enough, and gives it.
func (h *held) forget(now time.Time) (over []string) {
	old := h.until.Load()
	if old == nil {
		return nil
	}
	for domain, t := range *old {
		if !now.Before(t) {
			over = append(over, domain)
		}
	}
	if len(over) > 0 {
		h.change(func(m map[string]time.Time) {
			for _, domain := range over {
				delete(m, domain)
			}
		})
	}
	return over
}

// has reports whether a name is in a domain that is held.
func (h *held) has(name []byte, now time.Time) bool {
	m := h.until.Load()
	if m == nil || len(*m) == 0 {
		return false
	}
	low := events.AppendLower(make([]byte, 0, 256), name)
	for at := 0; at < len(low); at++ {
		if until, ok := (*m)[string(low[at:])]; ok {
			return now.Before(until)
		}
		for at < len(low) && low[at] != '.' {
			if low[at] == '\\' {
				at++ // a dot behind it ends no label
			}
			at++
		}
	}
	return false
}

// summary counts what an hour brought.
type summary struct {
	queries int64
	done    [kinds]int64
	domains map[string]int64
	clients map[netip.Addr]bool
}

// mostSummed bounds what a summary remembers.
const mostSummed = 1000

// add counts an event, and reports whether it is the first of its domain in this hour that is blocked, or would be.
func (s *summary) add(e *seen) (first bool) {
	s.queries += int64(e.times)
	if e.act.does == pass {
		return false
	}
	if s.domains == nil {
		s.domains, s.clients = map[string]int64{}, map[netip.Addr]bool{}
	}
	s.done[kindOf(&e.decision)] += int64(e.times)
	domain := detect.Domain(string(e.event.Name))
	_, known := s.domains[domain]
	if known || len(s.domains) < mostSummed {
		s.domains[domain] += int64(e.times)
		first = !known
	}
	if len(s.clients) < mostSummed {
		s.clients[e.event.Client.Addr] = true
	}
	return first
}

// print says what the hour brought, and forgets it.
func (s *summary) print() {
	if s.queries == 0 {
		return
	}
	most, n := "", int64(0)
	for domain, count := range s.domains {
		if count > n || count == n && domain < most {
			most, n = domain, count
		}
	}
	if n > 0 {
		most = ", most often " + printable.Terminal(most)
	}
	log.Infof("since the start or the last hour: %d queries; blocked, or reported as to be blocked: %d as DGA, "+
		"%d as tunnels, %d by lists; by %d clients%s", s.queries, s.done[dga], s.done[tunnel], s.done[list],
		len(s.clients), most)
	*s = summary{}
}
