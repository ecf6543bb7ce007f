// Package stream runs a watch: it reads events from sources that do not end, decides about their names, and sends what
// package detect/watch finds to sinks. What it knows is kept in a file, so that it goes on after a restart.
package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/metrics"
	"github.com/degas-dns/degas/detect/notify"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/events/follow"
)

// Source is where events come from.
type Source struct {
	// Name is for messages and metrics: "eth0", "dnstap", or a path.
	Name   string
	Reader events.Reader
	Stats  *events.Stats
	// Dropped, if not nil, is how many packets the kernel could not hand over.
	Dropped func() int64
	// Joined says that an event is a query with its answer already, as far as both are known: none waits for the other.
	Joined bool
	// Place, if not nil, is where a log was read to. It is called between calls of Reader's Next.
	Place func() follow.State
}

// Options of Run.
type Options struct {
	Policy *detect.Policy
	// Policies takes Policy's place as they come, with other lists or another model for example. nil is none.
	Policies <-chan *detect.Policy
	Watch    *watch.Watch // live
	Sources  []Source
	Sink     notify.Sink
	Mutes    *notify.Mutes
	Metrics  *metrics.Metrics
	// Keep, if not nil, is given all events of a source with the decisions about them, from one goroutine. Both stay
	// Run's.
	Keep func(source string, all []events.Event, decisions []detect.Decision)
	// State is the file that keeps what is known, "" for none.
	State string
	// Look is the time between two looks at the evidence, and Save that between two writes of State; 0 are five and thirty
	// seconds.
	Look, Save time.Duration
}

// Bounds of what waits between a source and the watch.
const (
	mostWaiting = 4096
	pause       = 25 * time.Millisecond
)

// Run runs until ctx ends or all sources do. A source that fails ends it; what was found until then is sent, and the
// state is kept. ctx's end is no error.
func Run(ctx context.Context, o Options) (err error) {
	o.Look, o.Save = cmp.Or(o.Look, 5*time.Second), cmp.Or(o.Save, 30*time.Second)
	r := &runner{Options: o, cache: detect.NewCache(o.Policy, 0)}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	for i := range o.Sources {
		s := &source{Source: o.Sources[i], free: sync.NewCond(&sync.Mutex{}), metrics: o.Metrics}
		if s.Place != nil {
			s.place = s.Place()
		}
		r.sources = append(r.sources, s)
		running.Go(s.read)
		stop := context.AfterFunc(ctx, s.close)
		defer stop()
	}
	defer running.Wait()
	defer cancel()     // before waiting
	if o.State != "" { // a place that cannot be written to is said at once
		r.saved = time.Now()
		r.settle(r.saved)
		if err := r.save(r.saved, r.places[0].places); err != nil {
			return err
		}
	}
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			running.Wait() // for the events that wait for their answers
			return r.end(r.take(context.WithoutCancel(ctx)))
		case p := <-o.Policies:
			r.adopt(p)
			continue
		case <-ticker.C:
		}
		if err := r.take(ctx); err != nil && ctx.Err() == nil {
			return r.end(err)
		}
		if r.ended() {
			return r.end(r.take(ctx))
		}
		r.tend(time.Now())
	}
}

// runner is one call of Run.
type runner struct {
	Options
	sources []*source
	cache   *detect.Cache

	names     [][]byte
	decisions []detect.Decision

	latest        time.Time // of events
	arrived       time.Time // when latest came
	looked, saved time.Time
	places        []kept
}

// kept is where the logs were read to at some time.
type kept struct {
	at     time.Time
	places []follow.State
}

// source reads events in a goroutine of its own.
type source struct {
	Source
	free    *sync.Cond
	waiting []events.Event // with memory of their own, used up to n
	n       int
	spare   []events.Event
	place   follow.State
	closed  bool
	err     error // io.EOF at the end
	metrics *metrics.Metrics
	counted map[string]int64 // of Stats, by reason
}

// read takes events from the reader until it ends. While too many wait, it reads nothing: the kernel or the sender
// drops what does not fit, and counts it.
func (s *source) read() {
	pump := s.newPump()
	var in events.Reader = pump
	if !s.Joined {
		in = events.Join(pump)
	}
	var e events.Event
	for {
		err := in.Next(&e)
		if err == events.ErrIdle {
			continue
		}
		s.free.L.Lock()
		for err == nil && s.n == mostWaiting && !s.closed {
			s.free.Wait()
		}
		if err == nil {
			if s.n == len(s.waiting) {
				s.waiting = append(s.waiting, events.Event{})
			}
			e.CopyTo(&s.waiting[s.n])
			s.n++
			s.place = pump.place
		}
		s.err = err
		s.free.L.Unlock()
		if err != nil {
			return
		}
	}
}

// count adds what the reader passed over since the last call.
func (s *source) count(to *metrics.Family, reasons map[string]int64) {
	if s.counted == nil {
		s.counted = map[string]int64{}
	}
	for reason, n := range reasons {
		to.With(reason).Add(n - s.counted[reason])
		s.counted[reason] = n
	}
}

// close ends the reader.
func (s *source) close() {
	s.free.L.Lock()
	s.closed = true
	s.free.Broadcast()
	s.free.L.Unlock()
	if c, ok := s.Reader.(io.Closer); ok {
		_ = c.Close()
	}
}

// take hands out what waits. It is valid until the next call.
func (s *source) take() (waiting []events.Event, err error) {
	s.free.L.Lock()
	defer s.free.L.Unlock()
	waiting = s.waiting[:s.n]
	s.waiting, s.spare, s.n = s.spare, s.waiting, 0
	s.free.Broadcast()
	return waiting, s.err
}

// ended reports whether no source has more.
func (r *runner) ended() bool {
	for _, s := range r.sources {
		s.free.L.Lock()
		ended := s.err != nil
		s.free.L.Unlock()
		if !ended {
			return false
		}
	}
	return true
}

// adopt puts a policy in the place of the one before.
func (r *runner) adopt(p *detect.Policy) {
	if c := p.Classifier(); c != nil && c != r.Policy.Classifier() {
		t, err := watch.TablesFor(p, c.Model())
		if err != nil {
			slog.Error("the policy stays as it was", "error", err)
			return
		}
		r.Watch.SetTables(t)
	}
	r.Policy, r.cache = p, detect.NewCache(p, 0)
}

// take observes what waits in all sources. The error is a source's.
func (r *runner) take(ctx context.Context) error {
	for _, s := range r.sources {
		for {
			waiting, err := s.take()
			if len(waiting) > 0 {
				if err := r.observe(ctx, s, waiting); err != nil {
					return err
				}
				continue
			}
			if err != nil && err != io.EOF && !errors.Is(err, context.Canceled) {
				return fmt.Errorf("watch %s: %w", s.Name, err)
			}
			break
		}
	}
	return nil
}

// observe decides about events and adds them to the evidence.
func (r *runner) observe(ctx context.Context, s *source, all []events.Event) error {
	r.names = r.names[:0]
	for i := range all {
		r.names = append(r.names, all[i].Name)
	}
	if n := len(all); n > len(r.decisions) {
		r.decisions = make([]detect.Decision, n)
	}
	if err := r.cache.DecideAll(ctx, r.names, r.decisions[:len(all)]); err != nil {
		return err
	}
	now := time.Now()
	read, scored := map[string]int64{}, int64(0)
	for i := range all {
		e := &all[i]
		if e.Time.After(r.latest) {
			r.latest, r.arrived = e.Time, now
		}
		r.Watch.Observe(e, &r.decisions[i])
		read[metrics.RCodeClass(e.RCode)]++
		if r.decisions[i].Scored() {
			scored++
		}
	}
	if r.Keep != nil {
		r.Keep(s.Name, all, r.decisions[:len(all)])
	}
	for class, n := range read {
		r.Metrics.Events.With(s.Name, class).Add(n)
	}
	r.Metrics.Scored.With().Add(scored)
	r.Metrics.LastEvent.With().Set(now.Unix())
	return nil
}

// tend looks at the evidence and keeps the state, as often as Options say.
func (r *runner) tend(now time.Time) {
	if now.Sub(r.looked) >= r.Look {
		r.looked = now
		r.look(now)
		r.settle(now)
	}
	if r.State != "" && now.Sub(r.saved) >= r.Save {
		r.saved = now
		if err := r.save(now, r.places[0].places); err != nil {
			slog.Error("the state is not kept", "error", err)
		}
	}
}

// clock is what time it is in the events. It is that of the latest one, and goes on with the wall's.
func (r *runner) clock(now time.Time) time.Time {
	if r.latest.IsZero() {
		return now
	}
	return r.latest.Add(now.Sub(r.arrived))
}

// look sends what was found.
func (r *runner) look(now time.Time) {
	for _, f := range r.Watch.Now(r.clock(now)) {
		r.Metrics.Findings.With(f.Kind).Add(1)
		if f.Allows(r.Policy) {
			continue
		}
		if reason, muted := r.Mutes.Muted(&f, now); muted {
			slog.Info("a finding is muted", "kind", f.Kind, "about", f.Subject(), "reason", reason)
			r.Metrics.Muted.With(f.Kind).Add(1)
			continue
		}
		if err := r.Sink.Send(context.Background(), f); err != nil {
			slog.Error("a finding was not delivered", "kind", f.Kind, "about", f.Subject(), "error", err)
		}
	}
	clients, domains := r.Watch.Size()
	r.Metrics.Clients.With().Set(int64(clients))
	r.Metrics.Domains.With().Set(int64(domains))
	for _, s := range r.sources {
		if s.Dropped != nil {
			r.Metrics.KernelDrops.With(s.Name).Set(s.Dropped())
		}
	}
}

// settle notes the places of logs. The first of r.places is that of some time ago: events wait up to events.JoinWindow
// for their answers. A restart reads them again, which adds nothing to sets, instead of losing them.
func (r *runner) settle(now time.Time) {
	r.places = append(r.places, kept{now, r.now()})
	for len(r.places) > 1 && now.Sub(r.places[1].at) > 2*events.JoinWindow {
		r.places = r.places[1:]
	}
}

// now are the places of logs.
func (r *runner) now() (places []follow.State) {
	for _, s := range r.sources {
		if s.Place != nil {
			s.free.L.Lock()
			places = append(places, s.place)
			s.free.L.Unlock()
		}
	}
	return places
}

// end sends what was found at last and keeps the state.
func (r *runner) end(err error) error {
	now := time.Now()
	r.look(now)
	if r.State != "" {
		err = errors.Join(err, r.save(now, r.now()))
	}
	return err
}
