package trainer

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/degas-dns/degas/datasets"
)

// Stream is names that stay on disk. In an epoch it shuffles the blocks of the split and deals them to portions, whose
// names it shuffles in turn. The rows of a split lie in a random order already, so a portion is a random part of the
// names. Two portions are in memory: training goes on with one while the next one is read.
type Stream struct {
	*rows
	portions int       // of an epoch
	spare    chan *Set // memory for portions
}

// What parts of Options.Memory are for, where not all names fit into it: two portions, and the validation names with
// what scoring them takes. Garbage has the rest, which is let pile up to as much as there is of everything else.
const (
	portionShare    = 8
	validationShare = 4
)

// blockLen is the rows of a block: a batch, or pieces of one where a portion would have few of them.
func blockLen(memory int64) int {
	const perPortion, row = 8, 64 // blocks, and bytes that a row may take
	if memory == 0 {
		return datasets.BatchRows
	}
	return int(min(max(memory/portionShare/perPortion/row, 1), datasets.BatchRows))
}

// stream leaves the rows on disk. They take the split, which stays open.
func (r *rows) stream(memory int64) *Stream {
	var names, text int // the most of a block
	for _, b := range r.blocks {
		names, text = max(names, b.names), max(text, b.text)
	}
	each := max(1, int(memory/portionShare)/(text+names*nameCost+1)) // blocks of a portion
	s := &Stream{r, (len(r.blocks) + each - 1) / each, make(chan *Set, 2)}
	each = (len(r.blocks) + s.portions - 1) / s.portions
	for range cap(s.spare) {
		s.spare <- r.room(each*names, each*text)
	}
	return s
}

// Len is the number of names in an epoch.
func (s *Stream) Len() int { return s.names }

// Close closes the split.
func (s *Stream) Close() error { return s.split.Close() }

func (s *Stream) shared() *kinds { return s.kinds }

// Portions reads an epoch. One is read at a time.
func (s *Stream) Portions(ctx context.Context, seed uint64, epoch int) iter.Seq2[Portion, error] {
	type result struct {
		Portion
		err error
	}
	return func(yield func(Portion, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		ready := make(chan result)
		var reading sync.WaitGroup
		defer reading.Wait()
		defer stop()
		reading.Go(func() {
			defer close(ready)
			in := reader{rows: s.rows}
			for i, from := 0, 0; i < s.portions; i++ {
				set := <-s.spare
				key, blocks := s.draw(seed, epoch, i)
				p := result{Portion{set, key, from}, s.read(ctx, &in, blocks, set)}
				select {
				case ready <- p:
				case <-ctx.Done():
					s.spare <- set
					return
				}
				from += set.Len()
			}
		})
		for p := range ready {
			more := yield(p.Portion, p.err)
			s.spare <- p.Set
			if !more || p.err != nil {
				return
			}
		}
	}
}

// draw gives the key of an epoch's i-th portion and its blocks, in the order in which they lie.
func (s *Stream) draw(seed uint64, epoch, i int) (key uint64, blocks []int) {
	key = orderKey(seed, epoch)
	n := len(s.blocks)
	for at := i * n / s.portions; at < (i+1)*n/s.portions; at++ {
		blocks = append(blocks, int(Shuffled(uint32(at), uint32(n), key)))
	}
	slices.Sort(blocks)
	return Mix(key+uint64(i)) | 1, blocks
}
