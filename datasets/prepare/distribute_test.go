package prepare

import (
	"fmt"
	"slices"
	"strings"
	"testing"

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
	f.Add([]byte{1, 3, 'a', 'b', 'c', 1, 1, 's', 2, 'x', 'y', 1, 1, 0, 1, 0})
	f.Fuzz(func(t *testing.T, block []byte) {
		families, sources := newInterner("families"), newInterner("sources")
		rows, n, err := decodeBlock(block, families, sources)
		if err != nil {
			return
		}
		var list []row
		if err := decodeRows(rows, func(r row) { list = append(list, r) }); err != nil || int64(len(list)) != n {
			t.Fatalf("%d rows, %d counted, %v", len(list), n, err)
		}
		m := newMerger(&Plan{By: datasets.SplitByFamily}, families.list, sources.list)
		m.settle(list, m.forcedSplits(list))
	})
}
