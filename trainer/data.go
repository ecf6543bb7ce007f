package trainer

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/model"
)

// Targets a model can be trained for.
const (
	TargetBinary = "binary" // benign or malicious
	TargetClass  = "class"  // benign, dga, tunnel
	TargetFamily = "family" // benign or the family's name
)

// Targets lists the targets.
var Targets = []string{TargetBinary, TargetClass, TargetFamily}

// TargetOf is the target that a model's labels belong to.
func TargetOf(labels []string) string {
	if slices.Equal(labels, model.BinaryLabels) {
		return TargetBinary
	}
	for _, l := range labels {
		if !slices.Contains(datasets.ClassNames(), l) {
			return TargetFamily
		}
	}
	return TargetClass
}

// Set is labelled names in memory: one string for all of them, 4 bytes an offset, 2 a label, 2 a group.
type Set struct {
	names  string
	ends   []uint32
	labels []uint16
	groups []uint16 // families, or benign names: what WeightFamily balances. A group has one label and one class
	// classes is each group's, and focused whether its names are of Options.Focus.
	classes []datasets.Class
	focused []bool
	// Skipped counts names that have no label of this target: families that training has not seen.
	Skipped int

	suffixesOnce sync.Once
	allSuffixes  []string
}

// Len is the number of names.
func (s *Set) Len() int { return len(s.labels) }

// Name is the i-th name.
func (s *Set) Name(i int) string {
	from := uint32(0)
	if i > 0 {
		from = s.ends[i-1]
	}
	return s.names[from:s.ends[i]]
}

// Label is the i-th name's index in the labels the Set was read with.
func (s *Set) Label(i int) int { return int(s.labels[i]) }

// focus reports whether name p is of Options.Focus.
func (s *Set) focus(p uint32) bool { return s.focused[s.groups[p]] }

func (s *Set) class(p uint32) datasets.Class { return s.classes[s.groups[p]] }

// Labels lists the labels of a target in output order, benign first: fixed for binary, what occurs in split otherwise.
func Labels(ctx context.Context, split *datasets.Split, target string) ([]string, error) {
	switch target {
	case TargetBinary:
		return slices.Clone(model.BinaryLabels), nil
	case TargetClass, TargetFamily:
	default:
		return nil, fmt.Errorf("unknown target %q, known are %s, %s, %s", target, TargetBinary, TargetClass, TargetFamily)
	}
	seen := map[string]bool{}
	for b, err := range split.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		for i := range b.Names {
			seen[labelOf(split, &b, i, target)] = true
		}
	}
	benign := datasets.Benign.String()
	delete(seen, benign)
	out := append([]string{benign}, slices.Sorted(maps.Keys(seen))...)
	if len(out) < 2 {
		return nil, fmt.Errorf("target %s: the training split holds benign names only", target)
	}
	return out, nil
}

func labelOf(split *datasets.Split, b *datasets.Batch, i int, target string) string {
	return b.Class[i].Label(target, familyOf(split, b, i))
}

// familyOf is the family of row i of b, "" for a benign name.
func familyOf(split *datasets.Split, b *datasets.Batch, i int) string {
	if b.Class[i] == datasets.Benign {
		return ""
	}
	return split.Families()[b.Family[i]]
}

// maxText is the most text a Set holds: its offsets have 32 bits.
const maxText = 1<<32 - 1

// Choice says which rows of a split ReadSet keeps. The zero Choice keeps all, each once.
type Choice struct {
	// Limit is the most rows, each as likely as any other, drawn by Seed; 0 keeps all.
	Limit int
	Seed  uint64
	// Focus is a source whose rows are kept whatever Limit says, each Repeat times.
	Focus  string
	Repeat int
}

// ReadSet reads the chosen rows of a split into memory with the labels of a target.
func ReadSet(
	ctx context.Context, split *datasets.Split, target string, labels []string, choice Choice,
) (*Set, error) {
	index := map[string]int{}
	for i, l := range labels {
		index[l] = i
	}
	b, skipped := NewBuilder(), 0
	keep := drawn(int(split.Rows()), choice.Limit, choice.Seed)
	for rows, err := range split.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		for i, name := range rows.Names {
			times, focused := 1, choice.Focus != "" && split.Sources()[rows.Source[i]] == choice.Focus
			if kept := keep(); focused {
				times = choice.Repeat
			} else if !kept {
				continue
			}
			label, ok := index[labelOf(split, &rows, i, target)]
			if !ok {
				skipped++
				continue
			}
			g := group{label, rows.Class[i], familyOf(split, &rows, i), focused}
			for range times {
				if err := b.addWithin(name, g); err != nil {
					return nil, err
				}
			}
		}
	}
	s := b.Set()
	s.Skipped = skipped
	return s, nil
}

// drawn says of each of rows in turn whether it is among the limit that are kept: selection sampling (Fan et al. 1962,
// Knuth's algorithm S).
func drawn(rows, limit int, seed uint64) func() bool {
	if limit == 0 || limit >= rows {
		return func() bool { return true }
	}
	rng := rand.New(rand.NewPCG(model.SubSeed(seed, "names"), 0))
	return func() bool {
		keep := limit > 0 && rng.IntN(max(rows, 1)) < limit
		if rows--; keep {
			limit--
		}
		return keep
	}
}

// only is the label that all names have, or -1 where there are several or no names.
func (s *Set) only() int {
	if s.Len() == 0 || slices.ContainsFunc(s.labels, func(l uint16) bool { return l != s.labels[0] }) {
		return -1
	}
	return s.Label(0)
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
		b.add(n, group{labels[i], class, "", false})
	}
	return b.Set()
}

// Builder gathers the names of a Set.
type Builder struct {
	set    Set
	text   strings.Builder
	groups map[group]uint16
}

// group is what names of a Set share that weigh the same.
type group struct {
	label  int
	class  datasets.Class
	family string
	// focused is set for names of Options.Focus.
	focused bool
}

// NewBuilder begins a Set.
func NewBuilder() *Builder { return &Builder{groups: map[group]uint16{}} }

// Add appends a name. family is "" for a benign one. It fails when the Set is full.
func (b *Builder) Add(name string, label int, class datasets.Class, family string) error {
	return b.addWithin(name, group{label, class, family, false})
}

func (b *Builder) addWithin(name string, g group) error {
	if b.text.Len()+len(name) > maxText {
		return fmt.Errorf("more than %d bytes of names. Try: --names, to train on some", maxText)
	}
	b.add(name, g)
	return nil
}

func (b *Builder) add(name string, g group) {
	at, ok := b.groups[g]
	if !ok {
		at = uint16(len(b.groups))
		b.groups[g] = at
		b.set.classes, b.set.focused = append(b.set.classes, g.class), append(b.set.focused, g.focused)
	}
	b.text.WriteString(name)
	b.set.ends = append(b.set.ends, uint32(b.text.Len()))
	b.set.labels, b.set.groups = append(b.set.labels, uint16(g.label)), append(b.set.groups, at)
}

// Set is what was added. The Builder is not to be used after it.
func (b *Builder) Set() *Set {
	b.set.names = b.text.String()
	return &b.set
}
