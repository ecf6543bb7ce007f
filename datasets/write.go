package datasets

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// place is where a row comes in the final order.
type place struct {
	hash uint64
	row  row
}

// write is the third pass: buckets are sorted by all workers and written in order.
func (j *job) write(ctx context.Context) error {
	families, familyNumber := usedWords(j.families, j.used[0])
	sources, sourceNumber := usedWords(j.sources, j.used[1])
	step := j.progress.stage(0.8, 0.95)
	for id := range SplitID(splitCount) {
		path := filepath.Join(j.temp, id.String()+".arrow")
		w, err := newSplitWriter(path, families, sources, splitMeta{
			version: j.o.Version, fingerprint: j.manifest.Fingerprint, split: id.String(), seed: j.o.Seed,
			compression: j.o.Compression,
		})
		if err != nil {
			return err
		}
		err = j.sorted(ctx, id, func(rows []place) error {
			step(j.progress.total / int64(splitCount*j.buckets))
			for _, p := range rows {
				p.row.family, p.row.source = familyNumber[p.row.family], sourceNumber[p.row.source]
				if err := w.add(p.row); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			err = w.finish()
		}
		if err != nil {
			w.abandon()
			return err
		}
		j.reportSplit(id, w, families, sources)
	}
	return j.kept.close()
}

// sorted calls f for every bucket of a split, in order, while others are being read and sorted.
func (j *job) sorted(ctx context.Context, id SplitID, f func([]place) error) error {
	all, ctx := errgroup.WithContext(ctx)
	queue := make(chan chan []place, j.o.Workers) // bounds the buckets in memory
	all.Go(func() error {
		defer close(queue)
		for b := range j.buckets {
			result := make(chan []place, 1)
			select {
			case queue <- result:
			case <-ctx.Done():
				return ctx.Err()
			}
			all.Go(func() error {
				rows, err := j.bucket(int(id)*j.buckets + b)
				result <- rows
				return err
			})
		}
		return nil
	})
	all.Go(func() error {
		for result := range queue {
			rows := <-result
			if err := ctx.Err(); err != nil {
				return err // a bucket that could not be read is not written as if it were empty
			}
			if err := f(rows); err != nil {
				return err
			}
		}
		return nil
	})
	return all.Wait()
}

// bucket reads and sorts one bucket.
func (j *job) bucket(part int) ([]place, error) {
	data, err := j.kept.load(part, nil)
	if err != nil {
		return nil, err
	}
	rows := make([]place, 0, j.kept.parts[part].rows)
	seed := j.o.Seed ^ saltOrder
	err = decodeRows(data, func(r row) { rows = append(rows, place{hash64(seed, r.name), r}) })
	slices.SortFunc(rows, func(a, b place) int {
		if a.hash != b.hash {
			return cmp.Compare(a.hash, b.hash)
		}
		return strings.Compare(a.row.name, b.row.name)
	})
	return rows, err
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
	classes := map[string]int64{}
	for c, n := range w.byClass {
		classes[classNames[c]] = n
	}
	j.manifest.Splits = append(j.manifest.Splits, SplitReport{
		Name: id.String(), File: id.String() + ".arrow", Rows: w.rows, Bytes: w.hashed.pos, SHA256: w.hashed.sum(),
		ByClass: classes, ByFamily: named(families, w.byFamily), BySource: named(sources, w.bySource),
	})
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
