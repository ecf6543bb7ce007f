package datasets

import (
	"math/bits"
	"slices"
	"strings"
)

// PartitionStats counts what ResolvePartition did. Sums over partitions are the whole's.
type PartitionStats struct {
	Duplicates, Overridden, FamilyMerges int64
	ConflictNames, ConflictRows          int64
	ConflictBenign                       int64    // names where one of the labels was benign
	Conflicts                            []string // the names, in order
}

// Resolved is a record that is kept, and where.
type Resolved struct {
	Record
	Split SplitID
}

// ResolvePartition cleans one partition: records in, kept records and counts out. Names must be normalised
// (dnsname.Normalize), and all records of a registered domain must be in the partition; partitions are independent
// and their order, like the order of records, does not change the result. The records kept come in order of name.
//
//   - A name that comes again with the same class is a duplicate. Its family and source are merged to the more
//     specific family (kraken_v1 before kraken, then alphabetically) and the first source by name.
//   - A name with two classes is a conflict and is dropped, unless all but one class come from Weak records.
//   - Of a name's days the last one stays.
//   - The plan puts a registered domain into one split.
func ResolvePartition(records []Record, p *Plan) ([]Resolved, PartitionStats) {
	families, sources := newInterner("families"), newInterner("sources")
	rows := make([]row, len(records))
	for i, r := range records {
		rows[i] = row{name: r.Name, class: r.Class, weak: r.Weak, hashed: p.hashed(p.hash(p.group(r.Name))), day: r.Day}
		// Past 32,767 families the surplus has none; process-data refuses such input before it gets here.
		rows[i].family, _ = families.id(r.Family)
		rows[i].source, _ = sources.id(r.Source)
	}
	rs := newResolver(p, families.list, sources.list)
	kept, verdicts, stats := rs.resolve(rows, rs.forced(rows))
	out := make([]Resolved, len(kept))
	for i, r := range kept {
		out[i] = Resolved{Record{r.name, r.class, r.weak, families.list[r.family], sources.list[r.source], r.day}, verdicts[i].split}
	}
	slices.SortFunc(out, func(a, b Resolved) int { return strings.Compare(a.Name, b.Name) })
	return out, stats
}

// resolver does ResolvePartition's work on compact rows. Its buffers are reused from one partition to the next.
type resolver struct {
	plan                   *Plan
	familyRank, sourceRank []int32 // by number: the smaller wins a merge
	demand                 func(r row) (SplitID, bool)

	table  []uint64 // high half: hash, low half: index of the name + 1
	states []nameState
	kept   []verdict
}

// verdict goes with a row that is kept.
type verdict struct {
	hash  uint64 // of the name, under saltName
	split SplitID
}

// nameState is what is known about one name.
type nameState struct {
	hash           uint64 // under saltName
	strong, weak   uint8  // sets of classes
	merged         bool
	rows, weakRows uint32
}

func newResolver(p *Plan, families, sources []string) *resolver {
	rs := &resolver{plan: p, familyRank: ranks(families, compareFamilies), sourceRank: ranks(sources, strings.Compare)}
	type key struct{ family, source uint16 }
	known := map[key]int16{}
	rs.demand = func(r row) (SplitID, bool) {
		k := key{r.family, r.source}
		s, ok := known[k]
		if !ok {
			s = -1
			if id, fixed := p.fixed(families[r.family], sources[r.source]); fixed {
				s = int16(id)
			}
			known[k] = s
		}
		if s < 0 && p.By == SplitByDate && r.day != 0 {
			return p.dated(r.day), true
		}
		return SplitID(max(s, 0)), s >= 0
	}
	return rs
}

// compareFamilies orders families by preference. It is a total order, so that a merge of many does not depend on
// their sequence: like strings.Compare, but the end of a string comes after every character.
func compareFamilies(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == "" || b != "" && b != BlocklistFamily && a == BlocklistFamily:
		return 1
	case b == "" || b == BlocklistFamily:
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

// forced finds the groups whose split is not the one their hash gives. It looks at rows before they are merged: a
// family that loses a merge still must not be seen in training. nil when no group can be forced.
func (rs *resolver) forced(rows []row) map[string]SplitID {
	if !rs.plan.grouped() {
		return nil
	}
	f := map[string]SplitID{}
	for _, r := range rows {
		rs.force(f, r)
	}
	return f
}

func (rs *resolver) force(f map[string]SplitID, r row) {
	group := rs.plan.group(r.name)
	s, fixed := rs.demand(r)
	if !fixed {
		s = r.hashed
	} else if rs.plan.By == SplitByDate {
		s += splitCount // rows without a date have no say where others have one
	}
	// The row's memory is reused. A map takes over the pointer of a key that is assigned again, so both need a copy.
	if old, ok := f[group]; !ok || s > old {
		f[strings.Clone(group)] = s
	}
}

// resolve merges the rows of each name, in place: kept is a part of rows. The verdicts are valid until the
// next call.
func (rs *resolver) resolve(rows []row, forced map[string]SplitID) (kept []row, _ []verdict, st PartitionStats) {
	names := rs.merge(rows)
	kept, rs.kept = names[:0], emptied(rs.kept, len(names))
	for i, r := range names {
		n := &rs.states[i]
		classes := n.strong
		if classes == 0 {
			classes = n.weak
		}
		if bits.OnesCount8(classes) > 1 {
			st.ConflictNames++
			st.ConflictRows += int64(n.rows)
			if classes&(1<<Benign) != 0 {
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
		kept = append(kept, r)
		rs.kept = append(rs.kept, verdict{n.hash, rs.split(r, forced)})
	}
	slices.Sort(st.Conflicts)
	return kept, rs.kept, st
}

func (rs *resolver) split(r row, forced map[string]SplitID) SplitID {
	if forced != nil {
		return forced[rs.plan.group(r.name)] % splitCount
	}
	return r.hashed
}

// merge moves one row of each name to the front of rows, with the family and source that win, and fills rs.states.
func (rs *resolver) merge(rows []row) []row {
	size := 1 << bits.Len(uint(len(rows)+len(rows)/2))
	if cap(rs.table) < size {
		rs.table = make([]uint64, size)
	}
	rs.table = rs.table[:size]
	clear(rs.table)
	rs.states = emptied(rs.states, len(rows))
	names := rows[:0]
	for _, r := range rows {
		h := hash64(saltName, r.name)
		slot := int(h & uint64(size-1))
		for {
			e := rs.table[slot]
			if e == 0 {
				names = append(names, r)
				rs.states = append(rs.states, nameState{hash: h})
				rs.table[slot] = h>>32<<32 | uint64(len(names))
				rs.states[len(names)-1].add(r)
				break
			}
			if i := int(uint32(e)) - 1; e>>32 == h>>32 && names[i].name == r.name {
				rs.join(&names[i], r, &rs.states[i])
				rs.states[i].add(r)
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

// join merges r into the row kept for its name so far. n does not count r yet.
func (rs *resolver) join(kept *row, r row, n *nameState) {
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
		if rs.familyRank[r.family] < rs.familyRank[kept.family] {
			kept.family = r.family
		}
	}
	if rs.sourceRank[r.source] < rs.sourceRank[kept.source] {
		kept.source = r.source
	}
}
