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
	heap  []entry // the least frequent first
	index map[string]int
}

type entry struct {
	key      string
	n, error int64
}

// NewFrequent makes a Frequent with room for so many keys, at least one.
func NewFrequent(room int) *Frequent {
	return &Frequent{room: max(room, 1), index: map[string]int{}}
}

// Add counts a key n times.
func (f *Frequent) Add(key string, n int64) {
	if at, ok := f.index[key]; ok {
		f.heap[at].n += n
		f.down(at)
		return
	}
	if len(f.heap) < f.room {
		f.heap = append(f.heap, entry{key: key, n: n})
		f.index[key] = len(f.heap) - 1
		f.up(len(f.heap) - 1)
		return
	}
	least := &f.heap[0]
	delete(f.index, least.key)
	*least = entry{key: key, n: least.n + n, error: least.n}
	f.index[key] = 0
	f.down(0)
}

func (f *Frequent) up(at int) {
	for parent := (at - 1) / 2; at > 0 && f.heap[at].n < f.heap[parent].n; parent = (at - 1) / 2 {
		f.swap(at, parent)
		at = parent
	}
}

func (f *Frequent) down(at int) {
	for {
		least := at
		for child := 2*at + 1; child <= 2*at+2 && child < len(f.heap); child++ {
			if f.heap[child].n < f.heap[least].n {
				least = child
			}
		}
		if least == at {
			return
		}
		f.swap(at, least)
		at = least
	}
}

func (f *Frequent) swap(a, b int) {
	f.heap[a], f.heap[b] = f.heap[b], f.heap[a]
	f.index[f.heap[a].key], f.index[f.heap[b].key] = a, b
}

// List is a copy of all keys with their counts.
func (f *Frequent) List() List {
	out := List{Keys: make([]store.Top, len(f.heap))}
	for i, e := range f.heap {
		out.Keys[i] = store.Top{Key: e.key, N: e.n, Error: e.error}
	}
	if len(f.heap) == f.room {
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
