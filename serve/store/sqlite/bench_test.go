//go:build unix

package sqlite

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/degas-dns/degas/serve/store"
)

// cpu is the CPU time of this process in seconds.
func cpu(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// traffic is what a network of 5,000 clients asks: names by a power law, one in a hundred never seen before, one in a
// thousand flagged.
func traffic(n int) []store.Event {
	random := rand.New(rand.NewPCG(1, 1))
	all := make([]store.Event, n)
	for i := range all {
		domain := fmt.Sprintf("d%d.example", int(50_000*math.Pow(random.Float64(), 4)))
		all[i] = store.Event{Name: "www." + domain, Domain: domain, Type: 1, Class: "benign", Model: "degas 3",
			Client: fmt.Sprintf("10.0.%d.%d", random.IntN(20), random.IntN(250)), Score: random.Float64() / 2}
		if random.IntN(100) == 0 {
			all[i].Name = fmt.Sprintf("%x.%s", random.Int(), domain)
		}
		if random.IntN(1000) == 0 {
			all[i].Verdict, all[i].Class = 4, "dga"
		}
	}
	return all
}

// What keeping costs at 10,000 events a second of simulated time, with two writes a second: with as many rows as the
// default budget allows for a day, and with all of them. The metric %core is what it takes of one core in real time.
func BenchmarkKeep(b *testing.B) {
	const rate = 10_000
	all := traffic(1 << 17)
	for _, kind := range []string{"sampled", "all"} {
		b.Run(kind, func(b *testing.B) {
			c := newClock()
			s, err := Open(b.TempDir(), Options{Now: c.now, tuning: tuning{pause: -1}})
			if err != nil {
				b.Fatal(err)
			}
			defer closed(b, s)
			b.ResetTimer()
			started, events := cpu(b), 0
			for range b.N {
				s.w.sampler.rate, s.w.sampler.tokens = rate, s.w.sampler.burst
				if kind == "sampled" {
					s.w.sampler.tokens /= 4
				}
				for range 2 {
					for range 50 {
						part := all[events%len(all):][:100]
						for i := range part {
							part[i].Time = c.now()
						}
						s.Append(part)
						events = (events + 100) % (len(all) - len(all)%100)
						c.add(10 * time.Millisecond)
					}
					write(b, s)
				}
			}
			used := cpu(b) - started
			b.ReportMetric(float64(b.N)*rate/used, "events/CPU-s")
			b.ReportMetric(100*used/float64(b.N), "%core")
			b.ReportMetric(float64(s.Stats().Bytes)/float64(b.N), "bytes/s")
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.Sys)/1e6, "MB")
		})
	}
}
