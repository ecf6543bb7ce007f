// Package search keeps events in OpenSearch or Elasticsearch: one way of writing for both. Events are documents in the
// Elastic Common Schema. They go into the data stream logs-degas.dns-default, or into indices degas-dns-YYYY.MM.DD
// where a cluster has no data streams. Counts, top lists and sketches of distinct keys are documents of their own, in
// indices degas-counts-*. So counts are exact although not every event becomes a document.
//
// What is written goes to files first, and then to the cluster. A cluster may be away until the files have reached
// their limit. What is lost then, and what is lost when degas is killed:
//
//   - Killed: the events of the last second. Top lists and sketches lose at most ten seconds of the minutes that ran,
//     and at most two minutes of their hours and days.
//   - Files at half their limit: events that are not flagged have no document. From seven eighths on, flagged ones have
//     none either. They count all the same.
//   - A power failure: what the machine had not written to its disk.
//
// Nothing is doubled: documents have ids, and totals replace older totals. One case is left. If degas is killed after a
// request, before its answer, and somebody else rolls the data stream over before degas starts again, then events of
// that request have two documents.
package search

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/tally"
)

// Options say which cluster, and how much goes there. Zero values are the defaults.
type Options struct {
	URL        string // http or https, of a node or of what stands before the nodes; a path is put before all paths
	CAFile     string // PEM; "" trusts the machine's authorities
	Auth       Scheme
	SecretFile string // what Auth needs. It is read for every request, so that it may change
	// Dir is for the files of what the cluster does not have yet. It belongs to one store alone.
	Dir   string
	Spool int64 // the most bytes in Dir; 512 MiB
	// Rows is how many events that are not Flagged become documents each second, 100 if 0. Beyond it, and a burst of
	// five minutes' rows, one of n does, and its Sample says so. All makes a document of each event.
	Rows int
	All  bool
	// Queue is how many events may wait in memory, 100,000 if 0. That is half a second's.
	Queue int
	// Keep is how long events are kept, 30 days if 0. Budget is the most bytes that all documents may have, 0 for no
	// bound: the oldest events go first. Both delete whole indices, so that a day more may be there.
	Keep   time.Duration
	Budget int64
	// DGAFields adds ml_is_dga.malicious_probability and malicious_prediction, as Elastic's own DGA model writes them.
	DGAFields bool
	Log       *slog.Logger // nil discards

	pace pace
}

// maxJournal bounds the journal in bytes. It grows for a minute, and for longer only while the spool is full.
const maxJournal = 64 << 20

// pace says how quickly things happen. Tests shorten it.
type pace struct {
	flush    time.Duration // from the queue to the spool
	save     time.Duration // between two writes of counts to the journal
	lists    time.Duration // between two writes of lists of minutes that run
	counts   time.Duration // between two writes of counts to the spool
	gather   time.Duration // between two small requests
	first    time.Duration // wait after a failure; it doubles
	longest  time.Duration
	maintain time.Duration // between two looks at what can be forgotten
	retain   time.Duration // between two looks at what is too old
	drain    time.Duration // how long Close waits for the cluster
}

var usual = pace{flush: 400 * time.Millisecond, save: 700 * time.Millisecond, lists: 10 * time.Second,
	counts: time.Minute, gather: time.Second, first: time.Second, longest: 30 * time.Second,
	maintain: 30 * time.Second, retain: 10 * time.Minute, drain: 5 * time.Second}

func (o *Options) settle() error {
	if o.Dir == "" {
		return errors.New("the search cluster needs a directory for what waits. Try: a path")
	}
	if o.Rows < 0 || o.Queue < 0 || o.Spool < 0 || o.Keep < 0 || o.Budget < 0 {
		return errors.New("limits of the search cluster cannot be negative")
	}
	o.Rows = defaulted(o.Rows, 100)
	o.Queue = defaulted(o.Queue, 100_000)
	o.Spool = defaulted(o.Spool, 512<<20)
	o.Keep = defaulted(o.Keep, 30*24*time.Hour)
	o.pace = defaulted(o.pace, usual)
	o.Log = discard(o.Log)
	return nil
}

func defaulted[T comparable](v, usual T) T {
	var zero T
	if v == zero {
		return usual
	}
	return v
}

// Store is a store.Store. Close it.
type Store struct {
	o      Options
	client *client
	spool  *spool
	boot   string // of ids

	// hot is held for moments only, so that Append never waits.
	hot      sync.Mutex
	minutes  *tally.Minutes
	queue    []store.Event
	sampler  sampler
	appended int64

	// counting comes before hot, if both are held.
	counting sync.Mutex
	parts    parts
	batch    uint64
	version  uint64 // of documents of counts
	sequence int64  // of events
	// When minutes that run were copied, counts were saved in the journal, and sent. The journal's size in bytes.
	listed, saved, counted time.Time
	journaled              int64

	target  atomic.Pointer[target] // nil until the cluster has answered once
	unsure  atomic.Bool            // a request has failed since target was set
	arrived atomic.Uint64          // the last batch that the cluster has
	dropped atomic.Int64
	failed  atomic.Int64
	bytes   atomic.Int64

	problem struct {
		sync.Mutex
		spool, send error     // of the last attempt
		sampled     time.Time // when a refused document was logged
	}

	wake    chan struct{} // the spool has something
	stop    chan struct{} // closed by Close
	flushed chan struct{} // closed when nothing is written to the spool any more
	ctx     context.Context
	cancel  context.CancelFunc // of ctx: ends requests
	work    sync.WaitGroup
}

// Open opens the store. The cluster need not be there yet. Errors are those of options, of files that they name, and of
// a directory that another process uses.
func Open(o Options) (*Store, error) {
	if err := o.settle(); err != nil {
		return nil, err
	}
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	files, err := openSpool(o.Dir, o.Spool)
	if err != nil {
		return nil, err
	}
	var boot [6]byte
	if _, err := rand.Read(boot[:]); err != nil {
		return nil, fmt.Errorf("make an id: %w", err)
	}
	s := &Store{o: o, client: c, spool: files, boot: hex.EncodeToString(boot[:]), minutes: tally.NewMinutes(),
		sampler: newSampler(o.Rows), sequence: time.Now().UnixMicro(), wake: make(chan struct{}, 1),
		stop: make(chan struct{}), flushed: make(chan struct{})}
	s.parts = parts{boot: s.boot, known: map[partKey]*part{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.work.Go(s.flushes)
	s.work.Go(s.sends)
	return s, nil
}

var _ store.Store = (*Store)(nil)

// Append implements store.Store.
func (s *Store) Append(all []store.Event) {
	now := time.Now()
	var dropped int64
	s.hot.Lock()
	defer s.hot.Unlock()
	for i := range all {
		e := all[i]
		tally.Settle(&e, now)
		s.minutes.Add(&e, now)
		s.appended++
		if !s.o.All && !e.Flagged() {
			n := s.sampler.take(now)
			if n == 0 {
				continue
			}
			e.Sample *= n
		}
		if len(s.queue) >= s.o.Queue {
			dropped++
			continue
		}
		s.queue = append(s.queue, e)
	}
	s.dropped.Add(dropped)
}

// burstSeconds is how long a sampler's rate is saved up for a burst, such as an old log that is read in a minute.
const burstSeconds = 600

// sampler lets a burst pass, and then about so many events a second, and says how many each stands for.
type sampler struct {
	most    int   // a second
	left    int64 // of the burst; below half of it, events are sampled
	every   int   // one of so many passes
	skipped int
	second  int64
	seen    int // events in this second
	passed  int // since every was set
}

func newSampler(most int) sampler {
	return sampler{most: most, left: int64(most) * burstSeconds, every: 1}
}

// take is how many events this one stands for, 0 if it does not pass.
func (s *sampler) take(now time.Time) int {
	burst := int64(s.most) * burstSeconds
	if second := now.Unix(); second != s.second {
		s.every = max((s.seen+s.most-1)/s.most, 1)
		s.left = min(s.left+min(max(second-s.second, 0), burstSeconds)*int64(s.most), burst)
		s.second, s.seen, s.passed, s.skipped = second, 0, 0, s.every-1
	}
	s.seen++
	if s.left > burst/2 {
		s.left--
		return 1
	}
	if s.passed >= s.most {
		s.every *= 2
		s.passed /= 2
	}
	if s.skipped++; s.skipped < s.every {
		return 0
	}
	s.skipped = 0
	s.passed++
	s.left = max(s.left-1, 0)
	return s.every
}

// flushes moves events from memory to files until the store is closed.
func (s *Store) flushes() {
	defer close(s.flushed)
	tick := time.NewTicker(s.o.pace.flush)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.flush(time.Now(), false)
		case <-s.stop:
			s.flush(time.Now(), true)
			return
		}
	}
}

// flush writes what is new to files. With all, the running minutes end.
func (s *Store) flush(now time.Time, all bool) {
	s.counting.Lock()
	defer s.counting.Unlock()
	running := now.Sub(s.listed) >= s.o.pace.lists
	if running {
		s.listed = now
	}
	s.takeNews(now, running, all)
	s.hot.Lock()
	rows := s.queue
	s.queue = nil
	s.hot.Unlock()
	before := s.batch
	err := s.writeRows(rows, now)
	switch {
	case all || now.Sub(s.counted) >= s.o.pace.counts:
		if e := s.sendCounts(now); e != nil {
			err = errors.Join(err, e, s.saveCounts(now))
		}
	case now.Sub(s.saved) >= s.o.pace.save:
		err = errors.Join(err, s.saveCounts(now))
	}
	s.failed.Add(s.parts.bound(maxParts))
	if err != nil || s.batch > before {
		s.wrote(err)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// wrote keeps the outcome of a write to files, and logs it if it is news.
func (s *Store) wrote(err error) {
	s.problem.Lock()
	before := s.problem.spool
	s.problem.spool = err
	s.problem.Unlock()
	switch {
	case err != nil && before == nil:
		s.o.Log.Error("events for the search cluster cannot be kept", "error", err)
	case err == nil && before != nil:
		s.o.Log.Info("events for the search cluster are kept again")
	}
}

// takeNews counts what is new. The caller holds counting.
func (s *Store) takeNews(now time.Time, running, all bool) {
	s.hot.Lock()
	n := news{counts: s.minutes.TakeCounts(), ended: s.minutes.TakeEnded(now, all)}
	if running {
		n.running = s.minutes.Changed()
	}
	s.hot.Unlock()
	s.parts.add(n, now)
}

// writeRows writes events. Those that find no room are counted as dropped.
func (s *Store) writeRows(rows []store.Event, now time.Time) error {
	if len(rows) == 0 {
		return nil
	}
	l := newLines()
	half, most := s.spool.room(0.5), s.spool.room(0.875)
	var failure error
	write := func() {
		if l.rows == 0 {
			return
		}
		s.batch++
		if err := s.spool.add(l.Bytes(), l.rows, s.batch, now); err != nil {
			s.dropped.Add(int64(l.rows))
			failure = err
		}
		half, most = half-int64(l.Len()), most-int64(l.Len())
		l.Reset()
		l.rows = 0
	}
	for i := range rows {
		e := &rows[i]
		if left := int64(l.Len()); most <= left || half <= left && !e.Flagged() {
			s.dropped.Add(1)
			failure = errSpoolFull
			continue
		}
		s.sequence++
		if err := l.addEvent(e, eventID(s.boot, s.sequence), s.sequence, s.o.DGAFields); err != nil {
			s.failed.Add(1)
			failure = err
		}
		if l.Len() > maxSegment/4 {
			write()
		}
	}
	write()
	return failure
}

// saveCounts writes the counts that changed to the journal. They survive a kill, and the cluster does not get them.
func (s *Store) saveCounts(now time.Time) error {
	s.saved = now
	l := newLines()
	s.version++
	saved, err := s.parts.save(l, s.version)
	if err != nil || l.Len() == 0 {
		return err
	}
	if s.journaled+int64(l.Len()) > maxJournal {
		return errSpoolFull
	}
	if s.journaled, err = s.spool.save(l.Bytes()); err != nil {
		return err
	}
	saved()
	return nil
}

// sendCounts writes the counts that changed since it was called before to the spool, for the cluster. What finds no
// room is written the next time, and stays in the journal until then.
func (s *Store) sendCounts(now time.Time) error {
	s.counted = now
	s.version++
	waiting, _ := s.spool.waiting()
	err := s.parts.send(s.version, now, waiting > 2*maxSegment, func(l *lines) (uint64, error) {
		s.batch++
		return s.batch, s.spool.add(l.Bytes(), 0, s.batch, now)
	})
	if err != nil {
		return err
	}
	s.journaled = 0
	s.parts.nothingUnsaved()
	return s.spool.forget()
}

// Stats implements store.Store. Bytes are the cluster's and the spool's.
func (s *Store) Stats() store.Stats {
	spooled, rows := s.spool.waiting()
	s.hot.Lock()
	out := store.Stats{Appended: s.appended, Waiting: int64(len(s.queue)) + rows}
	s.hot.Unlock()
	out.Dropped, out.Failed = s.dropped.Load(), s.failed.Load()
	out.Bytes, out.Budget = s.bytes.Load()+spooled, s.o.Budget
	s.problem.Lock()
	out.Error, out.Unwritable = errors.Join(s.problem.spool, s.problem.send), s.problem.spool != nil
	s.problem.Unlock()
	return out
}

// Close implements store.Store. It waits five seconds for the cluster. What the cluster does not have by then stays in
// the files, and is sent when the store is opened again.
func (s *Store) Close() error {
	close(s.stop)
	limit := time.AfterFunc(s.o.pace.drain, s.cancel)
	s.work.Wait()
	limit.Stop()
	s.cancel()
	bytes, _ := s.spool.waiting()
	if bytes > 0 {
		s.o.Log.Warn("the search cluster does not have all yet; the rest follows at the next start", "bytes", bytes)
	}
	s.spool.unlock()
	s.client.http.CloseIdleConnections()
	s.problem.Lock()
	defer s.problem.Unlock()
	return s.problem.spool
}
