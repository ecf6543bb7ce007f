package sqlite

import (
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/tally"
)

// maxEnded bounds the minutes that wait while nothing can be written.
const maxEnded = 4096

// writer has what the writing goroutine works with. A write that fails is tried again with the next one.
type writer struct {
	*Store
	mu sync.Mutex // held by a flush

	counts  tally.Counts // not written yet
	ended   []tally.Part
	open    map[int64]tally.Part // by slot
	flagged []store.Event
	plain   []store.Event // for segments

	collapse collapser
	sampler  sampler
	kept     time.Time // when old slots were last removed
}

// start repairs what a crash left in degas.db, and opens the segments.
func (w *writer) start() error {
	w.counts, w.open = tally.Counts{}, map[int64]tally.Part{}
	now := w.Now()
	if err := w.transact(func(tx *sql.Tx) error { return mergeOpen(tx, now) }); err != nil {
		return err
	}
	if err := w.collapse.start(w.main, &w.Options); err != nil {
		return explain(w.mainPath(), err)
	}
	w.sampler.last = now
	return w.segments.open(w.dir, &w.Options)
}

func (s *Store) mainPath() string { return filepath.Join(s.dir, mainFile) }

func (s *Store) transact(do func(*sql.Tx) error) error {
	if err := transact(s.main, do); err != nil {
		return explain(s.mainPath(), err)
	}
	return nil
}

func (s *Store) loop() {
	defer close(s.stopped)
	if s.pause < 0 {
		<-s.stop
		return
	}
	tick := time.NewTicker(s.pause)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		case <-s.wake:
		}
		s.flush(false) //nolint:errcheck // Stats tells it
	}
}

// flush writes what was appended. With all, the running minutes end.
func (s *Store) flush(all bool) error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	taken := s.appended.Load() // before: Append adds to it last
	s.w.take(all)
	err := errors.Join(s.w.writeMain(), s.w.writePlain(), s.w.maintain())
	s.w.tell()
	if err == nil {
		s.written.Store(taken)
	}
	before := s.err.Swap(&err)
	if err != nil && (before == nil || *before == nil) {
		s.Log.Warn("events cannot be written; counts go on in memory", "error", err)
	} else if err == nil && before != nil && *before != nil {
		s.Log.Info("events are written again")
	}
	return err
}

// tell updates how many rows wait.
func (w *writer) tell() {
	w.Store.mu.Lock()
	defer w.Store.mu.Unlock()
	w.waiting.Store(int64(len(w.queue) + len(w.flagged) + len(w.plain)))
}

// take moves what was appended to the writer.
func (w *writer) take(all bool) {
	now := w.Now()
	w.Store.mu.Lock()
	defer w.Store.mu.Unlock()
	w.counts.AddAll(w.minutes.TakeCounts())
	for _, p := range w.minutes.TakeEnded(now, all) {
		w.ended = append(w.ended, p)
		delete(w.open, p.Slot.Unix())
	}
	for _, p := range w.minutes.Changed() {
		w.open[p.Slot.Unix()] = p
	}
	w.sampler.saw(w.Store.plain, now)
	w.Store.plain = 0
	w.every = w.sampler.every()
	// What follows rows that could not be written waits in the queue, which drops what it cannot hold.
	flagged, plain, rest := len(w.flagged) == 0, len(w.plain) == 0, w.queue[:0]
	for i := range w.queue {
		switch e := &w.queue[i]; {
		case e.Flagged() && flagged:
			w.flagged = append(w.flagged, *e)
		case !e.Flagged() && plain:
			w.plain = append(w.plain, *e)
		default:
			rest = append(rest, *e)
		}
	}
	clear(w.queue[len(rest):]) // so that their texts can be forgotten
	w.queue = rest
}

// writeMain writes to degas.db: all in one transaction, so that a crash counts nothing twice.
func (w *writer) writeMain() error {
	w.shed()
	if len(w.counts)+len(w.ended)+len(w.flagged)+len(w.open) == 0 {
		return nil
	}
	now := w.Now()
	err := w.transact(func(tx *sql.Tx) error {
		return inOrder(
			func() error { return writeCounts(tx, w.counts, now) },
			func() error { return writeEnded(tx, w.ended, now) },
			func() error { return writeOpen(tx, w.open) },
			func() error { return w.collapse.write(tx, w.flagged) })
	})
	if err != nil {
		w.collapse.forget()
		return err
	}
	w.counts, w.ended = tally.Counts{}, nil
	clear(w.open)
	clear(w.flagged)
	w.flagged = w.flagged[:0]
	return nil
}

// inOrder stops at the first error. SQLite may have undone the transaction then: what followed would stand alone.
func inOrder(steps ...func() error) error {
	for _, do := range steps {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// shed bounds what waits while nothing can be written. A minute without its list says at least how much it may hide.
func (w *writer) shed() {
	for i := range len(w.ended) - maxEnded/16 {
		for kind := range w.ended[i].Top {
			for which := range w.ended[i].Top[kind] {
				w.ended[i].Top[kind][which].Cut(0)
			}
			w.ended[i].Sketch[kind] = nil
		}
	}
	if over := len(w.ended) - maxEnded; over > 0 {
		w.ended = w.ended[over:]
	}
}

// writePlain writes rows to the segments.
func (w *writer) writePlain() error {
	if len(w.plain) == 0 {
		return nil
	}
	done, lost, err := w.segments.write(w.plain)
	w.failed.Add(int64(lost))
	w.sampler.spend(done)
	w.plain = slices.Delete(w.plain, 0, done)
	return err
}

// maintain removes what is too old or too much, once a minute.
func (w *writer) maintain() error {
	now := w.Now()
	if now.Sub(w.kept) < time.Minute && !now.Before(w.kept) && !w.segments.changed {
		return nil
	}
	w.kept, w.segments.changed = now, false
	err := w.transact(func(tx *sql.Tx) error {
		return inOrder(
			func() error { return squeeze(tx, now, w.Budget*3/4) },
			func() error { return expire(tx, now) },
			func() error { return w.collapse.limit(tx, w.Budget*3/4) })
	})
	return errors.Join(err, w.measure())
}

// measure adds up what the folder takes, and keeps the segments to what the budget leaves for them.
func (s *Store) measure() error {
	main, err := size(s.mainPath())
	if err != nil {
		return err
	}
	room := max(s.Budget-main, s.Budget/4)
	sum, err := s.segments.limit(room)
	s.bytes.Store(main + sum)
	s.w.sampler.budget(room, s.segments.rowBytes())
	return err
}
