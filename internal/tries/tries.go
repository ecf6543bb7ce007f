// Package tries bounds how often a wrong secret may be tried, by whatever the caller counts by.
package tries

import (
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Limiter lets a number of tries through for each key, and then one more after each interval. It remembers the keys
// that were used last, and forgets others, so strangers cannot fill the memory. It is safe for concurrent use.
type Limiter[K comparable] struct {
	burst int
	every time.Duration

	mu   sync.Mutex
	keys *lru.Cache[K, *rate.Limiter]
}

// New makes a Limiter that remembers at most most keys.
func New[K comparable](burst int, every time.Duration, most int) *Limiter[K] {
	keys, err := lru.New[K, *rate.Limiter](most)
	if err != nil {
		panic("tries: " + err.Error()) // most is a constant of the program, and below one
	}
	return &Limiter[K]{burst: burst, every: every, keys: keys}
}

// Take takes a try of a key. If none is left, retry is how long to wait for the next one, in whole seconds, and at
// least one. Otherwise retry is 0, and back gives the try back: call it if the secret turns out to be right. Tries are
// taken before a secret is checked, so that many at the same time do not get past the bound.
func (l *Limiter[K]) Take(key K, now time.Time) (back func(), retry time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.of(key).ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return func() {}, wait.Round(time.Second) + time.Second
	}
	return func() { r.CancelAt(now) }, 0
}

// Left is how many tries of a key are left.
func (l *Limiter[K]) Left(key K, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.of(key).TokensAt(now))
}

// of is the limiter of a key. l.mu is held.
func (l *Limiter[K]) of(key K) *rate.Limiter {
	limiter, ok := l.keys.Get(key)
	if !ok {
		limiter = rate.NewLimiter(rate.Every(l.every), l.burst)
		l.keys.Add(key, limiter)
	}
	return limiter
}

// Len is how many keys are remembered.
func (l *Limiter[K]) Len() int { return l.keys.Len() }

// Place is what to count an address by: itself for IPv4, and its first bits for IPv6, of which one customer has very
// many addresses. 64 bits are a network at home; 48 bits are the most that a customer usually gets (RFC 6177).
func Place(from netip.Addr, bits int) netip.Addr {
	from = from.Unmap().WithZone("")
	if from.Is6() {
		if p, err := from.Prefix(bits); err == nil {
			return p.Addr()
		}
	}
	return from
}
