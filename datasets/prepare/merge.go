package prepare

import (
	"math/bits"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
)

// MergeStats counts what merging did. Sums over partitions are the whole's.
type MergeStats struct {
	Duplicates, Overridden, FamilyMerges int64
	ConflictNames, ConflictRows          int64
	ConflictBenign                       int64    // names where one of the labels was benign
	Conflicts                            []string // the names, in order
	// MovedToTrain are kept names of other sources that are in training only because a train-only source has their
	// registered domain.
	MovedToTrain int64
}

// merger cleans partitions of rows. All rows of a registered domain must be in the same partition. Partitions are
// independent, and their order, like the order of rows, does not change the result.
//
//   - A name that comes again with the same class is a duplicate. Its family and source are merged to the more
//     specific family (kraken_v1 before kraken, then alphabetically) and the first source by name.
//   - A name with two classes is a conflict and is dropped, unless all but one class come from weak rows.
//   - The latest day of a name is kept.
//   - The plan puts a registered domain into one split.
//
// A merger belongs to one goroutine, which reuses its buffers from one partition to the next.
type merger struct {
	plan                   *Plan
	familyRank, sourceRank []int32 // by number: the smaller wins a merge
	trainOnly              []bool  // by number of a source
	// demanded returns the split that a row's family, source or day requires; ok is false if none does.
	demanded func(r row) (_ datasets.SplitID, ok bool)

	table      []uint64 // high half: hash, low half: index of the name + 1
	states     []nameState
	placements []placement
}

// placement goes with a row that is kept.
type placement struct {
	hash  uint64 // of the name, under saltName
	split datasets.SplitID
}

// nameState is what is known about one name.
type nameState struct {
	hash           uint64 // under saltName
	strong, weak   uint8  // sets of classes
	merged         bool
	rows, weakRows uint32
}

func newMerger(p *Plan, families, sources []string) *merger {
	m := &merger{plan: p}
	m.familyRank, m.sourceRank = ranks(families, compareFamilies), ranks(sources, strings.Compare)
	for _, s := range sources {
		m.trainOnly = append(m.trainOnly, slices.Contains(p.TrainOnly, s))
	}
	type key struct{ family, source uint16 }
	known := map[key]int16{}
	m.demanded = func(r row) (datasets.SplitID, bool) {
		k := key{r.family, r.source}
		s, ok := known[k]
		if !ok {
			s = -1
			if id, fixed := p.fixed(families[r.family], sources[r.source]); fixed {
				s = int16(id)
			}
			known[k] = s
		}
		if s < 0 && p.By == datasets.SplitByDate && r.day != 0 {
			return p.dated(r.day), true
		}
		return datasets.SplitID(max(s, 0)), s >= 0
	}
	return m
}

// compareFamilies orders families by preference. It is a total order, so that a merge of many does not depend on
// their sequence: like strings.Compare, but the end of a string comes after every character.
func compareFamilies(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == "" || b != "" && b != datasets.BlocklistFamily && a == datasets.BlocklistFamily:
		return 1
	case b == "" || b == datasets.BlocklistFamily:
		return -1
	case strings.HasPrefix(a, b):
		return -1
	case strings.HasPrefix(b, a):
		return 1
	}
	return strings.Compare(a, b)
}

func ranks(list []string, compare func(a, b string) int) []int32 {
	order := make([]int32, len(list))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return compare(list[a], list[b]) })
	rank := make([]int32, len(list))
	for place, i := range order {
		rank[i] = int32(place)
	}
	return rank
}

// forcedSplits finds the groups whose split is not the one their hash gives. It looks at rows before they are merged: a
// family that loses a merge still must not be seen in training. nil if no group can be forced.
func (m *merger) forcedSplits(rows []row) map[string]datasets.SplitID {
	if !m.plan.grouped() {
		return nil
	}
	f := map[string]datasets.SplitID{}
	for _, r := range rows {
		m.force(f, r)
	}
	return f
}

// force sets the split in f of r's group to r's, if that outranks the one that f has.
func (m *merger) force(f map[string]datasets.SplitID, r row) {
	group := m.plan.group(r.name)
	s, fixed := m.demanded(r)
	if !fixed {
		s = r.hashed
	} else if m.plan.By == datasets.SplitByDate || len(m.plan.TrainOnly) > 0 {
		s += datasets.NumSplits // a dated row outranks an undated one, a source for training what the hash says
	}
	// The row's memory is reused. Assigning to an existing key may keep the new key's pointer, so clone the key every
	// time.
	if old, ok := f[group]; !ok || s > old {
		f[strings.Clone(group)] = s
	}
}

// settle merges the rows of each name, in place: kept is a part of rows. It drops names with a label conflict. The
// placements are valid until the next call.
func (m *merger) settle(rows []row, forced map[string]datasets.SplitID) (kept []row, _ []placement, st MergeStats) {
	names := m.join(rows)
	kept, m.placements = names[:0], slices.Grow(m.placements[:0], len(names))
	for i, r := range names {
		n := &m.states[i]
		classes := n.strong
		if classes == 0 {
			classes = n.weak
		}
		if bits.OnesCount8(classes) > 1 {
			st.ConflictNames++
			st.ConflictRows += int64(n.rows)
			if classes&(1<<datasets.Benign) != 0 {
				st.ConflictBenign++
			}
			st.Conflicts = append(st.Conflicts, r.name)
			continue
		}
		same := n.rows
		if n.strong != 0 {
			same -= n.weakRows
			st.Overridden += int64(n.weakRows)
		}
		st.Duplicates += int64(same - 1)
		if n.merged {
			st.FamilyMerges++
		}
		split := r.hashed
		if forced != nil {
			split = forced[m.plan.group(r.name)] % datasets.NumSplits
		}
		if len(m.plan.TrainOnly) > 0 && split == datasets.TrainSplit && r.hashed != split && !m.trainOnly[r.source] {
			st.MovedToTrain++
		}
		kept = append(kept, r)
		m.placements = append(m.placements, placement{n.hash, split})
	}
	slices.Sort(st.Conflicts)
	return kept, m.placements, st
}

// join moves one row of each name to the front of rows, with the family and source that win, and fills m.states.
func (m *merger) join(rows []row) []row {
	size := 1 << bits.Len(uint(len(rows)+len(rows)/2))
	if cap(m.table) < size {
		m.table = make([]uint64, size)
	}
	m.table = m.table[:size]
	clear(m.table)
	m.states = slices.Grow(m.states[:0], len(rows))
	names := rows[:0]
	for _, r := range rows {
		h := hash64(saltName, r.name)
		slot := int(h & uint64(size-1))
		for {
			e := m.table[slot]
			if e == 0 {
				names = append(names, r)
				m.states = append(m.states, nameState{hash: h})
				m.table[slot] = h>>32<<32 | uint64(len(names))
				m.states[len(names)-1].add(r)
				break
			}
			if i := int(uint32(e)) - 1; e>>32 == h>>32 && names[i].name == r.name {
				m.absorb(&names[i], r, &m.states[i])
				m.states[i].add(r)
				break
			}
			slot = (slot + 1) & (size - 1)
		}
	}
	return names
}

func (n *nameState) add(r row) {
	n.rows++
	if r.weak {
		n.weak |= 1 << r.class
		n.weakRows++
	} else {
		n.strong |= 1 << r.class
	}
}

// absorb merges r into the row kept for its name so far. Call it before n.add(r).
func (m *merger) absorb(kept *row, r row, n *nameState) {
	kept.day = max(kept.day, r.day)
	switch {
	case r.weak && n.strong != 0:
		return // any label overrides a weak one
	case !r.weak && n.strong == 0:
		*kept = row{kept.name, r.class, false, r.hashed, r.family, r.source, kept.day}
		n.merged = false
		return
	}
	if r.family != kept.family {
		n.merged = n.merged || r.family != 0 && kept.family != 0
		if m.familyRank[r.family] < m.familyRank[kept.family] {
			kept.family = r.family
		}
	}
	if m.sourceRank[r.source] < m.sourceRank[kept.source] {
		kept.source = r.source
	}
}
