package lists

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
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

// Reload reads once more what has changed, and asks URLs: those with ?wait=30s, and others whose copy is older than
// Options.Every. What cannot be read or fetched leaves what was there, and is logged. It must not be called while Run
// runs.
func (s *Set) Reload(ctx context.Context) error {
	var reading errgroup.Group
	reading.SetLimit(4)
	for _, src := range s.sources {
		reading.Go(func() error {
			switch {
			case !src.url:
				s.lookAt(ctx, src)
				return ctx.Err()
			case src.wait == 0 && time.Since(src.meta.Fetched) < s.o.Every:
				return nil
			}
			if _, err := s.fetch(ctx, src, src.quick); err != nil {
				s.o.Log.Warn("a list cannot be fetched", "list", src.shown, "error", err)
			}
			return ctx.Err()
		})
	}
	if err := reading.Wait(); err != nil {
		return err
	}
	return s.merge()
}

// poll fetches a URL again and again.
func (s *Set) poll(ctx context.Context, src *source, fetched chan<- struct{}) {
	failures := 0
	wait := time.Until(src.meta.Fetched.Add(s.o.Every)) // of no copy, it is over
	if src.wait > 0 {
		wait = 0
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		begun := time.Now()
		changed, err := s.fetch(ctx, src, src.name)
		if ctx.Err() != nil {
			return
		}
		if failures++; err == nil {
			failures = 0
		}
		if wait = s.pause(src, failures, err); err == nil && (changed || time.Since(begun) > src.wait/2) && src.waits() {
			wait = breath
		}
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

// breath is the time between an answer and the next request to a server that holds requests.
const breath = time.Second / 2

// waits reports whether a source's server may hold a request: without an ETag it cannot know what is here already.
func (s *source) waits() bool { return s.wait > 0 && s.meta.ETag != "" }

// pause is the time before the next request, a random tenth more or less, so that many machines do not ask at once. A
// server that asks to wait longer gets its way. One that holds requests is asked again soon, also if it did not this
// time: it may have just started.
func (s *Set) pause(src *source, failures int, err error) time.Duration {
	every := s.o.Every
	if src.wait > 0 {
		every = min(every, firstRetry)
	}
	wait := every
	if failures > 0 {
		wait = min(min(firstRetry, every)<<min(failures-1, 20), every)
	}
	wait += time.Duration((rand.Float64() - .5) / 5 * float64(wait))
	if status := (&statusError{}); errors.As(err, &status) {
		wait = max(wait, min(status.wait, mostRetry))
	}
	return wait
}
