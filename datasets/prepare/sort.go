package prepare

import (
	"context"
	"errors"
	"math/bits"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/degas-dns/degas/datasets"
)

// bucketRows is about how many rows a bucket gets, or half of that: few enough for the processor's cache while they are
// sorted.
const bucketRows = 16 << 10

// bucketsFor is the number of a split's buckets. It is a power of two and not above Sections, so that a bucket is whole
// sections.
func bucketsFor(rows int64) int { return min(1<<bits.Len64(uint64(rows/bucketRows)), 512) }

// bucketBuffers are the memory for reading and sorting a bucket. They go round, because fresh memory costs as much as
// the work.
type bucketBuffers struct {
	part        int
	data        []byte
	rows        []row
	places, out []place // as the rows come, and in order
	starts      []int32
	columns     datasets.Columns // in order
	chooser     *Chooser
}

// place is where a row comes in the final order.
type place struct {
	hash uint64
	row  int32 // index
}

func (p place) section() int { return int(p.hash >> sectionShift) }

// write writes the splits: buckets are sorted by all workers and written in order.
func (p *preparation) write(ctx context.Context) error {
	out := &splitOutput{preparation: p, batch: &datasets.Columns{}}
	out.families, out.familyNumber = p.families.dictionary(p.sum.used[0])
	out.sources, out.sourceNumber = p.sources.dictionary(p.sum.used[1])
	if err := os.Mkdir(p.finished(), 0o755); err != nil {
		return err
	}
	step := p.progress.stage(0.8, 0.95)
	for id := range datasets.SplitID(datasets.NumSplits) {
		err := out.begin(id)
		if err == nil {
			sorter := &sorter{kept: p.kept, part: int(id) * p.buckets, n: p.buckets, of: p.buckets, seed: p.o.Seed,
				workers: p.o.Workers, families: p.families.list}
			if id == datasets.TrainSplit {
				sorter.selected = p.selected
			}
			err = sorter.sorted(ctx, func(b *bucketBuffers) error {
				step(p.progress.total / int64(datasets.NumSplits*p.buckets))
				return out.append(b)
			})
		}
		if err == nil {
			err = out.end()
		}
		if err != nil {
			out.abandon()
			return err
		}
	}
	return p.kept.close()
}

// sorter sorts the buckets of a split, which are parts of a spill: of the equal ranges that the split's order is cut
// into, those from first on.
type sorter struct {
	kept         *spill
	part         int // of the first bucket
	first, n, of int
	seed         uint64
	workers      int
	selected     *Selection // nil if all rows stay
	families     []string   // that the rows' numbers mean
}

// sorted calls f for every bucket, in order, while others are being read and sorted.
func (s *sorter) sorted(ctx context.Context, f func(*bucketBuffers) error) error {
	all, ctx := errgroup.WithContext(ctx)
	type result struct {
		buf *bucketBuffers
		err error
	}
	queue := make(chan chan result, s.workers)      // bounds the buckets in memory
	free := make(chan *bucketBuffers, cap(queue)+2) // as many as there can be
	all.Go(func() error {
		defer close(queue)
		for b := range s.n {
			done := make(chan result, 1)
			select {
			case queue <- done:
			case <-ctx.Done():
				return ctx.Err()
			}
			all.Go(func() error {
				var buf *bucketBuffers
				select {
				case buf = <-free:
				default:
					buf = &bucketBuffers{}
				}
				err := s.bucket(b, buf)
				done <- result{buf, err}
				return err
			})
		}
		return nil
	})
	all.Go(func() error {
		for done := range queue {
			r := <-done
			if err := errors.Join(r.err, ctx.Err()); err != nil {
				return err // a bucket that could not be read is not written as if it were empty
			}
			if err := f(r.buf); err != nil {
				return err
			}
			s.kept.release(r.buf.part)
			select {
			case free <- r.buf:
			default:
			}
		}
		return nil
	})
	return all.Wait()
}

// bucket reads the i-th bucket into b, finds its order and leaves out what is not selected.
func (s *sorter) bucket(i int, b *bucketBuffers) (err error) {
	part := s.part + i
	n := int(s.kept.parts[part].rows)
	b.part, b.rows, b.places = part, slices.Grow(b.rows[:0], n), slices.Grow(b.places[:0], n)
	b.data, err = s.kept.load(part, b.data, func(data []byte) error {
		return decodeRows(data, func(r row) {
			b.places = append(b.places, place{orderOf(hash64(saltName, r.name), s.seed), int32(len(b.rows))})
			b.rows = append(b.rows, r)
		})
	})
	if err != nil {
		return err
	}
	b.sort(s.first+i, s.of)
	if s.selected != nil {
		if b.chooser == nil {
			b.chooser = s.selected.Chooser(s.families)
		}
		b.out = slices.DeleteFunc(b.out, func(at place) bool {
			r := b.rows[at.row]
			return !b.chooser.Keeps(at.section(), r.class, r.family, r.name)
		})
	}
	b.gather()
	return nil
}

// gather fills the columns with the rows at the places in b.out.
func (b *bucketBuffers) gather() {
	size := 0
	for _, at := range b.out {
		size += len(b.rows[at.row].name)
	}
	b.columns.Reset(len(b.out), size)
	for _, at := range b.out {
		r := b.rows[at.row]
		b.columns.Append(r.name, r.class, r.family, r.source)
	}
}

// sort sorts the places of bucket number of n into out, by hash, and by name where hashes are equal. Hashes are uniform
// in the bucket's range, so putting each about where it belongs leaves next to nothing to an insertion sort.
func (b *bucketBuffers) sort(number, n int) {
	cells := max(len(b.places)/2, 1)
	b.starts = append(b.starts[:0], make([]int32, cells+1)...)
	cell := func(p place) int { return min(max(bucket(p.hash, n*cells)-number*cells, 0), cells-1) }
	for _, p := range b.places {
		b.starts[cell(p)+1]++
	}
	for i := range cells {
		b.starts[i+1] += b.starts[i]
	}
	b.out = slices.Grow(b.out[:0], len(b.places))[:len(b.places)]
	for _, p := range b.places {
		c := cell(p)
		b.out[b.starts[c]] = p
		b.starts[c]++
	}
	out, rows := b.out, b.rows
	after := func(a, b place) bool {
		return a.hash > b.hash || a.hash == b.hash && rows[a.row].name > rows[b.row].name
	}
	for i := 1; i < len(out); i++ {
		p, k := out[i], i
		for ; k > 0 && after(out[k-1], p); k-- {
			out[k] = out[k-1]
		}
		out[k] = p
	}
}
