package detect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/degas-dns/degas/internal/alloctest"
)

// A Cache gives what its Policy says, one name at a time and many.
func TestCache(t *testing.T) {
	p := policy(t, Options{Classifier: builtin(), Block: []string{"evil.com"}})
	c := NewCache(p, 1000)
	names := [][]byte{[]byte("www.google.com"), []byte("evil.com"), []byte(generated), []byte("www.google.com"),
		[]byte("mail.google.com"), []byte("a b"), []byte("printer"), []byte(strings.Repeat("long.", 100) + "com")}
	out := make([]Decision, len(names))
	for round := range 3 {
		if err := c.DecideAll(t.Context(), names, out); err != nil {
			t.Fatal(err)
		}
		for i, name := range names {
			if want := p.Decide(string(name)); out[i].Verdict != want.Verdict || out[i].Reason != want.Reason {
				t.Errorf("round %d, %s: %+v, want %+v", round, name, out[i], want)
			}
		}
	}
	// The name that is too long to be remembered is missed each time; the one that comes twice is decided once.
	if hits, misses := c.Stats(); misses != 7+1+1 || hits != 3*8-misses {
		t.Errorf("%d hits, %d misses", hits, misses)
	}
	if c.Decide(names[0]).Verdict != Benign || c.decisions.len() != 6 || c.domains.len() != 2 {
		t.Errorf("%d decisions, %d domains", c.decisions.len(), c.domains.len())
	}
	copy(names[1], "good") // the caller's bytes are the caller's
	if c.Decide([]byte("evil.com")).Verdict != Blocked || c.Decide(names[1]).Verdict == Blocked {
		t.Error("the Cache holds the caller's bytes")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.DecideAll(ctx, [][]byte{[]byte("new.example.com")}, out); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A flood of names that come once leaves the names that come again, and takes no more than the bound.
func TestCacheBound(t *testing.T) {
	p := policy(t, Options{Block: []string{"often.com"}})
	const entries = 64 * shards
	c := NewCache(p, entries)
	name := make([]byte, 0, 253)
	flood := func(n int) {
		for i := range n {
			name = fmt.Appendf(name[:0], "%0220d.flood.example.com", i)
			c.Decide(name)
			if i%16 == 0 {
				c.Decide([]byte("often.com"))
			}
		}
	}
	flood(10 * entries)
	if n := c.decisions.len(); n > entries {
		t.Errorf("%d entries of %d", n, entries)
	}
	hits, _ := c.Stats()
	if want := int64(10*entries/16 - 1); hits != want {
		t.Errorf("%d hits of the name that comes often, want %d", hits, want)
	}
	if taken := alloctest.Bytes(func() { flood(entries) }); taken > entries*740 { // the race detector adds a little
		t.Errorf("%d bytes for %d names", taken, entries)
	}
}

func TestCacheTogether(t *testing.T) {
	p := policy(t, Options{Block: []string{"*.evil.com"}})
	c := NewCache(p, 50)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			out := make([]Decision, 2)
			for i := range 500 {
				names := [][]byte{fmt.Appendf(nil, "%d.evil.com", (i+g)%90), fmt.Appendf(nil, "%d.good.com", i%70)}
				if err := c.DecideAll(context.Background(), names, out); err != nil {
					t.Error(err)
				}
				if out[0].Verdict != Blocked || out[1].Verdict != Benign {
					t.Errorf("%s: %+v", names, out)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkCache(b *testing.B) {
	c := NewCache(policy(b, Options{Block: []string{"evil.com"}}), 0)
	name := []byte("www.google.com")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.Decide(name)
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	p := policy(b, Options{Classifier: builtin()})
	for _, name := range []string{"google.com", "www.google.com", "printer.lan"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(name)
			}
		})
	}
}
