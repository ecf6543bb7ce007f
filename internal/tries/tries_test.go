package tries

import (
	"net/netip"
	"sync"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	l := New[string](3, time.Minute, 2)
	take := func(key string) time.Duration {
		_, retry := l.Take(key, now)
		return retry
	}
	for range 3 {
		if retry := take("a"); retry != 0 {
			t.Error(retry)
		}
	}
	if retry := take("a"); retry < time.Minute || retry > time.Minute+time.Second || l.Left("a", now) != 0 {
		t.Errorf("retry after %v, %d left", retry, l.Left("a", now))
	}
	if retry := take("b"); retry != 0 {
		t.Errorf("another key: %v", retry)
	}
	now = now.Add(61 * time.Second)
	if take("a") != 0 || take("a") == 0 {
		t.Error("after a minute there is not one more")
	}
	now = now.Add(-time.Hour) // a clock that is set back
	if take("a") == 0 {
		t.Error("setting the clock back gives tries")
	}
	if take("c"); l.Len() != 2 {
		t.Errorf("%d keys", l.Len())
	}
}

// Tries that are given back are as if they had never been taken, in whatever order.
func TestBack(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	l := New[int](3, time.Minute, 10)
	var backs []func()
	for range 3 {
		back, retry := l.Take(1, now)
		if retry != 0 {
			t.Fatal(retry)
		}
		backs = append(backs, back)
		now = now.Add(100 * time.Millisecond)
	}
	for i, back := range backs {
		back()
		if n := l.Left(1, now); n < i || n > i+1 { // a little may be missing, never more be there
			t.Errorf("%d left after %d were given back", n, i+1)
		}
	}
	now = now.Add(time.Second)
	if n := l.Left(1, now); n != 3 {
		t.Errorf("%d left, want 3", n)
	}
}

// Tries at the same time do not get past the bound.
func TestTogether(t *testing.T) {
	l := New[int](10, time.Hour, 10)
	now := time.Now()
	var mu sync.Mutex
	var all sync.WaitGroup
	n := 0
	for range 100 {
		all.Go(func() {
			if _, retry := l.Take(1, now); retry == 0 {
				mu.Lock()
				n++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if n != 10 {
		t.Errorf("%d tries", n)
	}
}

func TestPlace(t *testing.T) {
	for _, test := range []struct {
		from string
		bits int
		want string
	}{
		{"192.0.2.7", 64, "192.0.2.7"},
		{"::ffff:192.0.2.7", 64, "192.0.2.7"},
		{"2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::"},
		{"2001:db8:1:2:3:4:5:6", 48, "2001:db8:1::"},
		{"fe80::1%eth0", 64, "fe80::"},
		{"::1", 64, "::"},
	} {
		if got := Place(netip.MustParseAddr(test.from), test.bits); got.String() != test.want {
			t.Errorf("%s of %d bits: %s, want %s", test.from, test.bits, got, test.want)
		}
	}
	if got := Place(netip.Addr{}, 64); got.IsValid() {
		t.Error(got)
	}
}
