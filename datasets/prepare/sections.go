package prepare

import (
	"cmp"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
)

// Sections is the number of equal ranges that the final order of a split's rows is cut into. A section's rows are
// chosen (Selection) and sorted without those of other sections, so any worker may do it. A shard is a run of sections.
const (
	Sections     = datasets.MaxShards
	sectionShift = 64 - 12 // the order is a hash of 64 bits
)

// SectionOf is the section of a name in a data set with this seed, 0 to Sections-1. Rows of a smaller section come
// before all rows of a larger one.
func SectionOf(name string, seed uint64) int {
	return int(orderOf(hash64(saltName, name), seed) >> sectionShift)
}

// ShardSections are the sections of shard k of n: from the first one on, and before end. n is 1 to Sections.
func ShardSections(k, n int) (from, end int) { return k * Sections / n, (k + 1) * Sections / n }

// ShardOf is the shard, of n, that a section belongs to.
func ShardOf(section, n int) int { return ((section+1)*n - 1) / Sections }

// SectionRows counts rows of one class and family by section.
type SectionRows struct {
	Class  datasets.Class
	Family string // "" if it has none
	// Sections are the numbers of the sections that have rows, in order; Rows are how many.
	Sections []uint16
	Rows     []uint32
}

// sectionCounts counts rows by group, groupOf, and section. It takes about 2 bytes for a row, and at most 16 KiB for a
// group.
type sectionCounts struct {
	groups []groupCounts
}

type groupCounts struct {
	few []uint16 // the section of each row, or
	all []uint32 // [Sections] the rows of each section
}

func groupOf(class datasets.Class, family uint16) int {
	return int(family)*datasets.NumClasses + int(class)
}

func (c *sectionCounts) add(group, section int, rows uint32) {
	if more := group + 1 - len(c.groups); more > 0 {
		c.groups = append(c.groups, make([]groupCounts, more)...)
	}
	g := &c.groups[group]
	if g.all == nil && len(g.few)+int(rows) > 2*Sections {
		g.all = make([]uint32, Sections)
		for _, s := range g.few {
			g.all[s]++
		}
		g.few = nil
	}
	if g.all != nil {
		g.all[section] += rows
		return
	}
	for range rows {
		g.few = append(g.few, uint16(section))
	}
}

// list gives the counts of groups that have rows, by class and family, whose numbers index families.
func (c *sectionCounts) list(families []string) (out []SectionRows) {
	for group, g := range c.groups {
		all := g.all
		if all == nil {
			all = make([]uint32, Sections)
		}
		for _, s := range g.few {
			all[s]++
		}
		rows := SectionRows{Class: datasets.Class(group % datasets.NumClasses),
			Family: families[group/datasets.NumClasses]}
		for s, n := range all {
			if n > 0 {
				rows.Sections, rows.Rows = append(rows.Sections, uint16(s)), append(rows.Rows, n)
			}
		}
		if len(rows.Rows) > 0 {
			out = append(out, rows)
		}
	}
	slices.SortFunc(out, func(a, b SectionRows) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), strings.Compare(a.Family, b.Family))
	})
	return out
}

// addList adds what list gave. The numbers of families are those of the interner.
func (c *sectionCounts) addList(list []SectionRows, families *interner) error {
	for _, g := range list {
		family, err := families.id(g.Family)
		if err != nil {
			return err
		}
		for i, section := range g.Sections {
			c.add(groupOf(g.Class, family), int(section), g.Rows[i])
		}
	}
	return nil
}
