package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/degas-dns/degas/detect"
)

// Answers hold as long as their records say, within bounds. Denials hold as RFC 2308 says.
func TestLifetimes(t *testing.T) {
	q, _ := newQuery("www.example.", dns.TypeA)
	for _, c := range []struct {
		name  string
		want  time.Duration
		rcode int
		texts []string
		ede   uint16
	}{
		{"shortest", 20 * time.Second, 0, []string{"www.example. 30 IN A 192.0.2.1", "www.example. 20 IN A 192.0.2.2"}, 0},
		{"with its CNAME", 10 * time.Second, 0,
			[]string{"www.example. 10 IN CNAME b.example.", "b.example. 20 IN A 192.0.2.2"}, 0},
		{"a week", maxTTL, 0, []string{"www.example. 604800 IN A 192.0.2.1"}, 0},
		{"none", 0, 0, []string{"www.example. 0 IN A 192.0.2.1"}, 0},
		{"NXDOMAIN", 60 * time.Second, 3, []string{soa}, 0},
		{"NXDOMAIN, TTL below minimum", 7 * time.Second, 3, []string{". 7 IN SOA a. b. 1 2 3 4 60"}, 0},
		{"NXDOMAIN for long", maxNegative, 3, []string{". 9999 IN SOA a. b. 1 2 3 4 9999"}, 0},
		{"NXDOMAIN without SOA", 0, 3, nil, 0},
		{"no such records", 60 * time.Second, 0, []string{soa}, 0},
		{"CNAME alone", 30 * time.Second, 0, []string{"www.example. 30 IN CNAME b.example.", soa}, 0},
		{"blocked", 60 * time.Second, 3, []string{soa}, 15},
		{"blocked with an address", 0, 0, []string{"www.example. 300 IN A 0.0.0.0"}, 17},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := answer(q.message(), c.rcode, c.texts...)
				if c.ede != 0 {
					ede(m, c.ede, "")
				}
				cache := newCache(4)
				cache.put(q.key(), newEntry(q, m, "192.0.2.1:53"))
				if c.want == 0 {
					if cache.get(q.key()) != nil {
						t.Error("it is remembered")
					}
					return
				}
				time.Sleep(c.want - time.Second)
				e := cache.get(q.key())
				if e == nil {
					t.Fatal("forgotten too early")
				}
				if a, err := e.answer(q, detect.Decision{}); err == nil {
					for i, rr := range a.Records {
						want := m.Answer[i].Header().Ttl - uint32(c.want/time.Second-1)
						if rr.Header().Ttl != want || rr == m.Answer[i] {
							t.Errorf("%v, want %d seconds left", rr, want)
						}
					}
				}
				time.Sleep(time.Second)
				if cache.get(q.key()) != nil {
					t.Error("forgotten too late")
				}
			})
		})
	}
}

// The cache has bounds: in entries and in the size of one.
func TestCacheIsBounded(t *testing.T) {
	cache := newCache(8)
	for i := range 100 {
		q, _ := newQuery(fmt.Sprintf("www%d.example.", i), dns.TypeA)
		cache.put(q.key(), newEntry(q, good(q.message()), ""))
	}
	if n := cache.entries.Len(); n != 8 {
		t.Errorf("%d entries", n)
	}
	q, _ := newQuery("long.example.", dns.TypeTXT)
	m := answer(q.message(), 0)
	for i := range 200 {
		m.Answer = append(m.Answer, record(fmt.Sprintf("long.example. 60 IN TXT \"%030d\"", i)))
	}
	cache.put(q.key(), newEntry(q, m, ""))
	if cache.get(q.key()) != nil {
		t.Errorf("%d bytes are remembered", m.Len())
	}
	u := serve(t, nil, nil)
	r := fresh(t, WithServers(u.addr), WithCache(0))
	for range 2 {
		if _, err := r.Resolve(context.Background(), "www.google.com", dns.TypeA); err != nil {
			t.Fatal(err)
		}
	}
	if u.asked() != 2 {
		t.Errorf("%d queries without a cache", u.asked())
	}
}

// Look-ups of one name at one time share a query. Nobody's end ends it for the others.
func TestJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j joined
		var asked, ended atomic.Int64
		ask := func(ctx context.Context) (*entry, *net.DNSError) {
			asked.Add(1)
			select {
			case <-time.After(time.Minute):
				return &entry{}, nil
			case <-ctx.Done():
				ended.Add(1)
				return nil, failed("", "", ctx.Err())
			}
		}
		base, stop := context.WithCancel(context.Background())
		defer stop()
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(base, time.Duration(1+i)*11*time.Second)
				defer cancel()
				e, err := j.do(ctx, base, key{name: "a."}, ask)
				if patient := i > 4; patient != (e != nil) || !patient && (err == nil || !err.IsTimeout) {
					t.Errorf("caller %d: %v, %v", i, e, err)
				}
			})
		}
		all.Wait()
		if asked.Load() != 1 || ended.Load() != 0 {
			t.Errorf("asked %d times, ended %d", asked.Load(), ended.Load())
		}
		// The last caller's end ends the query, and the next one begins another.
		ctx, cancel := context.WithTimeout(base, time.Second)
		defer cancel()
		j.do(ctx, base, key{name: "a."}, ask)
		if e, err := j.do(base, base, key{name: "a."}, ask); e == nil || err != nil {
			t.Error(e, err)
		}
		if asked.Load() != 3 || ended.Load() != 1 || len(j.calls) != 0 {
			t.Errorf("asked %d times, ended %d, %d left", asked.Load(), ended.Load(), len(j.calls))
		}
	})
}

// Many goroutines may use one Resolver while its policy changes.
func TestConcurrent(t *testing.T) {
	u := serve(t, nil, nil)
	live := new(detect.Live)
	policies := []*detect.Policy{policy(t, detect.Options{Action: detect.Block}), policy(t, detect.Options{})}
	live.Swap(policies[0])
	r := fresh(t, WithServers(u.addr), WithLive(live), WithCache(8))
	ctx := context.Background()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 20 {
				if i == 0 {
					live.Swap(policies[n%2])
				}
				name := fmt.Sprintf("www%d.google.com.", n%4)
				if _, err := r.Resolve(ctx, name, dns.TypeA); err != nil {
					t.Error(err)
				}
				if _, err := r.LookupTXT(ctx, name); err != nil {
					t.Error(err)
				}
				r.Resolve(ctx, generated, dns.TypeA)
			}
		})
	}
	all.Wait()
}

// After Close nothing is answered, and nothing is said not to exist.
func TestClosedCache(t *testing.T) {
	u := serve(t, nil, nil)
	r := fresh(t, WithServers(u.addr))
	if _, err := r.Resolve(t.Context(), "www.google.com.", dns.TypeA); err != nil {
		t.Fatal(err)
	}
	r.Close()
	var e *net.DNSError
	if _, err := r.Resolve(t.Context(), "www.google.com.", dns.TypeA); !errors.As(err, &e) || e.IsNotFound {
		t.Errorf("after Close: %v", err)
	}
}
