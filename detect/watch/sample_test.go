package watch

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/zeebo/xxh3"
)

// A sample of many items estimates how many there are, and two samples merge into that of the union.
func TestSample(t *testing.T) {
	const k = 256
	for _, n := range []int{0, 1, 255, 256, 5000, 100000} {
		var whole, a, b sample
		for i := range n {
			h := xxh3.HashString(fmt.Sprint(i))
			whole.add(k, h, uint32(i%7))
			if i%3 == 0 {
				a.add(k, h, uint32(i%7))
			}
			if i%3 != 0 || i%2 == 0 {
				b.add(k, h, uint32(i%7))
			}
		}
		if got := whole.size(k); math.Abs(got-float64(n)) > .25*float64(n) || n < k && got != float64(n) {
			t.Errorf("%d items: size %v", n, got)
		}
		a.merge(k, &b)
		if n > 0 && !reflect.DeepEqual(a, whole) {
			t.Errorf("%d items: merged samples differ from the whole", n)
		}
	}
}

// Of the values of one item, the smaller stays, whatever comes first.
func TestSampleKeepsTheFirst(t *testing.T) {
	var s, o sample
	if !s.add(4, 10, 7) || s.add(4, 10, 3) || s.add(4, 10, 5) || s.Values[0] != 3 {
		t.Errorf("%+v", s)
	}
	o.add(4, 10, 2)
	s.merge(4, &o)
	if s.Values[0] != 2 {
		t.Errorf("%+v", s)
	}
}

// A timeline holds all counts however they come, in at most mostBuckets buckets, and merges.
func TestTimeline(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, span := range []int64{1, 100, 301, 100_000, 5_000_000} {
		var whole, a, b timeline
		sum := uint32(0)
		for range 2000 {
			at, n := 1_700_000_000+r.Int64N(span), uint32(r.IntN(3)+1)
			sum += n
			whole.add(at, n)
			if r.IntN(2) == 0 {
				a.add(at, n)
			} else {
				b.add(at, n)
			}
		}
		a.merge(&b)
		got := uint32(0)
		for _, n := range a.Count {
			got += n
		}
		if got != sum || len(a.Count) > mostBuckets || !reflect.DeepEqual(a, whole) {
			t.Errorf("span %d: %d of %d events in %d buckets of %d s", span, got, sum, len(a.Count), a.Width)
		}
	}
}

// Examples are the best by rank, each once.
func TestExamples(t *testing.T) {
	var e examples
	for _, i := range []uint64{3, 9, 1, 9, 7, 5, 2, 8} {
		e.add(uint32(i), i, func() string { return fmt.Sprint(i) })
	}
	if want := []string{"9", "8", "7", "5", "3"}; !slices.Equal(e.texts(), want) {
		t.Errorf("%q", e.texts())
	}
}

// oneSet is a set of hashes, for tests of table.
type oneSet struct{ sample }

func (s *oneSet) least() uint64   { return s.Hashes[0] }
func (s *oneSet) merge(o *oneSet) { s.sample.merge(8, &o.sample) }

// A full table holds on to a key with many items, and to the same keys in whatever order items come.
func TestTable(t *testing.T) {
	const most, keys = 100, 20000
	type item struct {
		key  string
		hash uint64
	}
	items := []item{}
	for i := range keys {
		items = append(items, item{fmt.Sprintf("one-off %d", i), xxh3.HashString(fmt.Sprint("x", i))})
	}
	for i := range 2000 {
		items = append(items, item{"tunnel", xxh3.HashString(fmt.Sprint("t", i))})
	}
	fill := func(items []item) *table[string, *oneSet] {
		t := newTable[string, *oneSet](most)
		for _, x := range items {
			if s, ok := t.at(x.key, x.hash, func() *oneSet { return &oneSet{} }); ok {
				s.add(8, x.hash, 0)
				t.bound()
			}
		}
		return t
	}
	shuffled := slices.Clone(items)
	rand.New(rand.NewPCG(3, 3)).Shuffle(len(items), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	whole, other := fill(items), fill(shuffled)
	merged := fill(items[:keys/2])
	merged.merge(fill(items[keys/2:]))
	whole.trim()
	other.trim()
	for name, x := range map[string]*table[string, *oneSet]{"shuffled": other, "merged": merged} {
		if len(x.By) != most || x.By["tunnel"] == nil {
			t.Errorf("%s: %d keys, tunnel %v", name, len(x.By), x.By["tunnel"])
		}
		for key := range whole.By {
			if x.By[key] == nil {
				t.Errorf("%s: %s is not there", name, key)
			}
		}
	}
}
