package trainer

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"unsafe"

	"github.com/degas-dns/degas/datasets"
)

// Names are what a training learns: a Set, or a Stream from disk.
type Names interface {
	// Len is the number of names in an epoch.
	Len() int
	// Portions gives an epoch's names, each once. The seed and the epoch draw which names a portion has and in which
	// order they are trained on. A portion is valid until the next one is asked for. They end early with an error, or
	// when ctx ends.
	Portions(ctx context.Context, seed uint64, epoch int) iter.Seq2[Portion, error]

	shared() *kinds
}

// Portion is a part of an epoch's names.
type Portion struct {
	*Set
	key  uint64 // draws the order, see Shuffled
	from int    // names of the epoch before it
}

// order fills places with those of the names that are trained on after the first from, as many as it has room for and
// the portion still has.
func (p Portion) order(places []uint32, from int) []uint32 {
	places = places[:min(cap(places), p.Len()-from)]
	for i := range places {
		places[i] = Shuffled(uint32(from+i), uint32(p.Len()), p.key)
	}
	return places
}

// kind is what names share that weigh the same: a family's, or benign ones.
type kind struct {
	label  int // index in the labels that the names were read with
	class  datasets.Class
	family string // "" for benign names
	// focused is set for names of Options.Focus.
	focused bool
}

// kinds are those of a training's names.
type kinds struct {
	number map[kind]uint16
	list   []kind // by number
	sizes  []int  // names, by number
	// suffixes are the public suffixes that the names have, those of tunnels left out, each once, in order.
	suffixes func() []string
}

// of is the number of a kind. Kinds are numbered as they come.
func (k *kinds) of(x kind) uint16 {
	at, ok := k.number[x]
	if !ok {
		at = uint16(len(k.list))
		k.number[x] = at
		k.list, k.sizes = append(k.list, x), append(k.sizes, 0)
	}
	return at
}

// only is the label that all names have, or -1 if there are several or no names.
func (k *kinds) only() int {
	for _, x := range k.list {
		if x.label != k.list[0].label {
			return -1
		}
	}
	if len(k.list) == 0 {
		return -1
	}
	return k.list[0].label
}

// Set is labelled names in memory: their text, and nameCost for each.
type Set struct {
	text   []byte
	ends   []uint32
	kindOf []uint16 // numbers of kinds
	*kinds
	// Skipped counts names that have no label of this target: families that training has not seen.
	Skipped int
}

const (
	// maxText is the most bytes of text that a Set holds: its offsets have 32 bits.
	maxText = 1<<32 - 1
	// nameCost is the bytes that a Set takes for a name besides its text.
	nameCost = 4 + 2
)

// Len is the number of names.
func (s *Set) Len() int { return len(s.kindOf) }

// Name is the i-th name. That of a Portion is valid as long as the portion is.
func (s *Set) Name(i int) string {
	from := uint32(0)
	if i > 0 {
		from = s.ends[i-1]
	}
	name := s.text[from:s.ends[i]] // which nobody changes: a copy would cost more than all else that a name needs
	return unsafe.String(unsafe.SliceData(name), len(name))
}

// Label is the i-th name's index in the labels the Set was read with.
func (s *Set) Label(i int) int { return s.kind(uint32(i)).label }

func (s *Set) kind(p uint32) *kind { return &s.list[s.kindOf[p]] }

func (s *Set) shared() *kinds { return s.kinds }

// Portions gives the Set itself.
func (s *Set) Portions(_ context.Context, seed uint64, epoch int) iter.Seq2[Portion, error] {
	return func(yield func(Portion, error) bool) { yield(Portion{s, orderKey(seed, epoch), 0}, nil) }
}

func (s *Set) add(name string, k uint16) {
	s.text = append(s.text, name...)
	s.ends, s.kindOf = append(s.ends, uint32(len(s.text))), append(s.kindOf, k)
}

// NewSet makes a Set of names in memory: benign names are those of label 0, the others DGA names, a family a label.
// Their text is 4 GiB at most.
func NewSet(names []string, labels []int) *Set {
	b := NewBuilder()
	for i, n := range names {
		class := datasets.Benign
		if labels[i] != 0 {
			class = datasets.DGA
		}
		b.add(n, kind{labels[i], class, "", false})
	}
	return b.Set()
}

// Builder gathers the names of a Set.
type Builder struct{ set Set }

// NewBuilder begins a Set.
func NewBuilder() *Builder {
	return &Builder{Set{kinds: &kinds{number: map[kind]uint16{}}}}
}

// Add appends a name. family is "" for a benign one. It fails when the Set is full.
func (b *Builder) Add(name string, label int, class datasets.Class, family string) error {
	if len(b.set.text)+len(name) > maxText {
		return errTooMuchText
	}
	b.add(name, kind{label, class, family, false})
	return nil
}

var errTooMuchText = fmt.Errorf("more than %d bytes of names. Try: --names, to train on some", maxText)

func (b *Builder) add(name string, x kind) {
	k := b.set.kinds.of(x)
	b.set.sizes[k]++
	b.set.add(name, k)
}

// Set is what was added. The Builder is not to be used after it.
func (b *Builder) Set() *Set {
	s := &b.set
	s.suffixes = sync.OnceValue(s.findSuffixes)
	return s
}
