package accounts

import (
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/degas-dns/degas/internal/tries"
)

// Bounds of wrong tries. The package's comment says why they are as they are.
const (
	placeBits  = 64          // of an IPv6 address count as a place
	placeBurst = 10          // wrong tries of a place …
	placeEvery = time.Minute // … and then one after each of these

	nameBurst = 1100                  // wrong tries of all strange places for one name …
	nameEvery = 24 * time.Hour / 1000 // … and then one after each of these
	nameAlarm = nameBurst - 100       // fewer left than this: the name is under attack
	freshBits = 48                    // of an IPv6 address count for what an attack may try …
	freshFor  = time.Hour             // … once in this time

	mostTried = 4096                // places, and kinds of names, that are remembered
	knownFor  = 90 * 24 * time.Hour // a place is known after a log-in
)

// limits bound wrong tries.
type limits struct {
	strange *tries.Limiter[netip.Addr] // of strange places, for all names together
	known   *tries.Limiter[string]     // of known places, for each name
	fresh   *tries.Limiter[netip.Addr] // of strange places, while a name is under attack
	// names has a limiter for each of mostTried kinds of names, so nobody makes it forget one by trying others.
	names *tries.Limiter[uint64]
	seed  maphash.Seed
}

func newLimits() limits {
	return limits{
		strange: tries.New[netip.Addr](placeBurst, placeEvery, mostTried),
		known:   tries.New[string](placeBurst, placeEvery, mostTried),
		fresh:   tries.New[netip.Addr](1, freshFor, mostTried),
		names:   tries.New[uint64](nameBurst, nameEvery, mostTried),
		seed:    maphash.MakeSeed(),
	}
}

// take takes a try of the password of a name, as it is compared, from an address. known says that the person has
// logged in from there before. The error is a *TooMany, or nil; then back gives the try back, once the password was
// right.
func (l *limits) take(key string, from netip.Addr, known bool, now time.Time) (back func(), err error) {
	place := tries.Place(from, placeBits)
	if known {
		back, retry := l.known.Take(place.String()+" "+key, now)
		return back, tooMany(retry)
	}
	one, retry := l.strange.Take(place, now)
	if retry > 0 {
		return nil, tooMany(retry)
	}
	kind := maphash.String(l.seed, key) % mostTried
	alarm := l.names.Left(kind, now) < nameAlarm
	two, retry := l.fresh.Take(tries.Place(from, freshBits), now)
	if !alarm {
		retry = 0 // the place is not fresh any more, which matters only under attack
	}
	three := func() {}
	if retry == 0 {
		three, retry = l.names.Take(kind, now)
	}
	back = func() { one(); two(); three() }
	if retry > 0 {
		back()
	}
	return back, tooMany(retry)
}

// takeLink takes a try of an invitation that is wrong.
func (l *limits) takeLink(from netip.Addr, now time.Time) error {
	_, retry := l.strange.Take(tries.Place(from, placeBits), now)
	return tooMany(retry)
}

// placeOf is a place for the ledger.
func placeOf(from netip.Addr) string { return tries.Place(from, placeBits).String() }

// tooMany is an error if there is something to wait for.
func tooMany(retry time.Duration) error {
	if retry > 0 {
		return &TooMany{retry}
	}
	return nil
}
