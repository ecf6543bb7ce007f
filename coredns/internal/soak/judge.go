package main

import (
	"fmt"
	"time"
)

// Bars. A short run fills caches and tables all the time: its memory is not judged.
const (
	mostGrowth   = 0.05 // of the mean, over the second half
	settledAfter = 3 * time.Minute
)

// judge prints the table.
func judge(took time.Duration, l *load, c *connections, s *server, w *watcher, files *lists) bool {
	ran := s.stop()
	all := true
	row := func(what, want string, ok bool, format string, args ...any) {
		state := "ok"
		if !ok {
			state, all = "FAILED", false
		}
		fmt.Printf("| %s | %s | %s | %s |\n", what, fmt.Sprintf(format, args...), want, state)
	}
	fmt.Print("| what | seen | bar | |\n|---|---|---|---|\n")
	asked := l.asked.Load()
	row("well-formed queries over UDP", "all sent", asked > 0, "%d in %.0f s, %.0f a second", asked, took.Seconds(),
		float64(asked)/took.Seconds())
	row("broken packets", "", true, "%d", l.broken.Load())
	row("without an answer after three tries", "0", l.lost.Load() == 0, "%d", l.lost.Load())
	row("tries after the first", "", true, "%d", l.again.Load())
	row("longest wait", "", true, "%.1f s", time.Duration(l.slowest.Load()).Seconds())
	row("rounds of the upstream: good, lies, dead, hangs", "1 or more", l.up.rounds.Load() > 0, "%d",
		l.up.rounds.Load())
	row("SERVFAIL", "", true, "%d", l.failed.Load())
	row("SERVFAIL while the upstream is well", "1 in 1,000", 1000*l.failedBadly.Load() <= asked, "%d",
		l.failedBadly.Load())
	row("lies of the upstream that were believed", "0", l.believed.Load() == 0, "%d", l.believed.Load())
	row("names of a block list that passed", "0", l.allowed.Load() == 0, "%d", l.allowed.Load())
	row("names of an allow list that were blocked", "0", l.denied.Load() == 0, "%d", l.denied.Load())
	row("lists that lost their entries", "none", len(w.emptied) == 0, "%v", w.emptied)
	row("failed requests for lists", "1 or more", files.failed.Load() > 0, "%d", files.failed.Load())
	reloaded, kept := w.logged("Reloading complete"), w.logged("Restart failed")
	row("reloads: done, refused as they should be", "2 or more, 1 or more", reloaded > 1 && kept > 0, "%d, %d", reloaded,
		kept)
	row("TCP connections: at once, in all", fmt.Sprint(c.n), int(c.most.Load()) >= c.n*9/10, "%d, %d", c.most.Load(),
		c.opened.Load())
	row("TCP connections refused", "", true, "%d", c.refused.Load())
	row("TCP queries with an answer, and asked again", "some", c.asked.Load() > 0, "%d, %d", c.asked.Load(),
		c.retried.Load())
	row("TCP queries without an answer after three tries", "0", c.lost.Load() == 0, "%d", c.lost.Load())
	row("goroutines: at first, at most, at the end", "back to the first + 100", w.last <= w.first+100, "%d, %d, %d",
		w.first, w.most, w.last)
	grew, mean := w.growth()
	long := took >= settledAfter
	row("memory over the second half", "grows by at most 5 %", !long || grew <= mostGrowth*mean,
		"%.0f MiB on average, grew by %.0f MiB%s", mean/(1<<20), grew/(1<<20),
		map[bool]string{false: " (too short to judge)"}[long])
	if n := len(w.heap); n > 0 {
		row("heap in use, half-way and at the end", "", true, "%d MiB, %d MiB", w.heap[n/2]>>20, w.heap[n-1]>>20)
	}
	for series, n := range w.dropped {
		row(series, "", true, "%.0f", n)
	}
	panics := w.logged("panic:", "Recovered from panic")
	row("panics: counted, in the log", "0, 0", w.panics == 0 && panics == 0, "%.0f, %d", w.panics, panics)
	row("the server ran until it was stopped", "yes", ran, "%v", ran)
	return all
}
