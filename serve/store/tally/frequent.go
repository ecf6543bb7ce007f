package tally

import (
	"cmp"
	"slices"
	"strings"

	"github.com/degas-dns/degas/serve/store"
)

// Frequent finds the most frequent keys of a stream in bounded memory, by the Space-Saving algorithm of Metwally,
// Agrawal and El Abbadi (2005): a key that finds no room takes the place of the least frequent one and inherits its
// count as error. Each count is too high by at most the total divided by the room, and never too low.
type Frequent struct {
	room  int
	full  bool     // a key lost its place
	heap  []*entry // the least frequent first
	index map[string]*entry
}

type entry struct {
	key      string
	n, error int64
	at       int // in the heap
}

// NewFrequent makes a Frequent with room for so many keys, at least one.
func NewFrequent(room int) *Frequent {
	return &Frequent{room: max(room, 1), index: map[string]*entry{}}
}

// Add counts a key n times.
func (f *Frequent) Add(key string, n int64) {
	if e := f.index[key]; e != nil {
		e.n += n
		f.down(e)
		return
	}
	if len(f.heap) < f.room {
		e := &entry{key: key, n: n, at: len(f.heap)}
		f.heap = append(f.heap, e)
		f.index[key] = e
		f.up(e)
		return
	}
	f.full = true
	least := f.heap[0]
	delete(f.index, least.key)
	least.key, least.n, least.error = key, least.n+n, least.n
	f.index[key] = least
	f.down(least)
}

func (f *Frequent) up(e *entry) {
	for e.at > 0 {
		parent := f.heap[(e.at-1)/2]
		if parent.n <= e.n {
			return
		}
		f.swap(e, parent)
	}
}

func (f *Frequent) down(e *entry) {
	for {
		least := e
		for child := 2*e.at + 1; child <= 2*e.at+2 && child < len(f.heap); child++ {
			if f.heap[child].n < least.n {
				least = f.heap[child]
			}
		}
		if least == e {
			return
		}
		f.swap(e, least)
	}
}

func (f *Frequent) swap(a, b *entry) {
	a.at, b.at = b.at, a.at
	f.heap[a.at], f.heap[b.at] = a, b
}

// List is a copy of all keys with their counts.
func (f *Frequent) List() List {
	out := List{Keys: make([]store.Top, len(f.heap))}
	for i, e := range f.heap {
		out.Keys[i] = store.Top{Key: e.key, N: e.n, Error: e.error}
	}
	if f.full {
		out.Absent = f.heap[0].n
	}
	out.sort()
	return out
}

// List is a top list that can be merged with others.
type List struct {
	Keys []store.Top // most first
	// Absent is the most that any key may have that is not in Keys.
	Absent int64
}

func (l *List) sort() {
	slices.SortFunc(l.Keys, func(a, b store.Top) int {
		return cmp.Or(cmp.Compare(b.N, a.N), strings.Compare(a.Key, b.Key))
	})
}

// Cut keeps the n first keys. What it takes away counts as absent.
func (l *List) Cut(n int) {
	if len(l.Keys) > n {
		l.Absent = max(l.Absent, l.Keys[n].N)
		l.Keys = slices.Clone(l.Keys[:n]) // so that the keys behind can be forgotten
	}
}

// Merge is the list of all events that the lists counted. The lists must not have counted an event twice. A key that a
// list lacks may have had as many events there as that list's Absent, which goes into the key's count and its error.
func Merge(lists ...List) List {
	type sum struct{ n, error, present int64 }
	var out List
	sums := map[string]sum{}
	for _, l := range lists {
		out.Absent += l.Absent
		for _, k := range l.Keys {
			s := sums[k.Key]
			sums[k.Key] = sum{s.n + k.N, s.error + k.Error, s.present + l.Absent}
		}
	}
	out.Keys = make([]store.Top, 0, len(sums))
	for key, s := range sums {
		lacking := out.Absent - s.present
		out.Keys = append(out.Keys, store.Top{Key: key, N: s.n + lacking, Error: s.error + lacking})
	}
	out.sort()
	return out
}
