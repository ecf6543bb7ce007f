package datasets

import (
	"context"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// place is where a row comes in the final order.
type place struct {
	hash uint64
	row  int32 // index
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
		err = j.sorted(ctx, id, func(rows []row) error {
			step(j.progress.total / int64(splitCount*j.buckets))
			for _, r := range rows {
				if id == TrainSplit && j.selected != nil && !j.selected.keeps(r) {
					continue
				}
				r.family, r.source = familyNumber[r.family], sourceNumber[r.source]
				if err := w.add(r); err != nil {
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
func (j *job) sorted(ctx context.Context, id SplitID, f func([]row) error) error {
	all, ctx := errgroup.WithContext(ctx)
	queue := make(chan chan []row, j.o.Workers) // bounds the buckets in memory
	all.Go(func() error {
		defer close(queue)
		for b := range j.buckets {
			result := make(chan []row, 1)
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
func (j *job) bucket(part int) ([]row, error) {
	data, err := j.kept.load(part, nil)
	if err != nil {
		return nil, err
	}
	n := int(j.kept.parts[part].rows)
	rows, places := make([]row, 0, n), make([]place, 0, n)
	seed := j.o.Seed ^ saltOrder
	err = decodeRows(data, func(r row) {
		places = append(places, place{hash64(seed, r.name), int32(len(rows))})
		rows = append(rows, r)
	})
	if err != nil {
		return nil, err
	}
	sorted := make([]row, 0, len(rows))
	for _, p := range sortPlaces(places, part%j.buckets, j.buckets, rows) {
		sorted = append(sorted, rows[p.row])
	}
	return sorted, nil
}

// sortPlaces sorts the places of bucket b of n by hash, and by name where hashes are equal. Hashes are uniform in the
// bucket's range, so putting each about where it belongs leaves next to nothing to an insertion sort.
func sortPlaces(places []place, b, n int, rows []row) []place {
	cells := max(len(places)/2, 1)
	starts := make([]int32, cells+1)
	cell := func(p place) int { return min(max(bucket(p.hash, n*cells)-b*cells, 0), cells-1) }
	for _, p := range places {
		starts[cell(p)+1]++
	}
	for i := range cells {
		starts[i+1] += starts[i]
	}
	out := make([]place, len(places))
	for _, p := range places {
		c := cell(p)
		out[starts[c]] = p
		starts[c]++
	}
	for i := 1; i < len(out); i++ {
		p, k := out[i], i
		for ; k > 0 && (out[k-1].hash > p.hash || out[k-1].hash == p.hash && rows[out[k-1].row].name > rows[p.row].name); k-- {
			out[k] = out[k-1]
		}
		out[k] = p
	}
	return out
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
