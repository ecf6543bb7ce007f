package prepare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/degas-dns/degas/datasets"
)

// Merge cleans one partition: next gives its blocks, emit takes those of the rows that are kept, by shard. The plan is
// what Conclude returned. Merge returns what Sums adds up.
func (j *Job) Merge(plan []byte, tempDir string, next func(*[]byte) bool, emit func(shard int, block []byte)) (
	_ []byte, err error,
) {
	var p Plan
	if err := json.Unmarshal(plan, &p); err != nil {
		return nil, err
	}
	rows, done, err := j.spill(tempDir, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	families, sources := newInterner("families"), newInterner("sources")
	var block []byte
	for next(&block) {
		data, n, err := decodeBlock(block, families, sources)
		if err == nil {
			_, err = rows.flush(0, data, n)
		}
		if err != nil {
			return nil, err
		}
	}
	var train *trainCounts
	if o := j.Manifest.Options; (Options{CapFamily: o.CapFamily, Balance: o.Balance}).thins() {
		train = &trainCounts{}
	}
	w := newSpillWriter(newBlockEncoder(families, sources, emit), j.NumShards(), spillBuffer(j.Memory, 1, j.NumShards()))
	clean := newCleaner(&p, families.list, sources.list, rows, w, train)
	clean.budget = j.Memory / 4
	clean.place = func(split datasets.SplitID, order uint64) int {
		return int(split)*j.Shards + ShardOf(int(order>>sectionShift), j.Shards)
	}
	if err := errors.Join(clean.partition(0), clean.finish()); err != nil {
		return nil, err
	}
	return encode(clean.sum.tally(families, sources, train))
}

// NumShards is the number of files of all splits. Merge and Write number them.
func (j *Job) NumShards() int { return datasets.NumSplits * j.Shards }

// spill is a spill for one step. done removes it.
func (j *Job) spill(tempDir string, parts int) (_ *spill, done func() error, err error) {
	dir, err := os.MkdirTemp(tempDir, "degas-rows-")
	if err != nil {
		return nil, nil, err
	}
	s, err := newSpill(filepath.Join(dir, "rows"), parts, j.Memory/4, &chunkPool{})
	if err != nil {
		return nil, nil, errors.Join(err, os.Remove(dir))
	}
	return s, func() error { return errors.Join(s.close(), os.Remove(dir)) }, nil
}

// Sums adds up what Merge returned for several partitions. The zero value is that of none.
type Sums struct {
	tally    tally // but Train
	families *interner
	train    sectionCounts
	err      error
}

// Add adds what Merge returned. Outline reports an error.
func (s *Sums) Add(data []byte) {
	var t tally
	if err := decode(data, &t); err != nil {
		s.err = err
	}
	s.add(t)
}

func (s *Sums) add(t tally) {
	s.tally.Merge.add(t.Merge)
	s.tally.Kept += t.Kept
	for i, h := range t.Content {
		s.tally.Content[i] += h
	}
	addTo(&s.tally.Families, t.Families)
	addTo(&s.tally.Sources, t.Sources)
	if s.families == nil {
		s.families = newInterner("families")
	}
	if err := s.train.addList(t.Train, s.families); err != nil {
		s.err = err
	}
}

// whole is the sums with the counts of training rows.
func (s *Sums) whole() tally {
	t := s.tally
	if s.families != nil {
		t.Train = s.train.list(s.families.list)
	}
	return t
}

// Merge adds other sums.
func (s *Sums) Merge(o *Sums) {
	s.add(o.whole())
	if o.err != nil {
		s.err = o.err
	}
}

// Encode gives the sums as bytes.
func (s *Sums) Encode() ([]byte, error) {
	if s.err != nil {
		return nil, s.err
	}
	return encode(s.whole())
}

// DecodeSums is the reverse of Encode.
func DecodeSums(data []byte) (*Sums, error) {
	s := &Sums{}
	s.Add(data)
	return s, s.err
}

// outline is what Write must know.
type outline struct {
	Fingerprint       string
	Families, Sources []string   // dictionaries
	Selected          *Selection // nil if training keeps all its rows
}

// Outline takes the manifest of Conclude and the encoded Sums of all partitions, none if no row came that far. It
// returns the outline for Write, and the manifest so far for Finish.
func (j *Job) Outline(manifest []byte, sums [][]byte) (encoded, after []byte, err error) {
	var m datasets.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		return nil, nil, err
	}
	var all Sums
	for _, data := range sums {
		all.Add(data)
	}
	if all.err != nil {
		return nil, nil, all.err
	}
	var out outline
	t := all.whole()
	if out.Selected, err = reportCleaned(&m, t); err != nil {
		return nil, nil, err
	}
	out.Fingerprint = m.Fingerprint
	for to, words := range map[*[]string]map[string]int64{&out.Families: t.Families, &out.Sources: t.Sources} {
		*to = append(*to, "")
		for w := range words {
			*to = append(*to, w)
		}
		slices.Sort(*to)
	}
	if encoded, err = json.Marshal(out); err == nil {
		after, err = json.Marshal(m)
	}
	return encoded, after, err
}

// written is what Write did.
type written struct {
	Shard   int
	Report  datasets.SplitReport
	HeldOut int64 // rows of held-out families that should not be there
}

// Write writes a shard to a file in dir, from its blocks. The outline is what Outline returned. keys takes the keys in
// the finished file, which Write reads again, by partition. report is for Finish.
func (j *Job) Write(ctx context.Context, encoded []byte, shard int, dir string, next func(*[]byte) bool,
	keys func(part int, block []byte)) (file string, report []byte, err error,
) {
	var o outline
	if err := json.Unmarshal(encoded, &o); err != nil {
		return "", nil, err
	}
	id, k := datasets.SplitID(shard/j.Shards), shard%j.Shards
	from, end := ShardSections(k, j.Shards)
	rows, done, err := j.spill(dir, end-from)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	if err := j.collect(&o, rows, from, next); err != nil {
		return "", nil, err
	}
	s := &sorter{kept: rows, first: from, n: end - from, of: Sections, seed: j.Plan.Seed, workers: j.Workers,
		families: o.Families}
	if id == datasets.TrainSplit {
		s.selected = o.Selected
	}
	out := written{Shard: shard}
	file = id.ShardFile(k, j.Shards)
	if out.Report, err = j.writeFile(ctx, filepath.Join(dir, file), id, &o, s); err != nil {
		return "", nil, err
	}
	f, err := datasets.OpenWritten(dir, out.Report)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	if out.HeldOut, err = scanKeys(ctx, f, id, &j.Plan, j.Partitions, j.keyWriters(keys)); err != nil {
		return "", nil, fmt.Errorf("leak check: %w", err)
	}
	report, err = encode(out)
	return file, report, err
}

// collect puts the rows of blocks where their section is, with numbers of the dictionaries.
func (j *Job) collect(o *outline, rows *spill, from int, next func(*[]byte) bool) error {
	families, sources := internerOf("families", o.Families), internerOf("sources", o.Sources)
	w := rows.writer(spillBuffer(j.Memory, 1, len(rows.parts)))
	var block []byte
	for next(&block) {
		if len(block) == 0 {
			continue // says only that there is such a shard
		}
		data, _, err := decodeBlock(block, families, sources)
		if err != nil {
			return err
		}
		var failed error
		err = decodeRows(data, func(r row) {
			section := SectionOf(r.name, j.Plan.Seed) - from
			if section < 0 || section >= len(rows.parts) {
				failed = errBlock
			} else if err := w.add(section, r); err != nil {
				failed = err
			}
		})
		if err := errors.Join(err, failed); err != nil {
			return err
		}
	}
	if len(families.list) != len(o.Families) || len(sources.list) != len(o.Sources) {
		return errBlock
	}
	return w.flush()
}

// internerOf makes an interner that numbers words, which begin with "", by their place.
func internerOf(what string, words []string) *interner {
	in := newInterner(what)
	for i, w := range words {
		in.ids[w] = uint16(i)
	}
	in.list = slices.Clone(words)
	return in
}

func (j *Job) writeFile(ctx context.Context, path string, id datasets.SplitID, o *outline, s *sorter) (
	datasets.SplitReport, error,
) {
	w, err := datasets.NewSplitWriter(path, o.Families, o.Sources, datasets.SplitMeta{Version: j.Manifest.Version,
		Fingerprint: o.Fingerprint, Split: id, Seed: j.Plan.Seed, Compression: j.Compression}, &datasets.Columns{})
	if err != nil {
		return datasets.SplitReport{}, err
	}
	families, sources := numbers(len(o.Families)), numbers(len(o.Sources))
	err = s.sorted(ctx, func(b *bucketBuffers) error { return w.Append(&b.columns, families, sources) })
	if err == nil {
		err = w.Finish()
	}
	if err != nil {
		w.Abandon()
		return datasets.SplitReport{}, err
	}
	return w.Report(), w.Close()
}

// numbers are 0 to n-1.
func numbers(n int) []uint16 {
	out := make([]uint16, n)
	for i := range out {
		out[i] = uint16(i)
	}
	return out
}

// keyWriters hand keys to emit, one call at a time.
func (j *Job) keyWriters(emit func(part int, block []byte)) (writers []*spillWriter) {
	var mu sync.Mutex
	for range j.Workers {
		to := keyTaker(func(part int, block []byte) {
			mu.Lock()
			defer mu.Unlock()
			emit(part, block)
		})
		writers = append(writers, newSpillWriter(to, j.Partitions, spillBuffer(j.Memory, j.Workers, j.Partitions)))
	}
	return writers
}

// keyTaker is a chunkTaker of keys.
type keyTaker func(part int, block []byte)

func (t keyTaker) buffer(size int) []byte { return make([]byte, 0, size) }

func (t keyTaker) flush(part int, data []byte, _ int64) ([]byte, error) {
	t(part, slices.Clone(data))
	return data[:0], nil
}

// keyCounts is what Keys counted.
type keyCounts struct {
	Rows, Keys, Crossing int64
	Example              uint64 // hash of a key in two splits
}

// Keys counts the keys of a partition, and those that are in two splits.
func (j *Job) Keys(blocks [][]byte) ([]byte, error) {
	var bytes int
	for _, b := range blocks {
		bytes += len(b)
	}
	set := &keySet{}
	set.reset(bytes / 8)
	for _, b := range blocks {
		if err := set.addAll(b); err != nil {
			return nil, err
		}
	}
	return encode(keyCounts{int64(bytes / 8), int64(set.used), set.crossing, set.example})
}

// Finish gives dataset.json: the manifest of Outline with what Write and Keys returned. It is an error if something is
// in two splits. The error has an example if dir, the folder with the shards, is not "".
func (j *Job) Finish(ctx context.Context, manifest []byte, dir string, reports, counts [][]byte) ([]byte, error) {
	m := &datasets.Manifest{}
	if err := json.Unmarshal(manifest, m); err != nil {
		return nil, err
	}
	if len(reports) != j.NumShards() {
		return nil, lost("shards", j.NumShards(), len(reports))
	}
	shards := make([]datasets.SplitReport, j.NumShards())
	m.Leaks.Key = j.Plan.leakKey()
	for _, data := range reports {
		var w written
		if err := decode(data, &w); err != nil {
			return nil, err
		}
		shards[w.Shard] = w.Report
		m.Leaks.HeldOut += w.HeldOut
	}
	for id := range datasets.NumSplits {
		m.Splits = append(m.Splits, datasets.JoinShards(shards[id*j.Shards:(id+1)*j.Shards]))
	}
	if err := checkRows(m); err != nil {
		return nil, err
	}
	var crossing uint64
	var rows int64
	for _, data := range counts {
		var c keyCounts
		if err := decode(data, &c); err != nil {
			return nil, err
		}
		rows += c.Rows
		m.Leaks.Keys += c.Keys
		m.Leaks.Crossing += c.Crossing
		crossing = max(crossing, c.Example)
	}
	if rows != m.Kept {
		return nil, lost("keys", m.Kept, rows)
	}
	example := ""
	for _, s := range m.Splits {
		if crossing != 0 && example == "" && dir != "" {
			var err error
			if example, err = findExample(ctx, dir, s, &j.Plan, crossing); err != nil {
				return nil, fmt.Errorf("leak check: %w", err)
			}
		}
	}
	if err := leaked(&m.Leaks, example); err != nil {
		return nil, err
	}
	return m.Encode()
}
