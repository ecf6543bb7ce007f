package graph

import "sync"

// step is what the layers of one session share: how many workers they split a batch over, and where training stands.
type step struct {
	workers int
	seed    uint64
	number  uint64 // updates done
}

// split runs work on contiguous parts of n items, one part a worker. Which items a worker gets depends on n and the
// number of workers alone, so sums over workers taken in order are the same every time.
func (s *step) split(n int, work func(worker, lo, hi int)) {
	if s.workers == 1 || n < 2 {
		work(0, 0, n)
		return
	}
	var wg sync.WaitGroup
	for w := 1; w < s.workers; w++ {
		if lo, hi := n*w/s.workers, n*(w+1)/s.workers; lo < hi {
			wg.Go(func() { work(w, lo, hi) })
		}
	}
	if hi := n / s.workers; hi > 0 {
		work(0, 0, hi)
	}
	wg.Wait()
}

// perWorker allocates a buffer of n values for each worker.
func (s *step) perWorker(n int) [][]float32 {
	out := make([][]float32, s.workers)
	for i := range out {
		out[i] = make([]float32, n)
	}
	return out
}

func clearAll(bufs [][]float32) {
	for _, b := range bufs {
		clear(b)
	}
}
