package prepare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
)

// names lists the files of a folder that are not hidden.
func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			out = append(out, e.Name())
		}
	}
	return out
}

// Shards one behind the other are the single file: the same rows, counts and fingerprint, whatever the split.
func TestShardsAreTheSameDataSet(t *testing.T) {
	in, dated := sampleTree(t), datedTree(t)
	for i, tc := range []struct {
		in     string
		o      Options
		shards int
	}{
		{in, Options{Seed: 1}, 3},
		{in, Options{Seed: 2, Split: datasets.SplitRandom, Compression: "zstd"}, 1},
		{in, Options{Seed: 3, Split: datasets.SplitByFamily}, 8},
		{in, Options{Seed: 4, Split: datasets.SplitBySource}, 5},
		{dated, Options{Seed: 5, Split: datasets.SplitByDate}, 7},
		{in, Options{Seed: 6, HoldoutFamilies: []string{"tinba"}}, 100},
		{in, Options{Seed: 7, Balance: datasets.BalanceBinary}, 3},
		{in, Options{Seed: 8, Balance: datasets.BalanceClass, CapFamily: 200}, 4},
		{in, Options{Seed: 9, CapFamily: 100, Test: -1, Validation: -1}, 2},
	} {
		if testing.Short() && i%4 > 0 { // enough for the race detector
			continue
		}
		t.Run(fmt.Sprint(tc.o.Split, tc.o.Balance, tc.shards), func(t *testing.T) {
			one, many, same := t.TempDir(), t.TempDir(), t.TempDir()
			want := mustProcess(t, tc.in, one, tc.o)
			tc.o.Shards = tc.shards
			got := mustProcess(t, tc.in, many, tc.o)
			if got.Fingerprint != want.Fingerprint || got.Kept != want.Kept || got.Leaks != want.Leaks {
				t.Errorf("%.8s, %d rows, %+v, want %.8s, %d, %+v", got.Fingerprint, got.Kept, got.Leaks,
					want.Fingerprint, want.Kept, want.Leaks)
			}
			if files, want := names(t, many), datasets.FileNames(tc.shards); len(files) != len(want) {
				t.Errorf("files %q, want %q", files, want)
			}
			for _, split := range datasets.SplitNames() {
				a, b := want.Split(split), got.Split(split)
				if !maps.Equal(a.ByClass, b.ByClass) || !maps.Equal(a.ByFamily, b.ByFamily) ||
					!maps.Equal(a.BySource, b.BySource) || len(b.Shards) != tc.shards || b.File != "" {
					t.Errorf("%s: %+v, want %+v", split, b, a)
				}
				if !slices.Equal(splitRows(t, one, split), splitRows(t, many, split)) {
					t.Errorf("%s: other rows in shards", split)
				}
			}
			tc.o.Workers, tc.o.Memory = 1, 64<<20
			mustProcess(t, tc.in, same, tc.o)
			for _, name := range names(t, many) {
				a, err := os.ReadFile(filepath.Join(many, name))
				b, errB := os.ReadFile(filepath.Join(same, name))
				if err := errors.Join(err, errB); err != nil || string(a) != string(b) {
					t.Errorf("%s depends on workers or memory: %v", name, err)
				}
			}
		})
	}
}

// A row is in the shard that its section says, so whoever writes a shard knows its rows.
func TestShardsHoldTheirSections(t *testing.T) {
	for _, n := range []int{1, 3, 8, 1000, Sections} {
		last := 0
		for section := range Sections {
			k := ShardOf(section, n)
			if from, end := ShardSections(k, n); section < from || section >= end || k < last || k > last+1 {
				t.Fatalf("section %d of %d shards is in shard %d: %d to %d", section, n, k, from, end)
			}
			last = k
		}
		if last != n-1 {
			t.Errorf("%d shards, the last is %d", n, last)
		}
	}
	out := t.TempDir()
	m := mustProcess(t, sampleTree(t), out, Options{Seed: 3, Shards: 6})
	for _, split := range datasets.SplitNames() {
		at := int64(0)
		rows := splitRows(t, out, split)
		for k, f := range m.Split(split).Shards {
			for _, r := range rows[at : at+f.Rows] {
				if got := ShardOf(SectionOf(r.Name, 3), 6); got != k {
					t.Fatalf("%s: %s is in shard %d, want %d", split, r.Name, k, got)
				}
			}
			at += f.Rows
		}
	}
}

// Workers that each have some sections, and a Selection that came as JSON, choose what Run chooses.
func TestSelectionBySections(t *testing.T) {
	in, plain := sampleTree(t), t.TempDir()
	mustProcess(t, in, plain, Options{Seed: 5})
	train := splitRows(t, plain, "train")
	parts := make([][]placed, 3) // as merging leaves them: in any order
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(train)) {
		parts[i%3] = append(parts[i%3], train[i])
	}
	var counts [3]Sums
	for i, p := range parts {
		counts[i].add(tally{Train: countSections(p, 5)})
	}
	counts[2].Merge(&counts[0])
	counts[2].Merge(&counts[1])
	encoded, err := counts[2].Encode()
	if err != nil {
		t.Fatal(err)
	}
	all, err := DecodeSums(encoded)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{CapFamily: 100}, {Balance: datasets.BalanceBinary},
		{Balance: datasets.BalanceClass, CapFamily: 150}} {
		o.Seed = 5
		thinned := t.TempDir()
		m := mustProcess(t, in, thinned, o)
		planned, err := NewSelection(o, all.whole().Train)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(planned)
		if err != nil {
			t.Fatal(err)
		}
		var s Selection
		if err := json.Unmarshal(data, &s); err != nil {
			t.Fatal(err)
		}
		if s.Capped != m.Capped || s.Balanced != m.Balanced {
			t.Errorf("%d over the cap, %d balanced out, want %d and %d", s.Capped, s.Balanced, m.Capped, m.Balanced)
		}
		families := newInterner("families")
		bySection := make([][]placed, Sections)
		for _, r := range train {
			if _, err := families.id(r.Family); err != nil {
				t.Fatal(err)
			}
			section := SectionOf(r.Name, 5)
			bySection[section] = append(bySection[section], r)
		}
		chooser := s.Chooser(families.list)
		for section := Sections - 1; section >= 0; section-- {
			bySection[section] = slices.DeleteFunc(bySection[section], func(r placed) bool {
				family, _ := families.id(r.Family)
				return !chooser.Keeps(section, r.Class, family, r.Name)
			})
		}
		if got := slices.Concat(bySection...); !slices.Equal(got, splitRows(t, thinned, "train")) {
			t.Errorf("%+v: %d rows or other ones, want %d", o, len(got), m.Split("train").Rows)
		}
	}
}

// No section gives more than it has, and together they give what is needed, spread evenly.
func TestDeal(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		rows, all := make([]uint32, 1+r.IntN(50)), int64(0)
		for i := range rows {
			rows[i] = r.Uint32() >> r.IntN(32)
			all += int64(rows[i])
		}
		if all == 0 {
			continue
		}
		need, got, so := r.Int64N(all+1), int64(0), int64(0)
		for i, n := range deal(rows, need, all) {
			if n > rows[i] {
				t.Fatalf("%d of %d rows", n, rows[i])
			}
			got, so = got+int64(n), so+int64(rows[i])
			if want := float64(so) * float64(need) / float64(all); float64(got) < want-1 || float64(got) > want+1 {
				t.Fatalf("%d up to section %d, want %g", got, i, want)
			}
		}
		if got != need {
			t.Fatalf("%d taken of %d needed", got, need)
		}
	}
}

// Whoever changes the layout leaves no file of the old one, and no file of a stranger is lost.
func TestChangeOfLayout(t *testing.T) {
	in, out := sampleTree(t), t.TempDir()
	note := filepath.Join(out, "notes.txt")
	if err := os.WriteFile(note, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, shards := range []int{0, 8, 3, 0} {
		mustProcess(t, in, out, Options{Shards: shards})
		want := append(datasets.FileNames(shards), "notes.txt")
		slices.Sort(want)
		if got := names(t, out); !slices.Equal(got, want) {
			t.Errorf("%d shards: %q, want %q", shards, got, want)
		}
	}
	strange := filepath.Join(out, "train-00000-of-00003.arrow")
	if err := os.WriteFile(strange, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, shards := range []int{0, 3} {
		_, err := Run(t.Context(), in, out, Options{Shards: shards})
		if err == nil || !strings.Contains(err.Error(), "train-00000-of-00003.arrow, which its dataset.json does not list") {
			t.Errorf("%d shards: %v", shards, err)
		}
	}
}

// A process that is killed at any step of a change of layout leaves the old version, or what the next reader makes the
// new one of.
func TestKilledChangeOfLayout(t *testing.T) {
	in := sampleTree(t)
	version := map[int]string{0: t.TempDir(), 2: t.TempDir(), 3: t.TempDir()}
	for shards, dir := range version {
		mustProcess(t, in, dir, Options{Shards: shards})
	}
	for _, tc := range []struct{ from, to int }{{0, 2}, {2, 0}, {3, 2}, {2, 3}} {
		files, old := datasets.FileNames(tc.to), datasets.FileNames(tc.from)
		old = slices.DeleteFunc(old, func(name string) bool { return slices.Contains(files, name) })
		// Steps: files move, but dataset.json; old files go; dataset.json moves.
		for step := range len(files) + len(old) + 1 {
			out := t.TempDir()
			ready := filepath.Join(out, ".degas-process-ready")
			if err := errors.Join(os.CopyFS(out, os.DirFS(version[tc.from])), os.CopyFS(ready,
				os.DirFS(version[tc.to]))); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(ready, ".degas.lock")); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			for i := range step {
				var err error
				if i < len(files)-1 {
					err = os.Rename(filepath.Join(ready, files[i]), filepath.Join(out, files[i]))
				} else if i -= len(files) - 1; i < len(old) {
					err = os.Remove(filepath.Join(out, old[i]))
				} else {
					err = os.Rename(filepath.Join(ready, datasets.ManifestName), filepath.Join(out, datasets.ManifestName))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, split := range datasets.SplitNames() {
				if !slices.Equal(splitRows(t, out, split), splitRows(t, version[0], split)) {
					t.Fatalf("%v, killed before step %d: other rows", tc, step)
				}
			}
			want := slices.Clone(files)
			slices.Sort(want)
			if got := names(t, out); !slices.Equal(got, want) {
				t.Errorf("%v, killed before step %d: %q is left", tc, step, got)
			}
		}
	}
}

// What is wrong with shards is said with the file's name, before anything parses them.
func TestDamagedShards(t *testing.T) {
	in, out := sampleTree(t), t.TempDir()
	m := mustProcess(t, in, out, Options{Shards: 3})
	shard := func(k int) string { return filepath.Join(out, datasets.TrainSplit.ShardFile(k, 3)) }
	keep := t.TempDir()
	restore := func() {
		t.Helper()
		if err := os.RemoveAll(out); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(out, os.DirFS(keep)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(keep, os.DirFS(out)); err != nil {
		t.Fatal(err)
	}
	change := func(f func(m *datasets.Manifest, train *datasets.SplitReport)) func() error {
		return func() error {
			changed := *m
			changed.Splits = slices.Clone(m.Splits)
			changed.Splits[0].Shards = slices.Clone(m.Splits[0].Shards)
			f(&changed, &changed.Splits[0])
			data, err := changed.Encode()
			return errors.Join(err, os.WriteFile(filepath.Join(out, datasets.ManifestName), data, 0o644))
		}
	}
	for _, tc := range []struct {
		name   string
		damage func() error
		want   string
	}{
		{"a byte", func() error {
			data, err := os.ReadFile(shard(1))
			data[len(data)/2] ^= 1
			return errors.Join(err, os.WriteFile(shard(1), data, 0o644))
		}, "train-00001-of-00003.arrow is damaged"},
		{"cut", func() error { return os.Truncate(shard(2), 100) }, "train-00002-of-00003.arrow has 100 bytes"},
		{"missing", func() error { return os.Remove(shard(1)) }, "train-00001-of-00003.arrow: no such file"},
		{"renamed", func() error { return os.Rename(shard(0), shard(0)+".old") },
			"train-00000-of-00003.arrow: no such file"},
		{"two for each other", func() error {
			return errors.Join(os.Rename(shard(0), shard(0)+"x"), os.Rename(shard(1), shard(0)),
				os.Rename(shard(0)+"x", shard(1)))
		}, "train-00000-of-00003.arrow"},
		{"a folder", func() error { return errors.Join(os.Remove(shard(0)), os.Mkdir(shard(0), 0o755)) },
			"train-00000-of-00003.arrow"},
		{"two swapped", change(func(_ *datasets.Manifest, s *datasets.SplitReport) {
			s.Shards[0], s.Shards[1] = s.Shards[1], s.Shards[0]
		}), `shard 0 of 3 is "train-00001-of-00003.arrow", not "train-00000-of-00003.arrow"`},
		{"swapped but for the names", change(func(_ *datasets.Manifest, s *datasets.SplitReport) {
			a, b := &s.Shards[0], &s.Shards[1]
			*a, *b = *b, *a
			a.File, b.File = b.File, a.File
		}), "the SHA-256 of its shards' list"},
		{"one missing from the list", change(func(_ *datasets.Manifest, s *datasets.SplitReport) {
			s.Shards = s.Shards[:2]
		}), `not "train-00000-of-00002.arrow"`},
		{"one twice", change(func(_ *datasets.Manifest, s *datasets.SplitReport) { s.Shards[1] = s.Shards[0] }),
			`shard 1 of 3 is "train-00000-of-00003.arrow"`},
		{"outside", change(func(_ *datasets.Manifest, s *datasets.SplitReport) {
			s.Shards[0].File = "../" + s.Shards[0].File
		}), "outside"},
		{"5,000", change(func(_ *datasets.Manifest, s *datasets.SplitReport) {
			s.Shards = nil
			for k := range 5000 {
				s.Shards = append(s.Shards, datasets.SplitFile{File: datasets.TrainSplit.ShardFile(k, 5000)})
			}
		}), "5000 shards, at most 4096"},
		{"negative rows", change(func(_ *datasets.Manifest, s *datasets.SplitReport) {
			s.Shards[0].Rows, s.Shards[1].Rows = -1, s.Shards[1].Rows+s.Shards[0].Rows+1
		}), "train-00000-of-00003.arrow: -1 rows"},
		{"more rows", change(func(_ *datasets.Manifest, s *datasets.SplitReport) { s.Shards[0].Rows++ }),
			"its shards do not add up"},
		{"bytes that wrap", change(func(_ *datasets.Manifest, s *datasets.SplitReport) {
			s.Shards[0].Bytes = 1<<63 - 1
		}), "its shards do not add up"},
		{"a file too", change(func(_ *datasets.Manifest, s *datasets.SplitReport) { s.File = "train.arrow" }),
			`it has the file "train.arrow" and 3 shards`},
	} {
		restore()
		if err := tc.damage(); err != nil {
			t.Fatal(err)
		}
		_, err := datasets.Open(t.Context(), out, "train")
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), out) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	restore()
	extra := filepath.Join(out, datasets.TrainSplit.ShardFile(0, 4)) // is none of the data set's
	if err := os.WriteFile(extra, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if rows := splitRows(t, out, "train"); int64(len(rows)) != m.Split("train").Rows {
		t.Errorf("%d rows with a stranger's file, want %d", len(rows), m.Split("train").Rows)
	}
}

// Shards that are no part of one data set are refused, even if dataset.json lists them.
func TestShardsOfTwoDataSets(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	a := mustProcess(t, sampleTree(t), dir, Options{Shards: 2})
	b := mustProcess(t, tree(t, map[string]string{"dga/a.txt": "a.com\nb.com\nc.com\n"}), other,
		Options{Shards: 2, Test: -1, Validation: -1})
	file := datasets.TrainSplit.ShardFile(1, 2)
	if err := os.Rename(filepath.Join(other, file), filepath.Join(dir, file)); err != nil {
		t.Fatal(err)
	}
	first, second := *a.Split("train"), *b.Split("train")
	first.Shards, second.Shards = first.Shards[:1], second.Shards[1:]
	for _, s := range []*datasets.SplitReport{&first, &second} {
		s.Rows, s.Bytes = s.Shards[0].Rows, s.Shards[0].Bytes
	}
	_, err := datasets.OpenWritten(dir, datasets.JoinShards([]datasets.SplitReport{first, second}))
	if err == nil || !strings.Contains(err.Error(), file+": its families or sources are not those of") {
		t.Errorf("error %v", err)
	}
}

// More files than may have an Arrow reader at a time are read from anywhere, by several goroutines.
func TestManyShardsAtOnce(t *testing.T) {
	out := t.TempDir()
	mustProcess(t, sampleTree(t), out, Options{Shards: 64})
	want := splitRows(t, out, "train")
	s, err := datasets.Open(t.Context(), out, "train")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.NumBatches() != 64 {
		t.Errorf("%d batches", s.NumBatches())
	}
	batches := make([][]string, s.NumBatches())
	done := make(chan error)
	for w := range 8 {
		go func() {
			var failed error
			for _, i := range rand.New(rand.NewPCG(uint64(w), 0)).Perm(s.NumBatches()) {
				var b datasets.Batch
				failed = errors.Join(failed, s.Read(t.Context(), i, &b))
				if w == 0 {
					batches[i] = b.Names
				}
			}
			done <- failed
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for i, name := range slices.Concat(batches...) {
		if name != want[i].Name {
			t.Fatalf("row %d is %s, want %s", i, name, want[i].Name)
		}
	}
}

// countSections counts the rows of the training split by class, family and section.
func countSections(rows []placed, seed uint64) []SectionRows {
	families := newInterner("families")
	var c sectionCounts
	for _, r := range rows {
		if r.Split == datasets.TrainSplit {
			family, _ := families.id(r.Family)
			c.add(groupOf(r.Class, family), SectionOf(r.Name, seed), 1)
		}
	}
	return c.list(families.list)
}
