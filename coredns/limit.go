package degas

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// limits bounds the queries of each client: a bucket of tokens for an IPv4 address or an IPv6 network of 64 bits. A nil
// limits bounds nothing.
//
// The buckets are a fixed array. Clients that share one by chance share its tokens, and which do is secret, so nobody
// can starve another client on purpose.
type limits struct {
	rate, burst float64
	seed        maphash.Seed
	buckets     []bucket
}

type bucket struct {
	mu     sync.Mutex
	tokens float64
	last   time.Time
}

// buckets is some eight times the clients of a large network, in 3 MB.
const buckets = 1 << 16

func newLimits(rate float64, burst int) *limits {
	if rate == 0 {
		return nil
	}
	return &limits{rate, float64(burst), maphash.MakeSeed(), make([]bucket, buckets)}
}

// allow takes a token of a client. A clock that runs backwards gives none.
func (l *limits) allow(client netip.Addr, now time.Time) bool {
	if l == nil {
		return true
	}
	if client.Is6() {
		p, _ := client.WithZone("").Prefix(64)
		client = p.Addr()
	}
	b := &l.buckets[maphash.Comparable(l.seed, client)%buckets]
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last.IsZero() {
		b.tokens, b.last = l.burst, now
	}
	if d := now.Sub(b.last); d > 0 {
		b.tokens, b.last = min(b.tokens+d.Seconds()*l.rate, l.burst), now
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
