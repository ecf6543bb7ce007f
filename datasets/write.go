package datasets

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"
)

// bucketRows is about how many rows a bucket gets: few enough for the processor's cache while they are sorted.
const bucketRows = 16 << 10

// bucketBuffers are what reading and sorting a bucket takes; they go round, because fresh memory costs as much as the work.
type bucketBuffers struct {
	part        int
	data        []byte
	rows        []row
	places, out []place // as the rows come, and in order
	starts      []int32
	columns     rowBuffers // in order
}

// place is where a row comes in the final order.
type place struct {
	hash uint64
	row  int32 // index
}

// write is the third pass: buckets are sorted by all workers and written in order.
func (j *job) write(ctx context.Context) error {
	families, familyNumber := usedWords(j.families, j.used[0])
	sources, sourceNumber := usedWords(j.sources, j.used[1])
	buffers := &rowBuffers{}
	step := j.progress.stage(0.8, 0.95)
	for id := range SplitID(splitCount) {
		path := filepath.Join(j.temp, id.String()+".arrow")
		w, err := newSplitWriter(path, families, sources, splitMeta{
			version: j.o.Version, fingerprint: j.manifest.Fingerprint, split: id.String(), seed: j.o.Seed,
			compression: j.o.Compression,
		}, buffers)
		if err != nil {
			return err
		}
		err = j.sorted(ctx, id, func(b *bucketBuffers) error {
			step(j.progress.total / int64(splitCount*j.buckets))
			if id == TrainSplit && j.selected != nil {
				b.columns.gather(b.rows, slices.DeleteFunc(b.out, func(p place) bool { return !j.selected.keeps(b.rows[p.row]) }))
			}
			return w.addAll(&b.columns, familyNumber, sourceNumber)
		})
		if err == nil {
			err = w.finish()
		}
		if err != nil {
			w.abandon()
			return err
		}
		j.reportSplit(id, w, families, sources)
		j.syncs.Go(w.close) // the disk works while the next split is made and all are checked
	}
	return j.kept.close()
}

// sorted calls f for every bucket of a split, in order, while others are being read and sorted.
func (j *job) sorted(ctx context.Context, id SplitID, f func(*bucketBuffers) error) error {
	all, ctx := errgroup.WithContext(ctx)
	type result struct {
		buf *bucketBuffers
		err error
	}
	queue := make(chan chan result, j.o.Workers)    // bounds the buckets in memory
	free := make(chan *bucketBuffers, cap(queue)+2) // as many as there can be
	all.Go(func() error {
		defer close(queue)
		for b := range j.buckets {
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
				err := j.bucket(int(id)*j.buckets+b, buf)
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
			j.kept.release(r.buf.part)
			select {
			case free <- r.buf:
			default:
			}
		}
		return nil
	})
	return all.Wait()
}

// bucket reads one bucket into b and finds its order.
func (j *job) bucket(part int, b *bucketBuffers) (err error) {
	n := int(j.kept.parts[part].rows)
	b.part, b.rows, b.places = part, emptied(b.rows, n), emptied(b.places, n)
	b.data, err = j.kept.load(part, b.data, func(data []byte) error {
		return decodeRows(data, func(r row) {
			b.places = append(b.places, place{orderOf(hash64(saltName, r.name), j.o.Seed), int32(len(b.rows))})
			b.rows = append(b.rows, r)
		})
	})
	if err != nil {
		return err
	}
	b.sort(part%j.buckets, j.buckets)
	b.columns.gather(b.rows, b.out)
	return nil
}

// sort sorts the places of bucket number of n into out, by hash, and by name where hashes are equal. Hashes are uniform in
// the bucket's range, so putting each about where it belongs leaves next to nothing to an insertion sort.
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
	b.out = emptied(b.out, len(b.places))[:len(b.places)]
	for _, p := range b.places {
		c := cell(p)
		b.out[b.starts[c]] = p
		b.starts[c]++
	}
	out, rows := b.out, b.rows
	for i := 1; i < len(out); i++ {
		p, k := out[i], i
		for ; k > 0 && (out[k-1].hash > p.hash || out[k-1].hash == p.hash && rows[out[k-1].row].name > rows[p.row].name); k-- {
			out[k] = out[k-1]
		}
		out[k] = p
	}
}

// usedWords is the dictionary of the words that kept rows use, and the number in it of each number of in.
func usedWords(in *interner, used []int64) (list []string, number []uint16) {
	all, place := in.sorted()
	number = make([]uint16, len(all))
	old := make([]int, len(all)) // by place
	for id, p := range place {
		old[p] = id
	}
	for p, word := range all {
		id := old[p]
		if word != "" && (id >= len(used) || used[id] == 0) {
			continue
		}
		number[id] = uint16(len(list))
		list = append(list, word)
	}
	return list, number
}

func (j *job) reportSplit(id SplitID, w *splitWriter, families, sources []string) {
	j.manifest.Splits = append(j.manifest.Splits, w.report(id, id.String()+".arrow", families, sources))
}

// report says what a finished file holds.
func (s *splitWriter) report(id SplitID, file string, families, sources []string) SplitReport {
	classes := map[string]int64{}
	for c, n := range s.byClass {
		classes[classNames[c]] = n
	}
	return SplitReport{
		Name: id.String(), File: file, Rows: s.rows, Bytes: s.hashed.pos, SHA256: s.hashed.sum(),
		ByClass: classes, ByFamily: named(families, s.byFamily), BySource: named(sources, s.bySource),
	}
}

// named gives counts by word, without zeros.
func named(words []string, counts []int64) map[string]int64 {
	out := map[string]int64{}
	for i, n := range counts {
		if n > 0 {
			out[words[i]] = n
		}
	}
	return out
}
