package degas

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coredns/coredns/plugin/metrics"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/notify"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/printable"
)

// Pace of the evidence. A look costs little where little changed.
const (
	pause       = 200 * time.Millisecond
	look        = 2 * time.Second
	mostWaiting = 1 << 15 // events between two pauses
)

// seen is an event with what was decided and done.
type seen struct {
	event    events.Event // with memory of its own
	decision detect.Decision
	act      action
}

// evidence collects what queries say together. Queries only put their event into waiting; a goroutine takes them out,
// feeds the watch, writes the log and looks for findings.
type evidence struct {
	engine *engine
	watch  *watch.Watch
	log    *queryLog // or nil
	sink   notify.Sink

	mu      sync.Mutex
	waiting []seen // the first n of them
	n       int
	spare   []seen

	summary summary
	scratch []byte
}

func newEvidence(e *engine, t *watch.Tables) (*evidence, error) {
	v := &evidence{engine: e, watch: watch.New(watch.Options{Tables: t, Live: true})}
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

// add takes an event. It never waits: if too many do, the event is counted and lost to the evidence and the log.
func (v *evidence) add(e *events.Event, d *detect.Decision, a action) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.n == mostWaiting {
		eventsDropped.WithLabelValues("evidence").Inc()
		return
	}
	if v.n == len(v.waiting) {
		v.waiting = append(v.waiting, seen{})
	}
	s := &v.waiting[v.n]
	e.CopyTo(&s.event)
	s.decision, s.act = *d, a
	v.n++
}

// take hands out what waits, valid until the next call.
func (v *evidence) take() []seen {
	v.mu.Lock()
	defer v.mu.Unlock()
	taken := v.waiting[:v.n]
	v.waiting, v.spare, v.n = v.spare, v.waiting, 0
	return taken
}

// run works until ctx ends.
func (v *evidence) run(ctx context.Context) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	looked, told := time.Now(), time.Now()
	for {
		select {
		case <-ctx.Done():
			v.work(time.Now())
			return
		case <-tick.C:
		}
		now := time.Now()
		v.work(now)
		if now.Sub(looked) >= look {
			v.tell(ctx, v.watch.Now(now), now)
			if v.engine.held.forget(now) {
				v.engine.changes.Add(1)
			}
			looked = now
		}
		if now.Sub(told) >= time.Hour {
			v.summary.print()
			told = now
		}
	}
}

// work takes what waits.
func (v *evidence) work(now time.Time) {
	for _, s := range v.take() {
		v.watch.Observe(&s.event, &s.decision)
		v.summary.add(&s)
		if v.log != nil {
			v.log.write(&s)
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
		if f.Kind == watch.Tunnel && f.Domain != "" && blocks {
			v.engine.held.hold(f.Domain, now.Add(v.engine.hold))
			v.engine.changes.Add(1)
			done = "blocked for " + v.engine.hold.String()
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
		if len(m) < mostHeld {
			m[domain] = until
		}
	})
}

// forget lets go of what was held long enough, and reports whether there was any.
func (h *held) forget(now time.Time) bool {
	old := h.until.Load()
	if old == nil {
		return false
	}
	over := false
	for _, t := range *old {
		over = over || !now.Before(t)
	}
	if over {
		h.change(func(m map[string]time.Time) {
			for domain, t := range m {
				if !now.Before(t) {
					delete(m, domain)
				}
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
	for at := 0; ; at++ {
		if until, ok := (*m)[string(low[at:])]; ok {
			return now.Before(until)
		}
		dot := strings.IndexByte(string(low[at:]), '.')
		if dot < 0 {
			return false
		}
		at += dot
	}
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

func (s *summary) add(e *seen) {
	s.queries++
	if e.act.does == pass {
		return
	}
	if s.domains == nil {
		s.domains, s.clients = map[string]int64{}, map[netip.Addr]bool{}
	}
	k := dga
	switch {
	case e.decision.Verdict == detect.Blocked:
		k = list
	case e.decision.Class == kindNames[tunnel]:
		k = tunnel
	}
	s.done[k]++
	domain := detect.Domain(string(e.event.Name))
	if _, known := s.domains[domain]; known || len(s.domains) < mostSummed {
		s.domains[domain]++
	}
	if len(s.clients) < mostSummed {
		s.clients[e.event.Client.Addr] = true
	}
}

// print says what the hour brought, and forgets it.
func (s *summary) print() {
	most, n := "", int64(0)
	for domain, count := range s.domains {
		if count > n || count == n && domain < most {
			most, n = domain, count
		}
	}
	if n > 0 {
		most = ", most often " + printable.Terminal(most)
	}
	log.Infof("the last hour: %d queries; blocked, or reported as to be blocked: %d as DGA, %d as tunnels, %d by lists; "+
		"by %d clients%s", s.queries, s.done[dga], s.done[tunnel], s.done[list], len(s.clients), most)
	*s = summary{}
}

// count counts a query.
func count(ctx context.Context, q *query, d *detect.Decision, a action) {
	requestCount.WithLabelValues(q.server, metrics.WithView(ctx), d.Verdict.String(), a.does.String()).Inc()
}
