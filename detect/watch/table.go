package watch

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// set is what a table knows of a key: names of a domain, or domains that a client asked for.
type set[S any] interface {
	// least is the smallest hash of the key with one of its items.
	least() uint64
	// merge adds what another set of the same key holds.
	merge(S)
}

// table holds the sets of at most 1.25 times Most keys (Afek et al. 2016). When it is full, the keys stay whose least
// hashes are smallest. A key with w items of its own stays with probability 1 − (1 − Limit/2^64)^w: a flood of keys
// with one item each cannot push out a key with many. Which keys stay does not depend on the order of items.
type table[K comparable, S set[S]] struct {
	Most  int
	Limit uint64 // a new key comes in only with a smaller hash
	By    map[K]S
}

func newTable[K comparable, S set[S]](most int) *table[K, S] {
	return &table[K, S]{Most: most, Limit: math.MaxUint64, By: map[K]S{}}
}

// at is the set of key. If the key is not there, and an item with this hash lets it in, it is made.
func (t *table[K, S]) at(key K, hash uint64, make func() S) (s S, ok bool) {
	if s, ok = t.By[key]; ok {
		return s, true
	}
	if hash >= t.Limit {
		return s, false
	}
	s = make()
	t.By[key] = s
	return s, true
}

// bound throws keys out if there are too many. It is called when an item is in, so that every set has a least hash.
func (t *table[K, S]) bound() {
	if len(t.By) > t.Most+t.Most/4 {
		t.trim()
	}
}

// trim leaves Most keys.
func (t *table[K, S]) trim() {
	if len(t.By) <= t.Most {
		return
	}
	least := make([]uint64, 0, len(t.By))
	for _, s := range t.By {
		least = append(least, s.least())
	}
	slices.Sort(least)
	t.Limit = min(t.Limit, least[t.Most])
	maps.DeleteFunc(t.By, func(_ K, s S) bool { return s.least() >= t.Limit })
}

// merge adds the keys of another table, and leaves at most Most keys. It may take over sets of o.
func (t *table[K, S]) merge(o *table[K, S]) {
	t.Limit = min(t.Limit, o.Limit)
	for key, s := range o.By {
		if mine, ok := t.By[key]; ok {
			mine.merge(s)
		} else if s.least() < t.Limit {
			t.By[key] = s
		}
	}
	maps.DeleteFunc(t.By, func(_ K, s S) bool { return s.least() >= t.Limit })
	t.trim()
}

// epochs are the tables of stretches of time, each Half long, by the number of the stretch since 1970. Two that follow
// each other are a window; so windows overlap by half, and what happens within Half lies in one.
type epochs[K comparable, S set[S]] struct {
	Half   int64 // seconds
	Most   int
	Tables map[int64]*table[K, S]
}

func newEpochs[K comparable, S set[S]](half int64, most int) epochs[K, S] {
	return epochs[K, S]{half, most, map[int64]*table[K, S]{}}
}

// number is that of the stretch which a second since 1970 lies in.
func (e *epochs[K, S]) number(second int64) int64 { return stretch(second, e.Half) }

func stretch(second, half int64) int64 { return (second - mod(second, half)) / half }

func (e *epochs[K, S]) table(i int64) *table[K, S] {
	t := e.Tables[i]
	if t == nil {
		t = newTable[K, S](e.Most)
		e.Tables[i] = t
	}
	return t
}

// open lists the numbers of the tables, oldest first.
func (e *epochs[K, S]) open() []int64 { return slices.Sorted(maps.Keys(e.Tables)) }

// keys counts the keys of all tables.
func (e *epochs[K, S]) keys() (n int) {
	for _, t := range e.Tables {
		n += len(t.By)
	}
	return n
}

// closeWhile closes tables, the oldest first, as long as more says so: of a table's number, how long each is, how many
// there are, how many sets they have, and how many sets a full one has. close takes a table out.
func (e *epochs[K, S]) closeWhile(more func(number, half int64, tables, sets, most int) bool,
	close func(number int64),
) {
	numbers, sets := e.open(), e.keys()
	for i, number := range numbers {
		if !more(number, e.Half, len(numbers)-i, sets, e.Most) {
			return
		}
		sets -= len(e.Tables[number].By)
		close(number)
	}
}

func (e *epochs[K, S]) merge(o *epochs[K, S]) {
	for i, t := range o.Tables {
		e.table(i).merge(t)
	}
}

// zone is what the names of a tunnel have in common: a registered domain, or a client and a server if the names end in
// no known top-level domain.
type zone struct{ Domain, Client, Server string }

func compareZones(a, b zone) int {
	return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Client, b.Client), cmp.Compare(a.Server, b.Server))
}
