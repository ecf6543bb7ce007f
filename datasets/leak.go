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
	set     *keySet
	mu      sync.Mutex // guards set, report and example
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
		c.set = newKeySet(int(rows))
	} else {
		if c.spill, err = newSpill(filepath.Join(c.temp, "keys"), c.parts); err != nil {
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
		c.report.Keys += int64(c.set.used)
		c.report.Crossing += c.set.crossing
	}
	return nil
}

// scan takes the keys of one split.
func (c *leakCheck) scan(ctx context.Context, id SplitID, s SplitReport) error {
	f, err := openSplit(filepath.Join(c.temp, s.File), s)
	if err != nil {
		return err
	}
	defer f.Close()
	held := make([]bool, len(f.families))
	for i, name := range f.families {
		held[i] = id != TestSplit && name != "" && c.plan.held(name)
	}
	all, ctx := errgroup.WithContext(ctx)
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
	if w == nil {
		for i, h := range hashes {
			if c.set.add(h, id) && c.example == "" {
				c.example = c.plan.group(b.Names[i])
			}
		}
	}
	c.mu.Unlock()
	if w == nil {
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

// fill makes the set of one part on disk.
func (c *leakCheck) fill(part int) error {
	c.set = newKeySet(int(c.spill.parts[part].rows))
	return c.spill.stream(part, func(data []byte) error {
		return decodeRows(data, func(r row) {
			h := binary.LittleEndian.Uint64([]byte(r.name))
			if c.set.add(h, r.hashed) && c.example == "" {
				c.example = fmt.Sprintf("hash %016x", h)
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
