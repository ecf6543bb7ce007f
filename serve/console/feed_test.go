package console

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/serve/store"
)

// some are n events, of which every so many-th is malicious.
func some(n, every int) []store.Event {
	all := make([]store.Event, n)
	for i := range all {
		all[i] = store.Event{Name: "www.example.com", Domain: "example.com", Client: "192.0.2.1"}
		if every > 0 && i%every == 0 {
			all[i].Verdict = detect.Malicious
		}
	}
	return all
}

// next is the next batch, or an empty one if none is there.
func (r *reader) next() batch {
	select {
	case b := <-r.batches:
		return b
	default:
		return batch{}
	}
}

func ofBatch(b batch) (flagged, others int) {
	for i := range b.rows {
		if b.rows[i].Flagged() {
			flagged++
		} else {
			others++
		}
	}
	return flagged, others
}

func TestFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Feed
		f.Publish(some(10, 1)) // nobody is there
		all, err := f.read(nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		few, err := f.read(func(e *store.Event) bool { return e.Flagged() }, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.Publish(some(10_000, 100))
		time.Sleep(2 * feedPause)
		synctest.Wait()
		b := all.next()
		if flagged, others := ofBatch(b); flagged != mostFlagged || others != mostPlain || b.fit != 10_000 || b.seen != 10_000 {
			t.Errorf("%d flagged, %d others, of %d of %d", flagged, others, b.fit, b.seen)
		}
		if b := few.next(); len(b.rows) != mostFlagged || b.fit < mostFlagged || b.fit > 100 || b.seen != 10_000 {
			t.Errorf("filtered: %d rows of %d of %d", len(b.rows), b.fit, b.seen)
		}
		if b := all.next(); b.seen != 0 {
			t.Errorf("a window without events was sent: %+v", b)
		}
		// Flagged ones are bounded by the second.
		flagged := 0
		for range 40 {
			f.Publish(some(100, 1))
			time.Sleep(feedPause)
			synctest.Wait()
			n, _ := ofBatch(all.next())
			flagged += n
		}
		if flagged < 9*mostFlagged || flagged > 11*mostFlagged {
			t.Errorf("%d flagged in ten seconds", flagged)
		}
		f.leave(all)
		f.leave(few)
		time.Sleep(time.Minute)
		synctest.Wait()
		if f.listening.Load() {
			t.Error("it goes on without readers")
		}
	})
}

// A reader that comes back gets what came meanwhile, once. One that is slow gets the counts of what it missed.
func TestFeedResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Feed
		r, err := f.read(nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		publish := func(n int) {
			f.Publish(some(n, 0))
			time.Sleep(feedPause)
			synctest.Wait()
		}
		publish(3)
		id := r.next().id
		f.leave(r)
		publish(4)
		publish(5)
		if r, err = f.read(nil, id); err != nil {
			t.Fatal(err)
		}
		if b := r.next(); b.seen != 9 || len(b.rows) != 9 || b.id <= id {
			t.Errorf("%d rows of %d, id %d after %d", len(b.rows), b.seen, b.id, id)
		}
		for range 2 * mostWaiting {
			publish(2)
		}
		for range mostWaiting {
			if b := r.next(); b.seen != 2 {
				t.Errorf("%d", b.seen)
			}
		}
		publish(1)
		if b := r.next(); b.seen != 2*mostWaiting+1 {
			t.Errorf("%d were seen, of which a slow reader hears", b.seen)
		}
		for range mostReaders - 1 {
			if _, err := f.read(nil, 0); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := f.read(nil, 0); err == nil {
			t.Error("there are more readers than may be")
		}
		f.Close()
		if _, ok := <-r.batches; ok {
			t.Error("Close left a reader")
		}
		f.Publish(some(1, 1))
		if _, err := f.read(nil, 0); err == nil {
			t.Error("a closed feed takes readers")
		}
		time.Sleep(time.Second)
	})
}

// What events cost who publishes them.
func BenchmarkPublish(b *testing.B) {
	all := some(1000, 100)
	for name, readers := range map[string]int{"nobody": 0, "32 readers": mostReaders} {
		b.Run(name, func(b *testing.B) {
			var f Feed
			defer f.Close()
			for range readers {
				r, err := f.read(func(e *store.Event) bool { return e.Flagged() }, 0)
				if err != nil {
					b.Fatal(err)
				}
				go func() {
					for range r.batches {
					}
				}()
			}
			for i := 0; b.Loop(); i++ {
				f.Publish(all)
				if i%4 == 3 { // as many as a window has at 16,000 a second
					f.mu.Lock()
					f.open = window{events: f.open.events[:0]}
					f.mu.Unlock()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(all)), "ns/event")
		})
	}
}
