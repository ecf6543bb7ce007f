// Package feed hands what was decided to those who look on, as it happens: a bounded part of it, which says what it is
// a part of.
package feed

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/store"
)

// Bounds of a Feed. A window is what comes within feedPause.
const (
	feedPause    = 250 * time.Millisecond
	mostReaders  = 32
	mostWindow   = 4096 // events that are looked at; more are counted
	mostFlagged  = 50   // flagged events a second that a reader gets
	mostPlain    = 5    // other events that a reader gets of a window with more than quietPlain
	quietPlain   = 25   // other events of a window of which a reader gets all
	mostWaiting  = 8    // batches for a reader that is slow
	ringWindows  = 120  // that can be asked for again: half a minute
	mostRingRows = 50   // of a window in the ring, flagged and others each
)

// Feed hands what was decided to pages that show it live. A goroutine chooses what each of them gets, four times a
// second, so that whoever calls Publish waits for nobody. While nobody reads, it costs nothing. The zero Feed is ready.
type Feed struct {
	listening atomic.Bool // somebody reads, or did so half a minute ago

	mu      sync.Mutex
	open    window        // is being filled
	spare   []store.Event // memory for the next one
	ring    []window      // the last ones, oldest first, with few events each
	readers map[*Reader]struct{}
	last    int64 // id of the newest window
	idle    int   // windows since the last reader left
	closed  bool
}

// window is what came within feedPause. Its ids are times in milliseconds, so that they grow over a restart.
type window struct {
	id     int64
	seen   int // events, also those beyond mostWindow
	events []store.Event
}

// Batch is what a reader gets of a window.
type Batch struct {
	ID   int64
	Rows []store.Event // newest first
	Fit  int           // events that fit the filter, as far as they were looked at
	Seen int           // all events
}

// Reader is a page that looks on.
type Reader struct {
	Batches chan Batch // closed by Feed.Close
	keep    func(*store.Event) bool
	room    float64 // flagged events that it may still get
	missed  Batch   // counts of what it was too slow for
}

// Publish shows events to who looks on. The slice stays the caller's, the texts in it do not.
func (f *Feed) Publish(all []store.Event) {
	if !f.listening.Load() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	w := &f.open
	w.seen += len(all)
	n := min(len(all), max(0, mostWindow-len(w.events)))
	w.events = append(w.events, all[:n]...)
	for i := n; i < len(all) && len(w.events) < mostWindow+mostFlagged; i++ {
		if all[i].Flagged() {
			w.events = append(w.events, all[i])
		}
	}
}

// Close sends all readers away. Nothing is shown any more.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listening.Store(false)
	f.closed = true
	for r := range f.readers {
		close(r.Batches)
	}
	f.readers = nil
}

// Read adds a reader for what keep chooses, nil for all. It first gets the windows after an id, as far as they are
// known. End it with Leave.
func (f *Feed) Read(keep func(*store.Event) bool, after int64) (*Reader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, reply.Busy("The server is stopping")
	case len(f.readers) >= mostReaders:
		return nil, reply.Busy("Too many pages look on already. Try: close some")
	}
	r := &Reader{Batches: make(chan Batch, mostWaiting), keep: keep, room: mostFlagged}
	if after > 0 {
		r.send(f.since(after))
	}
	if f.readers == nil {
		f.readers = map[*Reader]struct{}{}
	}
	f.readers[r] = struct{}{}
	f.idle = 0
	if !f.listening.Swap(true) {
		go f.run()
	}
	return r, nil
}

// since are the windows of the ring after an id, as one.
func (f *Feed) since(id int64) window {
	w := window{id: f.last}
	for _, one := range f.ring {
		if one.id > id {
			w.seen += one.seen
			w.events = append(w.events, one.events...)
		}
	}
	return w
}

// Leave ends a reader.
func (f *Feed) Leave(r *Reader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.readers, r)
}

func (f *Feed) run() {
	tick := time.NewTicker(feedPause)
	defer tick.Stop()
	for now := range tick.C {
		if !f.step(now) {
			return
		}
	}
}

// step ends a window and sends it. It reports whether somebody may still want the next one.
func (f *Feed) step(now time.Time) bool {
	f.mu.Lock()
	w := f.open
	f.last = max(f.last+1, now.UnixMilli())
	w.id = f.last
	f.open, f.spare = window{events: f.spare[:0]}, nil
	if f.ring = append(f.ring, w.short()); len(f.ring) > ringWindows {
		f.ring = slices.Delete(f.ring, 0, 1)
	}
	if f.idle++; len(f.readers) > 0 {
		f.idle = 0
	}
	if f.closed || f.idle > ringWindows {
		f.listening.Store(false)
		f.ring, f.open = nil, window{}
		f.mu.Unlock()
		return false
	}
	all := make([]Batch, 0, len(f.readers))
	to := make([]*Reader, 0, len(f.readers))
	for r := range f.readers {
		to = append(to, r)
	}
	f.mu.Unlock()
	for _, r := range to { // filters run while others publish
		all = append(all, r.choose(w))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spare = w.events // what was chosen of them are copies
	for i, r := range to {
		if _, ok := f.readers[r]; ok { // else its channel may be closed
			r.offer(all[i])
		}
	}
	return true
}

// short is a window with few of its events.
func (w window) short() window {
	r := Reader{room: mostRingRows}
	b := r.sample(w, mostRingRows)
	slices.Reverse(b.Rows)
	return window{w.id, w.seen, b.Rows}
}

func (r *Reader) send(w window) {
	if w.seen > 0 {
		r.offer(r.sample(w, mostRingRows))
	}
}

// choose is what the reader gets of a window. Only the goroutine of run calls it.
func (r *Reader) choose(w window) Batch {
	r.room = min(r.room+mostFlagged*feedPause.Seconds(), mostFlagged)
	return r.sample(w, mostPlain)
}

// sample chooses flagged events while there is room, and plain other ones, evenly.
func (r *Reader) sample(w window, plain int) Batch {
	b := Batch{ID: w.id, Seen: w.seen}
	var others []int
	chosen := make([]int, 0, plain)
	for i := range w.events {
		e := &w.events[i]
		if r.keep != nil && !r.keep(e) {
			continue
		}
		b.Fit++
		if !e.Flagged() {
			others = append(others, i)
		} else if r.room >= 1 {
			r.room--
			chosen = append(chosen, i)
		}
	}
	if r.keep == nil {
		b.Fit = w.seen
	}
	if len(others) <= quietPlain {
		plain = len(others)
	}
	for n, i := min(plain, len(others)), 0; i < n; i++ {
		chosen = append(chosen, others[i*len(others)/n])
	}
	slices.Sort(chosen)
	for _, i := range slices.Backward(chosen) {
		b.Rows = append(b.Rows, w.events[i])
	}
	return b
}

// offer sends a Batch, or counts it for the next one if the reader is too slow. The Feed's lock is held.
func (r *Reader) offer(b Batch) {
	if b.Seen == 0 && r.missed.Seen == 0 {
		return
	}
	b.Fit, b.Seen = b.Fit+r.missed.Fit, b.Seen+r.missed.Seen
	select {
	case r.Batches <- b:
		r.missed = Batch{}
	default:
		r.missed = Batch{Fit: b.Fit, Seen: b.Seen}
	}
}
