// Package sqlite keeps events in SQLite files in a folder. It is the store.Store for one machine.
//
// The file degas.db has what is small: exact counts by minute, hour and day, top lists, sketches of how many different
// keys there were, and rows of flagged events. Rows of all other events are in segments, events-00000001.db and so on,
// each a database of its own: the oldest is removed as a file when the budget is spent.
//
// # Promises
//
// Append counts in memory and puts rows into a bounded queue; one goroutine writes both, every 0.4 s. A crash of
// the process, such as by kill -9, loses at most the last second. A crash of the machine may lose what the operating
// system had not written, but leaves no file broken (write-ahead log, synchronous NORMAL).
//
// Flagged events are all kept as rows. Beyond 1,000 in an hour, those of one registered domain, client and verdict
// become one row, whose Sample says how many they were; beyond 10,000 such rows those of a client, then all the rest.
// Other events are all kept while they fit into the budget for 24 hours, else one in Sample.
//
// Counts are kept by minute for 7 days, by hour for 90 days and by day for 5 years. Top lists and sketches are kept by
// minute for a day, by hour for 90 days and by day for 2 years. Events of times that are past count in the slots of
// that time, as far as those are kept. Times of events more than five minutes ahead are taken for now.
//
// A damaged degas.db keeps the store from opening. A damaged segment is left out, with a warning. Neither is changed.
package sqlite

import (
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/degas-dns/degas/internal/dirlock"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/tally"
)

// Options are settings of a Store. The zero value is good for a network of thousands of clients.
type Options struct {
	// Budget is how many bytes the folder may take, 0 stands for DefaultBudget; less than MinBudget counts as that.
	// degas.db gets up to three quarters of it: beyond, its oldest flagged rows, lists and sketches go earlier. Segments
	// get what it leaves. Logs of writes come on top, about 8 MB.
	Budget int64
	// Queue is how many rows may wait to be written; 0 stands for 65,536. A row takes about 300 bytes of memory.
	Queue int
	// Now is the clock; nil stands for time.Now.
	Now func() time.Time
	// Log gets warnings; nil discards them.
	Log *slog.Logger

	tuning
}

// Budgets in bytes.
const (
	DefaultBudget = 1 << 30
	MinBudget     = 16 << 20
)

// tuning are bounds that tests make smaller.
type tuning struct {
	hourRows, hourPairs int           // flagged rows of an hour that are no collapsed ones, and collapsed ones of a level
	flaggedRows         int64         // in all
	segmentBytes        int64         // of a segment
	pause               time.Duration // between two writes; negative: only when a test says so
}

func (o *Options) settle() {
	if o.Budget == 0 {
		o.Budget = DefaultBudget
	}
	o.Budget = max(o.Budget, MinBudget)
	set(&o.Queue, 1<<16)
	set(&o.hourRows, 1000)
	set(&o.hourPairs, 10_000)
	set(&o.flaggedRows, o.Budget/flaggedShare)
	set(&o.segmentBytes, min(max(o.Budget/32, 1<<20), 64<<20))
	set(&o.pause, 400*time.Millisecond)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// flaggedShare makes a cap on flagged rows of a budget: a quarter of it at about 128 bytes a row.
const flaggedShare = 4 * 128

func set[N int | int64 | time.Duration](field *N, value N) {
	if *field == 0 {
		*field = value
	}
}

// Store keeps events in a folder.
type Store struct {
	Options
	dir    string
	unlock func()
	main   *sql.DB // the writer's, one connection
	read   *sql.DB // of the same file, for questions

	mu      sync.Mutex // guards what Append fills
	minutes *tally.Minutes
	queue   []store.Event
	plain   int64 // events since the last write that were not flagged
	every   int64 // one in so many of these is kept as a row
	turn    int64 // of these since the last one that was kept
	weight  int   // how many events these stand for

	segments segments
	w        writer

	wake    chan struct{}
	stop    chan struct{}
	stopped chan struct{}

	appended, dropped, failed, waiting, bytes atomic.Int64
	written                                   atomic.Int64 // of appended, those that a crash leaves
	err                                       atomic.Pointer[error]
}

var _ store.Store = (*Store)(nil)

// Open opens the store in a folder, which it makes if needed, and repairs what a crash left. The error wraps
// dirlock.ErrLocked if another process has the folder open.
func Open(dir string, o Options) (*Store, error) {
	o.settle()
	if err := os.MkdirAll(dir, 0o700); err != nil { // who asked for which name is private
		return nil, err
	}
	unlock, err := dirlock.LockInside(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{Options: o, dir: dir, unlock: unlock, minutes: tally.NewMinutes(), every: 1,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.closeFiles())
	}
	go s.loop()
	return s, nil
}

func (s *Store) open() (err error) {
	if s.main, s.read, err = openMain(s.dir); err != nil {
		return err
	}
	s.w.Store = s
	if err := s.w.start(); err != nil {
		return err
	}
	return s.measure()
}

func (s *Store) closeFiles() error {
	err := s.segments.close()
	for _, db := range []*sql.DB{s.read, s.main} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	s.unlock()
	return err
}

// Append takes events. It waits for no disk.
func (s *Store) Append(all []store.Event) {
	if len(all) == 0 {
		return
	}
	now := s.Now()
	s.mu.Lock()
	var dropped int64
	for i := range all {
		e := all[i]
		tally.Settle(&e, now)
		s.minutes.Add(&e, now)
		room := s.Queue
		if !e.Flagged() {
			s.plain++
			s.weight += e.Sample
			if s.turn++; s.turn < s.every {
				continue
			}
			e.Sample = s.weight
			s.turn, s.weight = 0, 0
			room -= s.Queue / 4 // the rest is for flagged ones
		}
		if len(s.queue) >= room {
			dropped++
			continue
		}
		s.queue = append(s.queue, e)
	}
	half := len(s.queue) >= s.Queue/2
	s.waiting.Store(int64(len(s.queue)))
	s.mu.Unlock()
	s.appended.Add(int64(len(all)))
	s.dropped.Add(dropped)
	if half {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// Stats says how the store is.
func (s *Store) Stats() store.Stats {
	out := store.Stats{Appended: s.appended.Load(), Dropped: s.dropped.Load(), Failed: s.failed.Load(),
		Waiting: s.waiting.Load(), Bytes: s.bytes.Load(), Budget: s.Budget, Oldest: s.segments.oldest()}
	if err := s.err.Load(); err != nil {
		out.Error, out.Unwritable = *err, *err != nil
	}
	return out
}

// Close writes what waits, and gives the folder free. The error is that of the last write.
func (s *Store) Close() error {
	close(s.stop)
	<-s.stopped
	err := s.flush(true)
	return errors.Join(err, s.closeFiles())
}
