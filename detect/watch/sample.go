package watch

import (
	"math"
	"slices"
)

// sample is a bottom-k sample of a set (Cohen & Kaplan 2007): of all items that were added, those with the k smallest
// hashes, each with a value. It estimates how many items there are, and the mean of anything that the value holds. Two
// samples that were made apart merge into that of the union.
type sample struct {
	Hashes []uint64 // ascending
	Values []uint32
}

// add puts an item in. new says that it was not there, and is in the sample now. Of two values of an item, the smaller
// one stays.
func (s *sample) add(k int, hash uint64, value uint32) (new bool) {
	i, found := slices.BinarySearch(s.Hashes, hash)
	switch {
	case found:
		s.Values[i] = min(s.Values[i], value)
		return false
	case i >= k:
		return false
	case len(s.Hashes) == k:
		s.Hashes, s.Values = s.Hashes[:k-1], s.Values[:k-1]
	}
	s.Hashes, s.Values = slices.Insert(s.Hashes, i, hash), slices.Insert(s.Values, i, value)
	return true
}

// has reports whether an item is in the sample.
func (s *sample) has(hash uint64) bool {
	_, found := slices.BinarySearch(s.Hashes, hash)
	return found
}

// merge adds all items of another sample.
func (s *sample) merge(k int, o *sample) {
	most := min(k, len(s.Hashes)+len(o.Hashes))
	out := sample{make([]uint64, 0, most), make([]uint32, 0, most)}
	i, j := 0, 0
	for len(out.Hashes) < k && (i < len(s.Hashes) || j < len(o.Hashes)) {
		switch {
		case j == len(o.Hashes) || i < len(s.Hashes) && s.Hashes[i] < o.Hashes[j]:
			out.Hashes, out.Values = append(out.Hashes, s.Hashes[i]), append(out.Values, s.Values[i])
			i++
		case i == len(s.Hashes) || o.Hashes[j] < s.Hashes[i]:
			out.Hashes, out.Values = append(out.Hashes, o.Hashes[j]), append(out.Values, o.Values[j])
			j++
		default:
			out.Hashes, out.Values = append(out.Hashes, s.Hashes[i]), append(out.Values, min(s.Values[i], o.Values[j]))
			i, j = i+1, j+1
		}
	}
	*s = out
}

// size estimates how many items were added: exact below k, else (k−1)/h where h is the largest hash of the sample as a
// share of all hashes. Its standard error is 1/√(k−2).
func (s *sample) size(k int) float64 {
	if n := len(s.Hashes); n < k {
		return float64(n)
	}
	return float64(k-1) / (float64(s.Hashes[k-1]) / math.MaxUint64)
}

// example is a text that stands for a set. A set keeps those of the highest rank and, among these, of the smallest
// hash. An item's rank is the highest that it came with. So the examples do not depend on the order of items.
type example struct {
	Rank uint32
	Hash uint64
	Text string
}

// mostExamples is how many examples a set keeps.
const mostExamples = 5

// examples are a set's, best first.
type examples []example

func (a example) before(b example) bool {
	return a.Rank > b.Rank || a.Rank == b.Rank && a.Hash < b.Hash
}

// add puts an example in if it is good enough. text is called only then.
func (e *examples) add(rank uint32, hash uint64, text func() string) {
	x := example{rank, hash, ""}
	i := 0
	for ; i < len(*e); i++ {
		old := &(*e)[i]
		if old.Hash == hash && old.Rank >= rank {
			return
		}
		if !old.before(x) {
			break
		}
	}
	if i == mostExamples {
		return
	}
	x.Text = text()
	*e = slices.DeleteFunc(*e, func(old example) bool { return old.Hash == hash }) // of a lower rank
	*e = slices.Insert(*e, i, x)
	*e = (*e)[:min(len(*e), mostExamples)]
}

func (e *examples) merge(o examples) {
	for _, x := range o {
		e.add(x.Rank, x.Hash, func() string { return x.Text })
	}
}

func (e examples) texts() []string {
	out := make([]string, len(e))
	for i, x := range e {
		out[i] = x.Text
	}
	return out
}

// timeline counts events in buckets of time. It has at most mostBuckets of them: their width doubles as time goes on.
type timeline struct {
	Width int64 // of a bucket in seconds, baseWidth times a power of two
	Start int64 // of the first bucket, in seconds since 1970, a multiple of Width
	Count []uint32
}

const (
	mostBuckets = 60
	baseWidth   = 5
)

// add counts n events at a second since 1970.
func (t *timeline) add(second int64, n uint32) {
	if len(t.Count) == 0 {
		t.Width = max(t.Width, baseWidth)
		t.Start = second - mod(second, t.Width)
		t.Count = append(t.Count, n)
		return
	}
	first, last := min(t.Start, second), max(t.Start+t.Width*int64(len(t.Count)-1), second)
	t.fit(first, last)
	at := (second - t.Start) / t.Width
	for int64(len(t.Count)) <= at {
		t.Count = append(t.Count, 0)
	}
	t.Count[at] += n
}

// fit makes buckets wide enough for the seconds from first to last, and lets them start at first or before.
func (t *timeline) fit(first, last int64) {
	width := t.Width
	for (last-mod(last, width)-(first-mod(first, width)))/width >= mostBuckets {
		width *= 2
	}
	start := min(t.Start, first)
	start -= mod(start, width)
	if width == t.Width && start == t.Start {
		return
	}
	old := *t
	*t = timeline{Width: width, Start: start}
	for i, n := range old.Count {
		at := (old.Start + int64(i)*old.Width - start) / width
		for int64(len(t.Count)) <= at {
			t.Count = append(t.Count, 0)
		}
		t.Count[at] += n
	}
}

func (t *timeline) merge(o *timeline) {
	if len(o.Count) == 0 {
		return
	}
	if len(t.Count) > 0 {
		t.fit(min(t.Start, o.Start), max(t.Start+t.Width*int64(len(t.Count)-1), o.Start+o.Width*int64(len(o.Count)-1)))
	}
	t.Width = max(t.Width, o.Width)
	for i, n := range o.Count {
		t.add(o.Start+int64(i)*o.Width, n)
	}
}

// mod is the remainder that is not negative.
func mod(a, b int64) int64 { return ((a % b) + b) % b }
