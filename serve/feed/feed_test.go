package feed

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

// next is the next Batch, or an empty one if none is there.
func (r *Reader) next() Batch {
	select {
	case b := <-r.Batches:
		return b
	default:
		return Batch{}
	}
}

func ofBatch(b Batch) (flagged, others int) {
	for i := range b.Rows {
		if b.Rows[i].Flagged() {
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
		all, err := f.Read(nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		few, err := f.Read(func(e *store.Event) bool { return e.Flagged() }, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.Publish(some(10_000, 100))
		time.Sleep(2 * feedPause)
		synctest.Wait()
		b := all.next()
		flagged, others := ofBatch(b)
		if flagged != mostFlagged || others != mostPlain || b.Fit != 10_000 || b.Seen != 10_000 {
			t.Errorf("%d flagged, %d others, of %d of %d", flagged, others, b.Fit, b.Seen)
		}
		if b := few.next(); len(b.Rows) != mostFlagged || b.Fit < mostFlagged || b.Fit > 100 || b.Seen != 10_000 {
			t.Errorf("filtered: %d rows of %d of %d", len(b.Rows), b.Fit, b.Seen)
		}
		if b := all.next(); b.Seen != 0 {
			t.Errorf("a window without events was sent: %+v", b)
		}
		// Flagged ones are bounded by the second.
		flagged = 0
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
		f.Leave(all)
		f.Leave(few)
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
		r, err := f.Read(nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		publish := func(n int) {
			f.Publish(some(n, 0))
			time.Sleep(feedPause)
			synctest.Wait()
		}
		publish(3)
		id := r.next().ID
		f.Leave(r)
		publish(4)
		publish(5)
		if r, err = f.Read(nil, id); err != nil {
			t.Fatal(err)
		}
		if b := r.next(); b.Seen != 9 || len(b.Rows) != 9 || b.ID <= id {
			t.Errorf("%d rows of %d, id %d after %d", len(b.Rows), b.Seen, b.ID, id)
		}
		for range 2 * mostWaiting {
			publish(2)
		}
		for range mostWaiting {
			if b := r.next(); b.Seen != 2 {
				t.Errorf("%d", b.Seen)
			}
		}
		publish(1)
		if b := r.next(); b.Seen != 2*mostWaiting+1 {
			t.Errorf("%d were seen, of which a slow reader hears", b.Seen)
		}
		for range mostReaders - 1 {
			if _, err := f.Read(nil, 0); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := f.Read(nil, 0); err == nil {
			t.Error("there are more readers than may be")
		}
		f.Close()
		if _, ok := <-r.Batches; ok {
			t.Error("Close left a reader")
		}
		f.Publish(some(1, 1))
		if _, err := f.Read(nil, 0); err == nil {
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
				r, err := f.Read(func(e *store.Event) bool { return e.Flagged() }, 0)
				if err != nil {
					b.Fatal(err)
				}
				go func() {
					for range r.Batches {
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
