package prepare

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/degas-dns/degas/datasets"
)

// checkLeaks reads the finished files and checks that no key is in two splits and no held-out family outside test. It
// trusts nothing of how they were made. Keys are compared by 62 bits of their hash: all keys as text would not fit.
func (p *preparation) checkLeaks(ctx context.Context) error {
	c := &leakCheck{preparation: p, report: &p.manifest.Leaks}
	c.report.Key = "registered domain"
	if p.plan.By == datasets.SplitRandom {
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

// leakCheck is one run of checkLeaks. The keys' hashes are spread over parts, by workers that read; then each part has
// its own set, small enough for a core's cache.
type leakCheck struct {
	*preparation
	report  *datasets.LeakReport
	example string
	parts   int
	spill   *spill
	mu      sync.Mutex // guards report and crossing
	// crossing is the hash of a key in two splits, 0 without.
	crossing uint64
}

const (
	leakParts = 64
	setBytes  = 20 // bytes per key in the emptiest keySet
)

func (c *leakCheck) run(ctx context.Context) (err error) {
	rows := int64(0)
	for _, s := range c.manifest.Splits {
		rows += s.Rows
	}
	c.parts = max(int(rows*setBytes*int64(c.o.Workers)/(c.o.Memory/4)), leakParts)
	c.spill, err = newSpill(filepath.Join(c.temp, "keys"), c.parts, spillMemory(c.o.Memory), &c.chunks)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.spill.close()) }()
	step := c.progress.stage(0.95, 1)
	for id, s := range c.manifest.Splits {
		if err := c.scan(ctx, datasets.SplitID(id), s); err != nil {
			return err
		}
		step(c.progress.total / datasets.NumSplits)
	}
	if err := c.compare(ctx); err != nil || c.crossing == 0 {
		return err
	}
	for _, s := range c.manifest.Splits {
		if err := c.findExample(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// scan takes the keys of one split.
func (c *leakCheck) scan(ctx context.Context, id datasets.SplitID, s datasets.SplitReport) error {
	f, err := datasets.OpenWritten(c.finished(), s)
	if err != nil {
		return err
	}
	defer f.Close()
	held := make([]bool, len(f.Families()))
	for i, name := range f.Families() {
		held[i] = id != datasets.TestSplit && name != "" && c.plan.held(name)
	}
	batches := dealt(f.NumBatches())
	all, ctx := errgroup.WithContext(ctx)
	for range c.o.Workers {
		all.Go(func() error {
			w := c.spill.writer(spillBuffer(c.o.Memory, c.o.Workers, c.parts))
			var b datasets.Batch
			for i := range batches {
				if err := f.Read(ctx, i, &b); err != nil {
					return err
				}
				if err := c.take(id, &b, held, w); err != nil {
					return err
				}
			}
			return w.flush()
		})
	}
	return all.Wait()
}

// take puts the keys of a batch where their part is. held says which families are held out.
func (c *leakCheck) take(id datasets.SplitID, b *datasets.Batch, held []bool, w *spillWriter) error {
	out := int64(0)
	for i, name := range b.Names {
		h := c.key(name)
		if err := w.addKey(bucket(h, c.parts), h&^3|uint64(id)); err != nil {
			return err
		}
		if held[b.Family[i]] {
			out++
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.HeldOut += out
	return nil
}

func (c *leakCheck) key(name string) uint64 { return hash64(saltContent, c.plan.group(name)) }

// compare looks for keys of a part that are in two splits, part by part.
func (c *leakCheck) compare(ctx context.Context) error {
	parts := dealt(c.parts)
	all, ctx := errgroup.WithContext(ctx)
	for range c.o.Workers {
		all.Go(func() error {
			set, buf := &keySet{}, []byte(nil)
			for part := range parts {
				if err := ctx.Err(); err != nil {
					return err
				}
				set.reset(int(c.spill.parts[part].rows))
				var err error
				buf, err = c.spill.load(part, buf, func(data []byte) error {
					for ; len(data) >= 8; data = data[8:] {
						set.add(binary.LittleEndian.Uint64(data))
					}
					return nil
				})
				if err != nil {
					return err
				}
				c.spill.release(part)
				c.mu.Lock()
				c.report.Keys += int64(set.used)
				c.report.Crossing += set.crossing
				c.crossing = max(c.crossing, set.example)
				c.mu.Unlock()
			}
			return nil
		})
	}
	return all.Wait()
}

// findExample looks for the key whose hash is c.crossing.
func (c *leakCheck) findExample(ctx context.Context, s datasets.SplitReport) error {
	f, err := datasets.OpenWritten(c.finished(), s)
	if err != nil {
		return err
	}
	defer f.Close()
	for b, err := range f.Batches(ctx) {
		if err != nil {
			return err
		}
		for _, name := range b.Names {
			if c.key(name)&^3 == c.crossing {
				c.example = strings.Clone(c.plan.group(name))
				return nil
			}
		}
	}
	return nil
}

// keySet maps 62-bit hashes to the splits they were seen in; open addressing, 8 bytes a slot. A slot's low two bits are
// the split + 1.
type keySet struct {
	slots    []uint64
	used     int
	crossing int64
	example  uint64 // a hash that crosses
}

// reset empties the set and makes room for so many keys.
func (k *keySet) reset(keys int) {
	size := 1 << 10
	for size < keys+keys/4 {
		size *= 2
	}
	if cap(k.slots) < size {
		k.slots = make([]uint64, size)
	}
	k.slots = k.slots[:size]
	clear(k.slots)
	k.used, k.crossing, k.example = 0, 0, 0
}

// add notes a key: a hash in the high 62 bits, a split in the low two.
func (k *keySet) add(key uint64) {
	high, split := key&^3, key&3+1
	mask := uint64(len(k.slots) - 1)
	for at := (high >> 2) & mask; ; at = (at + 1) & mask {
		switch e := k.slots[at]; {
		case e == 0:
			k.slots[at] = high | split
			k.used++
			return
		case e&^3 == high:
			if e&3 != split {
				k.crossing++
				k.example = max(k.example, high)
			}
			return
		}
	}
}
