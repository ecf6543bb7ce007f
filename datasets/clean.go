package datasets

import "slices"

// rowCost is the memory in bytes that a row of a partition needs besides its text: the row, its place in the hash
// table (two slots of 8 bytes at worst 3) and its state.
const rowCost = 32 + 24 + 16

// cleaner does the second pass for one worker: a partition in, rows in buckets out.
type cleaner struct {
	j      *job
	rs     *resolver
	out    *spillWriter
	budget int64

	familyHash, sourceHash []uint64

	data []byte
	rows []row

	stats   PartitionStats
	content [2]uint64
	used    [2][]int64
	train   [classCount][]int64
}

func newCleaner(j *job) *cleaner {
	return &cleaner{
		j: j, rs: newResolver(j.plan, j.families.list, j.sources.list),
		out: j.kept.writer(spillBuffer(j.o.Memory, j.o.Workers, len(j.kept.parts))),
		// Half of memory for the partitions in work: the garbage collector may let as much again pile up.
		budget:     j.o.Memory / 4 / int64(j.o.Workers),
		familyHash: hashes(j.families.list), sourceHash: hashes(j.sources.list),
	}
}

// emptied is s without its elements and with room for n. Growing step by step would leave much memory behind.
func emptied[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, 0, n+n/8)
	}
	return s[:0]
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
	in := c.j.first.spill
	defer in.release(part)
	p := &in.parts[part]
	need := p.bytes + p.rows*rowCost
	if need <= c.budget {
		var err error
		c.rows = emptied(c.rows, int(p.rows))
		c.data, err = in.load(part, c.data, func(data []byte) error {
			return decodeRows(data, func(r row) { c.rows = append(c.rows, r) })
		})
		if err != nil {
			return err
		}
		return c.keep(c.rs.forced(c.rows))
	}
	var forced map[string]SplitID
	if c.j.plan.grouped() {
		forced = map[string]SplitID{}
		err := in.stream(part, func(data []byte) error {
			return decodeRows(data, func(r row) { c.rs.force(forced, r) })
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
func (c *cleaner) slice(part, i, n int, forced map[string]SplitID) error {
	c.rows, c.data = c.rows[:0], c.data[:0]
	ends := []int{}
	err := c.j.first.spill.stream(part, func(data []byte) error {
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
		c.rows[k].name = view(c.data[start:end])
		start = end
	}
	return c.keep(forced)
}

// keep resolves c.rows and puts what is kept into buckets.
func (c *cleaner) keep(forced map[string]SplitID) error {
	kept, verdicts, st := c.rs.resolve(c.rows, forced)
	c.stats.add(st)
	seed, buckets := c.j.o.Seed, c.j.buckets
	for i, r := range kept {
		v := verdicts[i]
		if err := c.out.add(int(v.split)*buckets+bucket(orderOf(v.hash, seed), buckets), r); err != nil {
			return err
		}
		if v.split == TrainSplit {
			c.train[r.class] = count(c.train[r.class], r.family)
		}
		c.used[0], c.used[1] = count(c.used[0], r.family), count(c.used[1], r.source)
		// A sum does not depend on the order of rows.
		e := fold64(derive(v.hash, saltContent)^uint64(r.class)<<8^uint64(v.split)<<16, c.familyHash[r.family]|1)
		c.content[0] += e
		c.content[1] += fold64(e^saltContent, c.sourceHash[r.source]|1)
	}
	return nil
}

// finish hands the worker's sums to the job.
func (c *cleaner) finish() error {
	c.j.mu.Lock()
	c.j.stats.add(c.stats)
	for i := range c.content {
		c.j.content[i] += c.content[i]
		c.j.used[i] = addCounts(c.j.used[i], c.used[i])
	}
	for i := range c.train {
		c.j.train[i] = addCounts(c.j.train[i], c.train[i])
	}
	c.j.mu.Unlock()
	return c.out.flush()
}

// add sums up. Of the conflicting names it keeps enough for the manifest and bounds the rest.
func (s *PartitionStats) add(o PartitionStats) {
	s.Duplicates += o.Duplicates
	s.Overridden += o.Overridden
	s.FamilyMerges += o.FamilyMerges
	s.ConflictNames += o.ConflictNames
	s.ConflictRows += o.ConflictRows
	s.ConflictBenign += o.ConflictBenign
	for _, name := range o.Conflicts {
		s.Conflicts = append(s.Conflicts, string(append([]byte(nil), name...)))
	}
	if len(s.Conflicts) > 2*MaxConflictNames {
		slices.Sort(s.Conflicts)
		s.Conflicts = s.Conflicts[:MaxConflictNames]
	}
}
