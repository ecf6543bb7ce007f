package sqlite

import (
	"math"
	"time"
)

// sampler decides which share of events without a flag becomes rows: all of them, until they come faster than what the
// room for segments holds for a day. A burst may use an eighth of the room first, so that an old log that is read in a
// minute is kept whole.
type sampler struct {
	last   time.Time
	rate   float64 // events a second, smoothed over a minute
	target float64 // rows a second that fill the room in a day; 0 until it is known
	tokens float64 // rows of the burst that are left
	burst  float64
}

// budget sets the room for segments, at so many bytes a row.
func (s *sampler) budget(room int64, rowBytes float64) {
	rows := float64(room) / rowBytes
	if s.target == 0 {
		s.tokens = rows / 8
	}
	s.target, s.burst = rows/oneDay.Seconds(), rows/8
	s.tokens = min(s.tokens, s.burst)
}

// saw notes n events since the last call.
func (s *sampler) saw(n int64, now time.Time) {
	past := now.Sub(s.last).Seconds()
	if past <= 0 {
		return // the clock was set back
	}
	s.last = now
	s.rate += (float64(n)/past - s.rate) * (1 - math.Exp(-past/60))
	s.tokens = min(s.burst, s.tokens+past*s.target)
}

// spend notes n rows.
func (s *sampler) spend(n int) { s.tokens = max(0, s.tokens-float64(n)) }

// every is n where one event in n becomes a row. In the long run a quarter of the burst is left, and rows are written
// at the target's rate.
func (s *sampler) every() int64 {
	if s.target == 0 || s.tokens >= s.burst/2 {
		return 1
	}
	return max(1, int64(math.Ceil(s.rate/s.target*2*(1-2*s.tokens/s.burst))))
}
