package prepare

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/formats"
)

// located lists the files in a folder as a runner gets them.
func located(t *testing.T, in string) []formats.Location {
	t.Helper()
	inputs, _, err := formats.Discover(t.Context(), in, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer formats.Close(inputs)
	return formats.Locations(in, inputs)
}

// reread reads a file as a runner's worker does, and returns the rows that were good.
func reread(t *testing.T, l formats.Location) (rows int64) {
	t.Helper()
	r := (&Job{Workers: 1, Partitions: 2, Memory: 64 << 20}).Reader()
	emit := func(_ int, block []byte) {
		_, n, err := decodeBlock(block, newInterner("families"), newInterner("sources"))
		if err != nil {
			t.Error(err)
		}
		rows += n
	}
	if _, err := r.Read(t.Context(), l, t.TempDir(), emit); err != nil {
		t.Fatal(err)
	}
	if err := r.Flush(emit); err != nil {
		t.Fatal(err)
	}
	return rows
}

// Blocks give the rows that went in, whatever the numbers of their words are on either side.
func TestBlocks(t *testing.T) {
	families, sources := newInterner("families"), newInterner("sources")
	var in, out []datasets.Record
	var blocks [][]byte
	w := newSpillWriter(newBlockEncoder(families, sources, func(part int, block []byte) {
		if part != 1 {
			t.Errorf("part %d", part)
		}
		blocks = append(blocks, block)
	}), 2, 512)
	for i := range 200 {
		r := datasets.Record{Name: fmt.Sprintf("name%d.com", i), Class: datasets.Class(i % 3), Weak: i%5 == 0,
			Family: []string{"", "kraken", "necurs", "\xff"}[i/7%4], Source: fmt.Sprint("source", i/50),
			Day: datasets.Day(i % 4)}
		family, _ := families.id(r.Family)
		source, _ := sources.id(r.Source)
		if err := w.add(1, row{r.Name, r.Class, r.Weak, datasets.TestSplit, family, source, r.Day}); err != nil {
			t.Fatal(err)
		}
		in = append(in, r)
	}
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	families, sources = newInterner("families"), newInterner("sources")
	for _, b := range slices.Backward(blocks) { // which gives the words other numbers
		rows, n, err := decodeBlock(b, families, sources)
		if err != nil {
			t.Fatal(err)
		}
		var part []datasets.Record
		if err := decodeRows(rows, func(r row) {
			part = append(part, datasets.Record{Name: strings.Clone(r.name), Class: r.class, Weak: r.weak,
				Family: families.list[r.family], Source: sources.list[r.source], Day: r.day})
		}); err != nil || int(n) != len(part) {
			t.Fatalf("%d rows, %d counted, %v", len(part), n, err)
		}
		out = append(part, out...)
	}
	if len(blocks) < 5 || !slices.Equal(in, out) {
		t.Errorf("%d blocks, %v\nwant %v", len(blocks), out, in)
	}
}

// A damaged block is an error and nothing else: what decodes can be merged.
func FuzzBlock(f *testing.F) {
	w := newSpillWriter(newBlockEncoder(newInterner(""), newInterner(""), func(_ int, b []byte) { f.Add(b) }), 1, 512)
	for _, r := range []row{{name: "a.com"}, {name: "b.org", class: 2, weak: true, hashed: 1, day: 9}} {
		if err := w.add(0, r); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.flush(); err != nil {
		f.Fatal(err)
	}
	f.Add(s2.Encode(nil, []byte{1, 3, 'a', 'b', 'c', 1, 1, 's', 2, 'x', 'y', 1, 1, 0, 1, 0}))
	f.Fuzz(func(t *testing.T, block []byte) {
		families, sources := newInterner("families"), newInterner("sources")
		rows, n, err := decodeBlock(block, families, sources)
		if err != nil {
			if rows, n, err = decodeBlock(s2.Encode(nil, block), families, sources); err != nil {
				return
			}
		}
		var list []row
		if err := decodeRows(rows, func(r row) { list = append(list, r) }); err != nil || int64(len(list)) != n {
			t.Fatalf("%d rows, %d counted, %v", len(list), n, err)
		}
		m := newMerger(&Plan{By: datasets.SplitByFamily}, families.list, sources.list)
		m.settle(list, m.forcedSplits(list))
	})
}

// What a runner loses on the way is an error.
func TestLostOnTheWay(t *testing.T) {
	in, temp := sampleTree(t), t.TempDir()
	for what, lose := range map[string]func(s *steps){
		"":       func(*steps) {},
		"files":  func(s *steps) { s.found = s.found[:len(s.found)-1] },
		"rows":   func(s *steps) { loseOne(s.rows) },
		"kept":   func(s *steps) { loseOne(s.kept) },
		"shards": func(s *steps) { s.reports = s.reports[:max(len(s.reports)-1, 0)] },
		"keys":   func(s *steps) { loseOne(s.keys) },
	} {
		job, files, skipped, err := NewJob(t.Context(), in, temp, Options{Shards: 2, Workers: 2}, 5)
		if err != nil {
			t.Fatal(err)
		}
		s := &steps{job: job, lose: lose}
		_, err = s.run(t, files, skipped)
		if (err == nil) != (what == "") || err != nil && !strings.Contains(err.Error(), "lost") {
			t.Errorf("lost %s: %v", what, err)
		}
	}
}

func loseOne(blocks map[int][][]byte) {
	for key := range blocks {
		delete(blocks, key)
		return
	}
}

// steps is a runner that takes one step of a Job after the other. lose is called after each.
type steps struct {
	job              *Job
	lose             func(*steps)
	rows, kept, keys map[int][][]byte
	found, reports   [][]byte
}

func (s *steps) run(t *testing.T, files []formats.Location, skipped []datasets.Skipped) ([]byte, error) {
	s.rows, s.kept, s.keys = map[int][][]byte{}, map[int][][]byte{}, map[int][][]byte{}
	to := func(m map[int][][]byte) func(int, []byte) {
		return func(key int, block []byte) { m[key] = append(m[key], block) }
	}
	r := s.job.Reader()
	for _, f := range files {
		found, err := r.Read(t.Context(), f, t.TempDir(), to(s.rows))
		if err != nil {
			return nil, err
		}
		s.found = append(s.found, found)
	}
	if err := r.Flush(to(s.rows)); err != nil {
		return nil, err
	}
	s.lose(s)
	plan, manifest, err := s.job.Conclude(skipped, s.found)
	if err != nil {
		return nil, err
	}
	var sums Sums
	for _, blocks := range s.rows {
		counts, err := s.job.Merge(plan, t.TempDir(), iterate(blocks), to(s.kept))
		if err != nil {
			return nil, err
		}
		sums.Add(counts)
	}
	s.lose(s)
	encoded, err := sums.Encode()
	if err != nil {
		return nil, err
	}
	outline, manifest, err := s.job.Outline(manifest, [][]byte{encoded})
	if err != nil {
		return nil, err
	}
	dir := t.TempDir()
	for shard := range s.job.NumShards() {
		_, report, err := s.job.Write(t.Context(), outline, shard, dir, iterate(s.kept[shard]), to(s.keys))
		if err != nil {
			return nil, err
		}
		s.reports = append(s.reports, report)
	}
	s.lose(s)
	var counts [][]byte
	for _, blocks := range s.keys {
		c, err := s.job.Keys(blocks)
		if err != nil {
			return nil, err
		}
		counts = append(counts, c)
	}
	return s.job.Finish(t.Context(), manifest, dir, s.reports, counts)
}

// iterate gives blocks as a runner does.
func iterate(blocks [][]byte) func(*[]byte) bool {
	return func(b *[]byte) bool {
		if len(blocks) == 0 {
			return false
		}
		*b, blocks = blocks[0], blocks[1:]
		return true
	}
}
