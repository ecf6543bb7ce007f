package lists

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// firstRetry is the time after which a URL is tried again. It doubles with each failure, up to Options.Every.
const firstRetry = 30 * time.Second

// Run keeps the lists up to date until ctx ends. After each change it calls changed, from one goroutine. Run is called
// once.
func (s *Set) Run(ctx context.Context, changed func()) {
	var polls sync.WaitGroup
	defer polls.Wait()
	fetched := make(chan struct{}, 1)
	for _, src := range s.sources {
		if src.url {
			polls.Go(func() { s.poll(ctx, src, fetched) })
		}
	}
	ticker := time.NewTicker(s.look)
	defer ticker.Stop()
	for {
		news := false
		select {
		case <-ctx.Done():
			return
		case <-fetched:
			news = true
		case <-ticker.C:
			for _, src := range s.sources {
				if !src.url {
					news = s.lookAt(ctx, src) || news
				}
			}
		}
		if !news {
			continue
		}
		if err := s.merge(); err != nil {
			s.o.Log.Error("the lists stay as they were", "error", err)
			continue
		}
		if changed != nil {
			changed()
		}
	}
}

// poll fetches a URL again and again.
func (s *Set) poll(ctx context.Context, src *source, fetched chan<- struct{}) {
	failures := 0
	wait := time.Until(src.meta.Fetched.Add(s.o.Every)) // of no copy, it is over
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		changed, err := s.fetch(ctx, src)
		if ctx.Err() != nil {
			return
		}
		if failures++; err == nil {
			failures = 0
		}
		wait = s.pause(failures, err)
		if err != nil {
			s.o.Log.Warn("a list cannot be fetched", "list", src.shown, "failures", failures, "again in",
				wait.Round(time.Second), "error", err)
		}
		if changed {
			select {
			case fetched <- struct{}{}:
			default: // Run has not looked since the last one
			}
		}
	}
}

// pause is the time before the next request, a random tenth more or less, so that many machines do not ask at once. A
// server that asks to wait longer gets its way.
func (s *Set) pause(failures int, err error) time.Duration {
	wait := s.o.Every
	if failures > 0 {
		wait = min(min(firstRetry, s.o.Every)<<min(failures-1, 20), s.o.Every)
	}
	wait += time.Duration((rand.Float64() - .5) / 5 * float64(wait))
	if status := (&statusError{}); errors.As(err, &status) {
		wait = max(wait, min(status.wait, mostRetry))
	}
	return wait
}
