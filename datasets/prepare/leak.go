package prepare

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/degas-dns/degas/datasets"
)

// checkLeaks reads the finished files and checks that no key is in two splits and no held-out family outside test. It
// trusts nothing of how they were made. Keys are compared by 62 bits of their hash: all keys as text would not fit.
func (p *preparation) checkLeaks(ctx context.Context) error {
	c := &leakCheck{preparation: p, report: &p.manifest.Leaks}
	c.report.Key = p.plan.leakKey()
	if err := c.run(ctx); err != nil {
		return fmt.Errorf("leak check: %w", err)
	}
	return leaked(c.report, c.example)
}

// leaked is an error if something leaks. example is a key that is in two splits.
func leaked(r *datasets.LeakReport, example string) error {
	if r.Crossing == 0 && r.HeldOut == 0 {
		return nil
	}
	return fmt.Errorf("leak check: %d of %d keys (%s) are in two splits (%q is one), %d rows of held-out families "+
		"are outside test", r.Crossing, r.Keys, r.Key, example, r.HeldOut)
}

// leakKey is what must not be in two splits.
func (p *Plan) leakKey() string {
	if p.By == datasets.SplitRandom {
		return "name"
	}
	return "registered domain"
}

// key is a name's leakKey as a hash.
func (p *Plan) key(name string) uint64 { return hash64(saltContent, p.group(name)) }

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
		if c.example, err = findExample(ctx, c.finished(), s, c.plan, c.crossing); err != nil || c.example != "" {
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
	writers := make([]*spillWriter, c.o.Workers)
	for i := range writers {
		writers[i] = c.spill.writer(spillBuffer(c.o.Memory, c.o.Workers, c.parts))
	}
	out, err := scanKeys(ctx, f, id, c.plan, c.parts, writers)
	c.report.HeldOut += out
	return err
}

// scanKeys gives the keys of a finished file, with its split, to writers by part, and counts the rows of held-out
// families that should not be in it. Each writer gets a goroutine.
func scanKeys(ctx context.Context, f *datasets.Split, id datasets.SplitID, p *Plan, parts int, writers []*spillWriter) (
	heldOut int64, err error,
) {
	held := make([]bool, len(f.Families()))
	for i, name := range f.Families() {
		held[i] = id != datasets.TestSplit && name != "" && p.held(name)
	}
	batches := dealt(f.NumBatches())
	var out atomic.Int64
	all, ctx := errgroup.WithContext(ctx)
	for _, w := range writers {
		all.Go(func() error {
			var b datasets.Batch
			for i := range batches {
				if err := f.Read(ctx, i, &b); err != nil {
					return err
				}
				for i, name := range b.Names {
					h := p.key(name)
					if err := w.addKey(bucket(h, parts), h&^3|uint64(id)); err != nil {
						return err
					}
					if held[b.Family[i]] {
						out.Add(1)
					}
				}
			}
			return w.flush()
		})
	}
	err = all.Wait()
	return out.Load(), err
}

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
				buf, err = c.spill.load(part, buf, set.addAll)
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

// findExample looks for the key whose hash is crossing in the files of a split in dir.
func findExample(ctx context.Context, dir string, s datasets.SplitReport, p *Plan, crossing uint64) (string, error) {
	f, err := datasets.OpenWritten(dir, s)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for b, err := range f.Batches(ctx) {
		if err != nil {
			return "", err
		}
		for _, name := range b.Names {
			if p.key(name)&^3 == crossing {
				return strings.Clone(p.group(name)), nil
			}
		}
	}
	return "", nil
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

// addAll adds keys, eight bytes each.
func (k *keySet) addAll(data []byte) error {
	for ; len(data) >= 8; data = data[8:] {
		k.add(binary.LittleEndian.Uint64(data))
	}
	return nil
}
