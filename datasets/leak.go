package datasets

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"
)

// checkLeaks reads the finished files and makes sure that nothing is in two splits that must not be. It trusts
// nothing of how they were made. Keys are compared by 62 bits of their hash: a set of all keys as text would not fit.
func (j *job) checkLeaks(ctx context.Context) error {
	c := &leakCheck{job: j, report: &j.manifest.Leaks}
	c.report.Key = "registered domain"
	if j.plan.By == SplitRandom {
		c.report.Key = "name"
	}
	if err := c.run(ctx); err != nil {
		return fmt.Errorf("leak check: %w", err)
	}
	if r := c.report; r.Crossing > 0 || r.HeldOut > 0 {
		return fmt.Errorf("leak check: %d of %d keys (%s) are in two splits (%q is one), %d rows of held-out families "+
			"are outside test", r.Crossing, r.Keys, r.Key, c.example, r.HeldOut)
	}
	return nil
}

// leakCheck is one run of checkLeaks. When the set of keys does not fit into a quarter of memory, the keys' hashes are
// spread over parts on disk first, and each part has its own set.
type leakCheck struct {
	*job
	report  *LeakReport
	example string
	parts   int
	spill   *spill
	sets    *[keyShards]lockedSet
	mu      sync.Mutex // guards report and example
}

// keyShards is the number of sets that keys are divided over, by the high bits of their hashes: workers rarely wait for
// each other, and one set is small enough for a core's cache.
const keyShards = 64

type lockedSet struct {
	sync.Mutex
	*keySet
}

func newKeySets(keys int) *[keyShards]lockedSet {
	sets := &[keyShards]lockedSet{}
	for i := range sets {
		sets[i].keySet = newKeySet(keys / keyShards)
	}
	return sets
}

// setBytes is what a key takes in a keySet that is as empty as it gets.
const setBytes = 20

func (c *leakCheck) run(ctx context.Context) (err error) {
	rows := int64(0)
	for _, s := range c.manifest.Splits {
		rows += s.Rows
	}
	c.parts = int(rows*setBytes/(c.o.Memory/4)) + 1
	if c.parts == 1 {
		c.sets = newKeySets(int(rows))
	} else {
		if c.spill, err = newSpill(filepath.Join(c.temp, "keys"), c.parts, 0); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.spill.close()) }()
	}
	step := c.progress.stage(0.95, 1)
	for id, s := range c.manifest.Splits {
		if err := c.scan(ctx, SplitID(id), s); err != nil {
			return err
		}
		step(c.progress.total / splitCount)
	}
	for part := range c.parts {
		if c.spill != nil {
			if err := c.fill(part); err != nil {
				return err
			}
		}
		for i := range c.sets {
			c.report.Keys += int64(c.sets[i].used)
			c.report.Crossing += c.sets[i].crossing
		}
	}
	return nil
}

// scan takes the keys of one split.
func (c *leakCheck) scan(ctx context.Context, id SplitID, s SplitReport) error {
	f, err := openSplit(filepath.Join(c.temp, s.File), s, false)
	if err != nil {
		return err
	}
	defer f.Close()
	held := make([]bool, len(f.families))
	for i, name := range f.families {
		held[i] = id != TestSplit && name != "" && c.plan.held(name)
	}
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return f.verify(ctx) })
	queue := make(chan Batch)
	all.Go(func() error {
		defer close(queue)
		for b, err := range f.Batches(ctx) {
			if err != nil {
				return err
			}
			select {
			case queue <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range c.o.Workers {
		all.Go(func() error {
			var w *spillWriter
			if c.spill != nil {
				w = c.spill.writer(spillBuffer(c.o.Memory, c.o.Workers, c.parts))
			}
			for b := range queue {
				if err := c.batch(id, b, held, w); err != nil {
					return err
				}
			}
			if w != nil {
				return w.flush()
			}
			return nil
		})
	}
	return all.Wait()
}

// batch takes the keys of a batch, into the set or, with w, to disk.
func (c *leakCheck) batch(id SplitID, b Batch, held []bool, w *spillWriter) error {
	hashes, out := make([]uint64, len(b.Names)), int64(0)
	for i, name := range b.Names {
		hashes[i] = hash64(saltContent, c.plan.group(name))
		if held[b.Family[i]] {
			out++
		}
	}
	c.mu.Lock()
	c.report.HeldOut += out
	c.mu.Unlock()
	if w == nil {
		c.addAll(id, hashes, b.Names)
		return nil
	}
	var key [8]byte
	for _, h := range hashes {
		binary.LittleEndian.PutUint64(key[:], h)
		if err := w.add(bucket(h, c.parts), row{name: view(key[:]), hashed: id}); err != nil {
			return err
		}
	}
	return nil
}

// addAll puts the keys of a batch into the sets, one set after the other.
func (c *leakCheck) addAll(id SplitID, hashes []uint64, names []string) {
	var ends [keyShards + 1]int
	for _, h := range hashes {
		ends[h>>58+1]++
	}
	for i := range keyShards {
		ends[i+1] += ends[i]
	}
	order, next := make([]int32, len(hashes)), ends
	for i, h := range hashes {
		order[next[h>>58]] = int32(i)
		next[h>>58]++
	}
	for shard := range keyShards {
		set := &c.sets[shard]
		set.Lock()
		for _, i := range order[ends[shard]:ends[shard+1]] {
			if set.add(hashes[i], id) {
				c.crossed(c.plan.group(names[i]))
			}
		}
		set.Unlock()
	}
}

// crossed keeps one example of a key in two splits.
func (c *leakCheck) crossed(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.example == "" {
		c.example = key
	}
}

// fill makes the sets of one part on disk.
func (c *leakCheck) fill(part int) error {
	c.sets = newKeySets(int(c.spill.parts[part].rows))
	return c.spill.stream(part, func(data []byte) error {
		return decodeRows(data, func(r row) {
			h := binary.LittleEndian.Uint64([]byte(r.name))
			if c.sets[h>>58].add(h, r.hashed) {
				c.crossed(fmt.Sprintf("hash %016x", h))
			}
		})
	})
}

// keySet maps 62-bit hashes to the splits they were seen in; open addressing, 8 bytes a slot.
type keySet struct {
	slots    []uint64 // hash in the high 62 bits, split + 1 in the low two
	used     int
	crossing int64
}

func newKeySet(keys int) *keySet {
	size := 1 << 10
	for size < keys+keys/4 {
		size *= 2
	}
	return &keySet{slots: make([]uint64, size)}
}

// add notes that a hash is in a split and reports whether that is the second one.
func (k *keySet) add(h uint64, s SplitID) (crosses bool) {
	if k.used >= len(k.slots)-len(k.slots)/8 {
		k.grow()
	}
	high := h &^ 3
	mask := uint64(len(k.slots) - 1)
	for at := (h >> 2) & mask; ; at = (at + 1) & mask {
		switch e := k.slots[at]; {
		case e == 0:
			k.slots[at] = high | uint64(s+1)
			k.used++
			return false
		case e&^3 == high:
			if e&3 != uint64(s+1) {
				k.crossing++
				return true
			}
			return false
		}
	}
}

func (k *keySet) grow() {
	old := k.slots
	k.slots = make([]uint64, 2*len(old))
	mask := uint64(len(k.slots) - 1)
	for _, e := range old {
		if e == 0 {
			continue
		}
		at := (e >> 2) & mask
		for k.slots[at] != 0 {
			at = (at + 1) & mask
		}
		k.slots[at] = e
	}
}
