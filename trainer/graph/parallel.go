package graph

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/degas-dns/degas/model/kernels"
)

// step is what the layers of one session share: how many workers they split a batch over, and where training stands.
type step struct {
	workers int
	seed    uint64
	number  uint64 // updates done
	helpers []helper
}

func newStep(workers int, seed uint64) *step {
	s := &step{workers: workers, seed: seed}
	if workers <= runtime.GOMAXPROCS(0) { // else they would wait for each other's turn on a core
		s.helpers = make([]helper, workers-1)
	}
	return s
}

// split runs work on contiguous parts of n items, one part a worker, none of them empty. The parts depend on n and the
// number of workers alone, so sums over workers taken in order are the same every time.
func (s *step) split(n int, work func(worker, lo, hi int)) {
	workers := min(s.workers, n)
	if workers < 2 {
		work(0, 0, n)
		return
	}
	if len(s.helpers) == 0 {
		var wg sync.WaitGroup
		for w := 1; w < workers; w++ {
			wg.Go(func() { work(w, n*w/workers, n*(w+1)/workers) })
		}
		work(0, 0, n/workers)
		wg.Wait()
		return
	}
	for w := 1; w < workers; w++ {
		s.helpers[w-1].begin(task{work, w, n * w / workers, n * (w + 1) / workers})
	}
	work(0, 0, n/workers)
	for w := 1; w < workers; w++ {
		s.helpers[w-1].wait()
	}
}

// helper is a goroutine that looks for its next part for a while before it ends. A step has some forty splits of a
// tenth of a millisecond; waking a sleeping core takes a virtual machine half of that.
type helper struct {
	state atomic.Int32
	task  task
	done  sync.WaitGroup // for who has lost patience
}

type task struct {
	work           func(worker, lo, hi int)
	worker, lo, hi int
}

// What a helper is at: no goroutine, one that looks for work, one that does it.
const (
	absent = iota
	ready
	busy
)

// A helper looks patience times before it gives up, and reads look times before other goroutines have their turn: a
// third of a millisecond in all, longer than most of what a step does on one core alone.
const patience, look = 1000, 128

func (h *helper) begin(t task) {
	h.done.Add(1)
	h.task = t
	if !h.state.CompareAndSwap(ready, busy) {
		h.state.Store(busy)
		go h.run()
	}
}

// run does one task after another.
func (h *helper) run() {
	for {
		h.task.work(h.task.worker, h.task.lo, h.task.hi)
		h.state.Store(ready)
		h.done.Done()
		if !h.awaits(busy) && h.state.CompareAndSwap(ready, absent) {
			return
		}
	}
}

// wait returns when the task is done.
func (h *helper) wait() {
	h.awaits(ready, absent)
	h.done.Wait()
}

// awaits looks for one of two states, patiently.
func (h *helper) awaits(states ...int32) bool {
	for range patience {
		for range look {
			if s := h.state.Load(); s == states[0] || s == states[len(states)-1] {
				return true
			}
		}
		runtime.Gosched()
	}
	return false
}

func floats(n int) []float32 { return make([]float32, n) }

// perWorker allocates a buffer of n values for each worker.
func (s *step) perWorker(n int) [][]float32 {
	out := make([][]float32, s.workers)
	for i := range out {
		out[i] = floats(n)
	}
	return out
}

// part is the k-th worker's share of n items when split deals out the workers themselves.
func (s *step) part(n, k int) (lo, hi int) { return n * k / s.workers, n * (k + 1) / s.workers }

// sumParts sets sum, which may be the first part, to the workers' parts added in order. The part of a worker that split
// never has work for stays zero.
func (s *step) sumParts(sum []float32, parts [][]float32) {
	s.split(len(sum), func(_, lo, hi int) {
		copy(sum[lo:hi], parts[0][lo:hi])
		for _, p := range parts[1:] {
			kernels.Add(sum[lo:hi], p[lo:hi])
		}
	})
}

func clearAll(bufs [][]float32) {
	for _, b := range bufs {
		clear(b)
	}
}
