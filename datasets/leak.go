package datasets

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

// checkLeaks reads the finished files and makes sure that nothing is in two splits that must not be. It trusts
// nothing of how they were made. Keys are compared by 62 bits of their hash: a set of all keys as text would not fit.
func (j *job) checkLeaks(ctx context.Context) error {
	var total int64
	for _, s := range j.manifest.Splits {
		total += s.Rows
	}
	report := &j.manifest.Leaks
	report.Key = "registered domain"
	if j.plan.By == SplitRandom {
		report.Key = "name"
	}
	// Each turn takes the keys of one slice of the hashes, so that the set stays within a quarter of memory.
	turns := int(total*16/(j.o.Memory/4)) + 1
	step := j.progress.stage(0.95, 1)
	var example string
	for turn := range turns {
		set := newKeySet(int(total)/turns + int(total)/turns/8 + 64)
		for id, s := range j.manifest.Splits {
			held, err := j.scanSplit(ctx, s, func(key string, h uint64) {
				if bucket(h, turns) == turn && set.add(h, SplitID(id)) && example == "" {
					example = strings.Clone(key)
				}
			})
			if err != nil {
				return fmt.Errorf("leak check: %w", err)
			}
			if turn == 0 && SplitID(id) != TestSplit {
				report.HeldOut += held
			}
			step(j.progress.total / int64(turns*splitCount))
		}
		report.Keys += int64(set.used)
		report.Crossing += set.crossing
	}
	if report.Crossing > 0 || report.HeldOut > 0 {
		return fmt.Errorf("leak check: %d of %d keys (%s) are in two splits (%q is one), %d rows of held-out families "+
			"are outside test", report.Crossing, report.Keys, report.Key, example, report.HeldOut)
	}
	return nil
}

// scanSplit calls visit with every row's key and its hash, and counts rows of held-out families.
func (j *job) scanSplit(ctx context.Context, s SplitReport, visit func(key string, h uint64)) (held int64, err error) {
	f, err := openSplit(filepath.Join(j.temp, s.File), s)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	out := make([]bool, len(f.families))
	for i, name := range f.families {
		out[i] = name != "" && j.plan.held(name)
	}
	type keyed struct {
		batch  Batch
		keys   []string
		hashes []uint64
	}
	all, ctx := errgroup.WithContext(ctx)
	queue := make(chan chan keyed, j.o.Workers)
	all.Go(func() error {
		defer close(queue)
		for b, err := range f.Batches(ctx) {
			if err != nil {
				return err
			}
			result := make(chan keyed, 1)
			select {
			case queue <- result:
			case <-ctx.Done():
				return ctx.Err()
			}
			all.Go(func() error {
				k := keyed{b, make([]string, len(b.Names)), make([]uint64, len(b.Names))}
				for i, name := range b.Names {
					k.keys[i] = j.plan.group(name)
					k.hashes[i] = hash64(saltContent, k.keys[i])
				}
				result <- k
				return nil
			})
		}
		return nil
	})
	all.Go(func() error {
		for result := range queue {
			k := <-result
			for i, key := range k.keys {
				visit(key, k.hashes[i])
				if out[k.batch.Family[i]] {
					held++
				}
			}
		}
		return nil
	})
	err = all.Wait()
	return held, err
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
