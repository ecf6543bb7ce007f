//go:build unix

package ledger

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// BenchmarkInForce measures what a change costs with 100,000 entries: the decision, and the new Snapshot.
func BenchmarkInForce(b *testing.B) {
	l := open(b, b.TempDir(), Options{})
	for k := range 100 {
		all := make([]Decision, 1000)
		for i := range all {
			all[i] = Decision{Pattern: fmt.Sprintf("n%d.k%d.example", i, k), Verdict: Block, By: "ann"}
		}
		if _, err := l.DecideAll(b.Context(), all); err != nil {
			b.Fatal(err)
		}
	}
	n, begin := 0, processorTime(b)
	for b.Loop() {
		n++
		decide(b, l, fmt.Sprintf("block z%d.example", n))
		if got := len(l.InForce(time.Now()).Block); got != 100_000+n {
			b.Fatal(got)
		}
	}
	b.ReportMetric(float64((processorTime(b)-begin).Microseconds())/1000/float64(b.N), "cpu-ms/op")
}

// processorTime is what this process has used, by which other programs on the machine do not count.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
