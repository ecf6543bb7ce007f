//go:build unix

package shadow

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/versions"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/store"
)

// traffic is so many names a second of which a share is new, in batches as the stream gives them.
func traffic(n int, fresh float64) []store.Event {
	rng := rand.New(rand.NewPCG(1, 2))
	all := make([]store.Event, n)
	next := 0
	for i := range all {
		name := rng.IntN(5000)
		if rng.Float64() < fresh {
			next++
			name = 5000 + next
		}
		all[i] = store.Event{Name: "www.name-" + strconv.Itoa(name) + ".example", Client: "192.0.2.7", Rule: detect.Score}
	}
	return all
}

// What an event costs the keeper: with a candidate, and without one.
func BenchmarkObserve(b *testing.B) {
	for _, there := range []bool{true, false} {
		b.Run(fmt.Sprintf("candidate=%t", there), func(b *testing.B) {
			s := &Shadow{most: mostWaiting, seen: newSeen(), wake: make(chan struct{}, 1)}
			s.active.Store(there)
			all := traffic(1_000_000, .05)
			b.ResetTimer()
			done, cpu := 0, cpuTime(b)
			for b.Loop() {
				const batch = 250 // of 25 ms
				at := done % (len(all) - batch)
				s.Observe(all[at : at+batch])
				done += batch
				if len(s.waiting) == mostWaiting {
					s.waiting = s.waiting[:0]
				}
			}
			b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/float64(done), "cpu-ns/event")
		})
	}
}

// What share of a core the shadow takes of 10,000 events a second, of which 5 % are new names, beside the built-in
// model and with a candidate that is as large.
func BenchmarkShare(b *testing.B) {
	dir := b.TempDir()
	m, err := model.Builtin()
	if err != nil {
		b.Fatal(err)
	}
	for _, folder := range []string{"1", filepath.Join(versions.Shadow, "2")} {
		path := filepath.Join(dir, folder)
		if err := errors.Join(os.MkdirAll(path, 0o755), m.Save(path)); err != nil {
			b.Fatal(err)
		}
	}
	set, err := models.Open(nil, models.Source{Name: "degas", Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	v, _ := set.Find("degas", "")
	policy, err := detect.New(detect.Options{Classifier: v.Classifier})
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(Options{Serving: set, Policy: func() *detect.Policy { return policy }})
	if err != nil {
		b.Fatal(err)
	}
	go s.Run(b.Context())
	s.Observe(traffic(20_000, 0)) // the names that come again
	for waiting := true; waiting; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		waiting = len(s.waiting) > 0
		s.mu.Unlock()
	}
	before := s.Reports()[0]
	start, cpu, events := time.Now(), cpuTime(b), 0
	const second = 10_000
	all := traffic(second*60, .05)
	for b.Loop() {
		s.Observe(all[events%len(all):][:second/40])
		events += second / 40
		time.Sleep(time.Until(start.Add(time.Duration(events) * time.Second / second)))
	}
	took := time.Since(start)
	after := s.Reports()[0]
	b.ReportMetric(100*(cpuTime(b)-cpu).Seconds()/took.Seconds(), "%core")
	b.ReportMetric(float64(events)/took.Seconds(), "events/s")
	b.ReportMetric(float64(after.Names-before.Names)/took.Seconds(), "names/s")
	b.ReportMetric(float64(after.Dropped-before.Dropped), "dropped")
}

// cpuTime is what this process has used of processors.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
