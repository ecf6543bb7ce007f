package detect

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/model/dnsname"
)

// Cache remembers a Policy's decisions by the bytes of the name. It is safe for concurrent use. It is for callers that
// see names again and again, as logs do. Decisions of a Policy never get old; a new Policy needs a new Cache.
//
// It has at most the entries that it was made for, and half as many scores of registered domains. An entry takes some
// 220 bytes, its name, and the entry of a list that decided. So a full Cache takes at most 1 KB for each of its
// entries, and less than 0.3 with names of usual length. A name that is longer than 253 bytes is decided, but not
// remembered.
type Cache struct {
	policy       *Policy
	decisions    *table[Decision]
	domains      *table[float64]
	hits, misses atomic.Int64
	pool         sync.Pool // of *batch
}

// DefaultEntries is a Cache of some 75 MB.
const DefaultEntries = 1 << 18

// NewCache makes a Cache of at most so many entries. 0 is DefaultEntries.
func NewCache(p *Policy, entries int) *Cache {
	if entries <= 0 {
		entries = DefaultEntries
	}
	c := &Cache{policy: p, decisions: newTable[Decision](entries), domains: newTable[float64](entries / 2)}
	c.pool.New = func() any { return &batch{at: map[string]int32{}} }
	return c
}

// Stats says how many names were in the Cache, and how many were not.
func (c *Cache) Stats() (hits, misses int64) { return c.hits.Load(), c.misses.Load() }

// Decide is Policy.Decide for a name that stays the caller's.
func (c *Cache) Decide(name []byte) Decision {
	if ok, d := c.decisions.get(lines.View(name)); ok {
		c.hits.Add(1)
		return d
	}
	c.misses.Add(1)
	d := c.policy.decide(lines.View(name), c.domains)
	c.decisions.put(lines.View(name), d)
	return d
}

// Known is the decision about a name that stays the caller's, if it is remembered.
func (c *Cache) Known(name []byte) (d Decision, known bool) {
	if known, d = c.decisions.get(lines.View(name)); known {
		c.hits.Add(1)
	}
	return d, known
}

// batch is the memory of one DecideAll.
type batch struct {
	at      map[string]int32 // of a name that is not in the Cache, its index in missing
	missing []string
	slots   []slot
	answers []Decision
}

// slot says that names[name] is missing[missing].
type slot struct{ name, missing int32 }

// DecideAll is Policy.DecideAll for names that stay the caller's. A name that comes several times is decided once.
func (c *Cache) DecideAll(ctx context.Context, names [][]byte, out []Decision) error {
	b := c.pool.Get().(*batch)
	defer func() {
		clear(b.at)
		clear(b.missing) // they are the caller's bytes
		c.pool.Put(b)
	}()
	b.missing, b.slots = b.missing[:0], b.slots[:0]
	for i, name := range names {
		key := lines.View(name)
		var ok bool
		if ok, out[i] = c.decisions.get(key); ok {
			continue
		}
		at, again := b.at[key]
		if !again {
			at = int32(len(b.missing))
			b.at[key], b.missing = at, append(b.missing, key)
		}
		b.slots = append(b.slots, slot{int32(i), at})
	}
	c.hits.Add(int64(len(names) - len(b.missing)))
	c.misses.Add(int64(len(b.missing)))
	if len(b.missing) == 0 {
		return nil
	}
	if n := len(b.missing); n > len(b.answers) {
		b.answers = make([]Decision, n)
	}
	if err := c.policy.decideAll(ctx, b.missing, b.answers[:len(b.missing)], c.domains); err != nil {
		return err
	}
	for _, s := range b.slots {
		out[s.name] = b.answers[s.missing]
	}
	for i, key := range b.missing {
		c.decisions.put(key, b.answers[i])
	}
	return nil
}

// table is a bounded map of texts. Shards with a lock each let goroutines work side by side. A nil table is empty and
// stays so.
type table[V any] struct {
	seed   maphash.Seed // random, so that nobody can choose names that meet in one shard
	shards [shards]shard[V]
}

const shards = 32

// shard holds entries in a ring. When it is full, a hand goes round the ring and throws out the first entry that nobody
// has asked for since the hand came by last: names that come again stay, and a flood of names that come once replaces
// itself.
type shard[V any] struct {
	mu    sync.Mutex
	index map[string]int32 // in ring
	ring  []kept[V]
	size  int
	hand  int
	_     [64]byte // locks of two shards do not share a line of the processor's cache
}

type kept[V any] struct {
	key   string
	value V
	asked bool
}

func newTable[V any](entries int) *table[V] {
	t := &table[V]{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].index, t.shards[i].size = map[string]int32{}, max(entries/shards, 1)
	}
	return t
}

func (t *table[V]) shard(key string) *shard[V] {
	return &t.shards[maphash.String(t.seed, key)%shards]
}

func (t *table[V]) get(key string) (ok bool, v V) {
	if t == nil {
		return false, v
	}
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.index[key]
	if ok {
		s.ring[i].asked = true
		v = s.ring[i].value
	}
	return ok, v
}

// put keeps a copy of key.
func (t *table[V]) put(key string, v V) {
	if t == nil || len(key) > dnsname.MaxName {
		return
	}
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.index[key]; ok {
		return // another goroutine was faster
	}
	key = strings.Clone(key)
	if len(s.ring) < s.size {
		s.index[key] = int32(len(s.ring))
		s.ring = append(s.ring, kept[V]{key: key, value: v})
		return
	}
	for ; s.ring[s.hand].asked; s.hand = (s.hand + 1) % len(s.ring) {
		s.ring[s.hand].asked = false
	}
	delete(s.index, s.ring[s.hand].key)
	s.ring[s.hand] = kept[V]{key: key, value: v}
	s.index[key] = int32(s.hand)
	s.hand = (s.hand + 1) % len(s.ring)
}

// len is the number of entries.
func (t *table[V]) len() (n int) {
	for i := range t.shards {
		t.shards[i].mu.Lock()
		n += len(t.shards[i].ring)
		t.shards[i].mu.Unlock()
	}
	return n
}
