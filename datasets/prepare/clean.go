package prepare

import (
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/lines"
)

// rowCost is the memory in bytes that a row of a partition needs besides its text: the row, its place in the hash
// table (two slots of 8 bytes at worst 3) and its state.
const rowCost = 32 + 24 + 16

// cleaner cleans partitions for one worker: a partition in, rows in buckets out.
type cleaner struct {
	p      *preparation
	merger *merger
	out    *spillWriter
	budget int64 // bytes for a partition

	familyHash, sourceHash []uint64

	data []byte
	rows []row

	sum      cleaned
	thinning bool       // some training rows are to be left out
	counted  []trainRow // training rows that p.train does not have yet
}

// trainRow is what p.train counts.
type trainRow struct {
	group   int32
	section uint16
}

func newCleaner(p *preparation) *cleaner {
	return &cleaner{
		p: p, merger: newMerger(p.plan, p.families.list, p.sources.list),
		out: p.kept.writer(spillBuffer(p.o.Memory, p.o.Workers, len(p.kept.parts))),
		// A quarter of memory, because the garbage collector may let as much again pile up.
		budget:     p.o.Memory / 4 / int64(p.o.Workers),
		familyHash: hashes(p.families.list), sourceHash: hashes(p.sources.list),
		thinning: p.o.CapFamily > 0 || p.o.Balance != "", counted: make([]trainRow, 0, 4096),
	}
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
	in := c.p.spilled
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
	if c.p.plan.grouped() {
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
	err := c.p.spilled.stream(part, func(data []byte) error {
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
	seed, buckets := c.p.o.Seed, c.p.buckets
	for i, r := range kept {
		to := placements[i]
		order := orderOf(to.hash, seed)
		if err := c.out.add(int(to.split)*buckets+bucket(order, buckets), r); err != nil {
			return err
		}
		if c.thinning && to.split == datasets.TrainSplit {
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

// flushCounted hands the rows counted to the preparation: all workers share one table, which may be large.
func (c *cleaner) flushCounted() {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	for _, r := range c.counted {
		c.p.train.add(int(r.group), int(r.section), 1)
	}
	c.counted = c.counted[:0]
}

// finish hands the worker's sums to the preparation.
func (c *cleaner) finish() error {
	c.flushCounted()
	c.p.mu.Lock()
	c.p.sum.add(&c.sum)
	c.p.mu.Unlock()
	return c.out.flush()
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
