package prepare

import (
	"slices"
	"strings"
	"sync"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/lines"
)

// rowCost is the memory in bytes that a row of a partition needs besides its text: the row, its place in the hash
// table (two slots of 8 bytes at worst 3) and its state.
const rowCost = 32 + 24 + 16

// cleaner cleans partitions for one goroutine: a partition of in goes in, the rows that are kept go to parts of out.
type cleaner struct {
	in     *spill
	merger *merger
	out    *spillWriter
	// place is the part of out for a row of a split with this place in the order.
	place  func(split datasets.SplitID, order uint64) int
	budget int64 // bytes for a partition

	familyHash, sourceHash []uint64

	data []byte
	rows []row

	sum     cleaned
	train   *trainCounts // nil if training keeps all its rows
	counted []trainRow   // training rows that train does not have yet
}

// newCleaner makes a cleaner of rows whose families and sources are numbers in these lists. All cleaners share train.
func newCleaner(plan *Plan, families, sources []string, in *spill, out *spillWriter, train *trainCounts) *cleaner {
	c := &cleaner{in: in, merger: newMerger(plan, families, sources), out: out, train: train,
		familyHash: hashes(families), sourceHash: hashes(sources)}
	if train != nil {
		c.counted = make([]trainRow, 0, 4096)
	}
	return c
}

// trainCounts counts training rows for cleaners that run at once: the table may be large.
type trainCounts struct {
	mu     sync.Mutex
	counts sectionCounts
}

// trainRow is what trainCounts counts.
type trainRow struct {
	group   int32
	section uint16
}

func (t *trainCounts) add(rows []trainRow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range rows {
		t.counts.add(int(r.group), int(r.section), 1)
	}
}

// list gives the counts; nil gives none.
func (t *trainCounts) list(families []string) []SectionRows {
	if t == nil {
		return nil
	}
	return t.counts.list(families)
}

func hashes(list []string) []uint64 {
	out := make([]uint64, len(list))
	for i, s := range list {
		out[i] = hash64(saltContent, s)
	}
	return out
}

// partition cleans one partition. One that does not fit in memory, because a single domain has most of the rows, is
// worked on in slices by the name's hash: only the decisions about domains need all rows, and those are few bytes.
func (c *cleaner) partition(part int) error {
	in := c.in
	defer in.release(part)
	p := &in.parts[part]
	need := p.bytes + p.rows*rowCost
	if need <= c.budget {
		var err error
		c.rows = slices.Grow(c.rows[:0], int(p.rows))
		c.data, err = in.load(part, c.data, func(data []byte) error {
			return decodeRows(data, func(r row) { c.rows = append(c.rows, r) })
		})
		if err != nil {
			return err
		}
		return c.keep(c.merger.forcedSplits(c.rows))
	}
	var forced map[string]datasets.SplitID
	if c.merger.plan.grouped() {
		forced = map[string]datasets.SplitID{}
		err := in.stream(part, func(data []byte) error {
			return decodeRows(data, func(r row) { c.merger.force(forced, r) })
		})
		if err != nil {
			return err
		}
	}
	slicesOf := int(need/c.budget) + 1
	for i := range slicesOf {
		if err := c.slice(part, i, slicesOf, forced); err != nil {
			return err
		}
	}
	return nil
}

// slice cleans the names of a partition whose hash falls into slice i of n.
func (c *cleaner) slice(part, i, n int, forced map[string]datasets.SplitID) error {
	c.rows, c.data = c.rows[:0], c.data[:0]
	ends := []int{}
	err := c.in.stream(part, func(data []byte) error {
		return decodeRows(data, func(r row) {
			if bucket(hash64(saltSplit^saltOrder, r.name), n) == i {
				c.data = append(c.data, r.name...)
				ends = append(ends, len(c.data))
				c.rows = append(c.rows, r)
			}
		})
	})
	if err != nil {
		return err
	}
	start := 0
	for k, end := range ends { // c.data has stopped moving
		c.rows[k].name = lines.View(c.data[start:end])
		start = end
	}
	return c.keep(forced)
}

// keep merges c.rows and puts what is kept into buckets.
func (c *cleaner) keep(forced map[string]datasets.SplitID) error {
	kept, placements, st := c.merger.settle(c.rows, forced)
	c.sum.merge.add(st)
	seed := c.merger.plan.Seed
	for i, r := range kept {
		to := placements[i]
		order := orderOf(to.hash, seed)
		if err := c.out.add(c.place(to.split, order), r); err != nil {
			return err
		}
		if c.train != nil && to.split == datasets.TrainSplit {
			c.count(r, int(order>>sectionShift))
		}
		c.sum.used[0], c.sum.used[1] = count(c.sum.used[0], r.family), count(c.sum.used[1], r.source)
		// A sum does not depend on the order of rows.
		e := fold64(derive(to.hash, saltContent)^uint64(r.class)<<8^uint64(to.split)<<16, c.familyHash[r.family]|1)
		c.sum.content[0] += e
		c.sum.content[1] += fold64(e^saltContent, c.sourceHash[r.source]|1)
	}
	return nil
}

// count counts a training row.
func (c *cleaner) count(r row, section int) {
	if len(c.counted) == cap(c.counted) {
		c.flushCounted()
	}
	c.counted = append(c.counted, trainRow{int32(groupOf(r.class, r.family)), uint16(section)})
}

// flushCounted hands the rows counted to train.
func (c *cleaner) flushCounted() {
	c.train.add(c.counted)
	c.counted = c.counted[:0]
}

// finish hands on what the cleaner still has.
func (c *cleaner) finish() error {
	if c.train != nil {
		c.flushCounted()
	}
	return c.out.flush()
}

// cleaned is what cleaners sum up.
type cleaned struct {
	merge   MergeStats
	content [2]uint64  // hash of the rows kept, whatever their order
	used    [2][]int64 // rows kept by number of family and of source
}

func (s *cleaned) add(o *cleaned) {
	s.merge.add(o.merge)
	for i := range s.content {
		s.content[i] += o.content[i]
		s.used[i] = addCounts(s.used[i], o.used[i])
	}
}

// add sums up. Of the conflicting names it keeps enough for the manifest and bounds the rest.
func (s *MergeStats) add(o MergeStats) {
	s.Duplicates += o.Duplicates
	s.Overridden += o.Overridden
	s.MovedToTrain += o.MovedToTrain
	s.FamilyMerges += o.FamilyMerges
	s.ConflictNames += o.ConflictNames
	s.ConflictRows += o.ConflictRows
	s.ConflictBenign += o.ConflictBenign
	for _, name := range o.Conflicts {
		s.Conflicts = append(s.Conflicts, strings.Clone(name))
	}
	if len(s.Conflicts) > 2*datasets.MaxConflictNames {
		slices.Sort(s.Conflicts)
		s.Conflicts = s.Conflicts[:datasets.MaxConflictNames]
	}
}

// tally is what cleaning counted, as plain data.
type tally struct {
	Merge             MergeStats
	Kept              int64
	Content           [2]uint64        // hash of the rows kept
	Families, Sources map[string]int64 // rows kept
	Train             []SectionRows    // if some training rows are to be left out
}

func (s *cleaned) tally(families, sources *interner, train *trainCounts) tally {
	t := tally{Merge: s.merge, Content: s.content, Families: families.named(s.used[0]), Sources: sources.named(s.used[1]),
		Train: train.list(families.list)}
	for _, n := range s.used[0] {
		t.Kept += n
	}
	return t
}
