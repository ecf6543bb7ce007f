package trainer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/gonum/integrate"
	"gonum.org/v1/gonum/stat"

	"github.com/degas-dns/degas/datasets"
)

// written is a split of n rows on disk, in so many shards: benign names and those of three families, of two sources.
// Name i begins with "ni.".
func written(t testing.TB, n, shards int) *datasets.Split {
	t.Helper()
	dir, words := t.TempDir(), []string{"", "a", "b", "c"}
	report := datasets.SplitReport{Name: "train", Rows: int64(n)}
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	for shard := range shards {
		var rows, batch datasets.Columns
		rows.Reset(n, 24*n)
		for i := shard * n / shards; i < (shard+1)*n/shards; i++ {
			class, family, source := datasets.Benign, uint16(0), uint16(1)
			if rng.IntN(2) == 0 {
				class, family = datasets.DGA, uint16(1+rng.IntN(3))
			}
			if rng.IntN(20) == 0 {
				source = 2
			}
			rows.Append(fmt.Sprintf("n%d.%s%d.co.uk", i, strings.Repeat("x", rng.IntN(9)), i%50), class, family, source)
		}
		path := filepath.Join(dir, fmt.Sprintf("train-%d.arrow", shard))
		w, err := datasets.NewSplitWriter(path, words, []string{"", "lists", "console"}, datasets.SplitMeta{}, &batch)
		if err != nil {
			t.Fatal(err)
		}
		same := []uint16{0, 1, 2, 3}
		if err := errors.Join(w.Append(&rows, same, same), w.Finish(), w.Close()); err != nil {
			t.Fatal(err)
		}
		r := w.Report()
		report.Shards = append(report.Shards,
			datasets.SplitFile{File: r.File, Rows: r.Rows, Bytes: r.Bytes, SHA256: r.SHA256})
	}
	split, err := datasets.OpenWritten(dir, report)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { split.Close() })
	return split
}

func choose(t testing.TB, split *datasets.Split, c Choice, blockLen int) *rows {
	t.Helper()
	r, err := chooseRows(t.Context(), split, TargetFamily, []string{"benign", "a", "b", "c"}, c, blockLen)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// epochOf lists an epoch's names as "name label weight".
func epochOf(t *testing.T, names Names, epoch int) (out []string) {
	t.Helper()
	weights := names.shared().weights(4, WeightFamily)
	for p, err := range names.Portions(t.Context(), 1, epoch) {
		if err != nil {
			t.Fatal(err)
		}
		if p.from != len(out) {
			t.Fatalf("a portion begins at %d of the epoch, and says %d", len(out), p.from)
		}
		places := make([]uint32, 7)
		for from := 0; from < p.Len(); from += len(places) {
			for _, at := range p.order(places, from) {
				out = append(out, fmt.Sprintf("%s %d %v", p.Name(int(at)), p.Label(int(at)), weights[p.kindOf[at]]))
			}
		}
	}
	return out
}

// Every name comes once an epoch, with the label and the weight that it has in memory, in an order of its own, which
// depends on the seed, the epoch, the blocks and the size of the portions alone.
func TestStreamHasEveryNameOnce(t *testing.T) {
	for _, n := range []int{1, 2, 300, 3000, datasets.BatchRows + 500} {
		split, blockLens := written(t, n, 1), []int{1 + n/40, 1000, datasets.BatchRows}
		if n > datasets.BatchRows {
			blockLens = []int{3000}
		}
		for _, c := range []Choice{{}, {Limit: n/3 + 1, Seed: 7}, {Limit: n / 5, Seed: 3, Focus: "console", Repeat: 4}} {
			set, err := ReadSet(t.Context(), split, TargetFamily, []string{"benign", "a", "b", "c"}, c)
			if err != nil {
				t.Fatal(err)
			}
			want := epochOf(t, set, 1)
			slices.Sort(want)
			for _, blockLen := range blockLens {
				for _, memory := range []int64{1, int64(n) * 100, int64(n) * 1000} {
					s := choose(t, split, c, blockLen).stream(memory)
					what := fmt.Sprintf("%d rows, %+v, blocks of %d, %d portions", n, c, blockLen, s.portions)
					got := epochOf(t, s, 1)
					if s.Len() != set.Len() || len(got) != s.Len() {
						t.Fatalf("%s: %d names of %d, in memory %d", what, len(got), s.Len(), set.Len())
					}
					again, next := epochOf(t, s, 1), epochOf(t, s, 2)
					if !slices.Equal(got, again) {
						t.Errorf("%s: another order for the same epoch", what)
					}
					if n >= 300 && slices.Equal(got, next) {
						t.Errorf("%s: the same order in the next epoch", what)
					}
					for _, names := range [][]string{got, next} {
						if slices.Sort(names); !slices.Equal(names, want) {
							t.Errorf("%s: other names than in memory", what)
						}
					}
				}
			}
		}
	}
}

// The order does not depend on processors, nor on how fast names are taken.
func TestStreamOrderIsFixed(t *testing.T) {
	s := choose(t, written(t, 20000, 1), Choice{}, 500).stream(1 << 18)
	want := epochOf(t, s, 3)
	for _, procs := range []int{1, 8} {
		was := runtime.GOMAXPROCS(procs)
		var got []string
		for p, err := range s.Portions(t.Context(), 1, 3) {
			if err != nil {
				t.Fatal(err)
			}
			for i, at := range p.order(make([]uint32, p.Len()), 0) {
				got = append(got, strings.Clone(p.Name(int(at))))
				if i%5000 == procs {
					time.Sleep(time.Millisecond)
				}
			}
		}
		runtime.GOMAXPROCS(was)
		if len(got) != len(want) {
			t.Fatalf("%d names, want %d", len(got), len(want))
		}
		for i := range got {
			if name, _, _ := strings.Cut(want[i], " "); got[i] != name {
				t.Fatalf("%d processors: name %d is %s, want %s", procs, i, got[i], name)
			}
		}
	}
}

// Files in shards give the order of a single file.
func TestStreamOfShards(t *testing.T) {
	const n = 60
	for _, c := range []Choice{{}, {Limit: 20, Seed: 7, Focus: "console", Repeat: 2}} {
		want := epochOf(t, choose(t, written(t, n, 1), c, 3).stream(1000), 1)
		for _, shards := range []int{2, 7, n + 10} { // some without rows
			if got := epochOf(t, choose(t, written(t, n, shards), c, 3).stream(1000), 1); !slices.Equal(got, want) {
				t.Errorf("%+v: another order in %d shards", c, shards)
			}
		}
	}
}

// An epoch is well mixed: where a name comes says little about where it lies, and a batch has names from about as many
// blocks as there are in a portion.
func TestStreamMixes(t *testing.T) {
	const n, blockLen, batch = 64000, 500, 256
	s := choose(t, written(t, n, 1), Choice{}, blockLen).stream(8 * blockLen * 8 * 32)
	if perPortion := len(s.blocks) / s.portions; perPortion < 5 || perPortion > 20 {
		t.Fatalf("%d portions of %d blocks", s.portions, len(s.blocks))
	}
	var position, lies []float64
	blocks, batches, seen := 0, 0, map[int]bool{}
	for i, name := range epochOf(t, s, 1) {
		var at int
		if _, err := fmt.Sscanf(name, "n%d.", &at); err != nil {
			t.Fatal(err)
		}
		position, lies = append(position, float64(i)), append(lies, float64(at))
		if seen[at/blockLen] = true; i%batch == batch-1 {
			blocks, batches, seen = blocks+len(seen), batches+1, map[int]bool{}
		}
	}
	// A random order of 128 blocks has a standard deviation of 0.09.
	if c := stat.Correlation(position, lies, nil); math.Abs(c) > 0.2 {
		t.Errorf("the place in the epoch and that on disk have a correlation of %.2f", c)
	}
	if mean, most := float64(blocks)/float64(batches), float64(len(s.blocks))/float64(s.portions); mean < 0.9*most {
		t.Errorf("a batch has names of %.1f blocks, a portion of %.1f", mean, most)
	}
}

// A consumer that stops early, an error and a context that ends leave the memory of portions for the next epoch.
func TestStreamEndsEarly(t *testing.T) {
	split := written(t, 5000, 1)
	s := choose(t, split, Choice{}, 100).stream(1 << 16)
	for range 3 {
		for range s.Portions(t.Context(), 1, 1) {
			break
		}
		ctx, cancel := context.WithCancel(t.Context())
		for range s.Portions(ctx, 1, 1) {
			cancel()
		}
		cancel()
	}
	if n := len(epochOf(t, s, 1)); n != 5000 || len(s.spare) != 2 {
		t.Errorf("%d names, memory for %d portions", n, len(s.spare))
	}
	s.blocks[7].text++
	failed := 0
	for _, err := range s.Portions(t.Context(), 1, 1) {
		if err != nil && strings.Contains(err.Error(), "have changed") {
			failed++
		}
	}
	if failed != 1 || len(s.spare) != 2 {
		t.Errorf("%d errors for names that changed, memory for %d portions", failed, len(s.spare))
	}
	s.blocks[7].text--
	if s.Close(); len(s.spare) != 2 {
		t.Error("memory is missing")
	}
	for _, err := range s.Portions(t.Context(), 1, 1) {
		if err == nil {
			t.Error("names of a closed file")
		}
	}
}

// Suffixes are those of all names, though few are in memory.
func TestStreamSuffixes(t *testing.T) {
	r := choose(t, written(t, 3000, 1), Choice{Limit: 1000, Seed: 1}, 50)
	set, err := r.set(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(set.suffixes())
	if err := r.findSuffixes(t.Context()); err != nil || !slices.Equal(r.suffixes(), want) || len(want) == 0 {
		t.Errorf("%v, %v, want %v", r.suffixes(), err, want)
	}
}

// auc gives to the last bit what gonum's functions give.
func TestAUC(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		scores, positive := make([]float64, n), make([]bool, n)
		for i := range scores {
			scores[i] = float64(float32(rng.Float64()))
			if n%2 == 0 {
				scores[i] = float64(rng.IntN(1+n/4)) / 10 // ties
			}
			positive[i] = rng.IntN(3) == 0
		}
		want := 0.0
		if slices.Contains(positive, true) && slices.Contains(positive, false) {
			s, p := slices.Clone(scores), slices.Clone(positive)
			stat.SortWeightedLabeled(s, p, nil)
			tpr, fpr, _ := stat.ROC(nil, s, p, nil)
			want = integrate.Trapezoidal(fpr, tpr)
		}
		if got := auc(scores, positive); got != want {
			t.Fatalf("%d scores: %v, want %v", n, got, want)
		}
	}
}

func TestMemoryOption(t *testing.T) {
	for text, want := range map[string]int64{"": 2 << 30, "0": 0, "64MiB": 64 << 20, "1G": 1 << 30} {
		o := DefaultOptions()
		if o.Memory = text; o.Resolve() != nil || o.bound() != want {
			t.Errorf("%q: %d", text, o.bound())
		}
	}
	for _, wrong := range []string{"1KiB", "many", "-1"} {
		o := DefaultOptions()
		o.Memory = wrong
		if err := o.Resolve(); err == nil || !strings.Contains(err.Error(), "memory \""+wrong) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	for memory, want := range map[int64]int{0: datasets.BatchRows, 2 << 30: datasets.BatchRows, 1 << 20: 256} {
		if got := blockLen(memory); got != want {
			t.Errorf("blocks of %d rows in %d bytes, want %d", got, memory, want)
		}
	}
}

// What reading an epoch takes, without training: names/s, and bytes of garbage a name.
func BenchmarkStream(b *testing.B) {
	const n = 1 << 20
	s := choose(b, written(b, n, 1), Choice{}, datasets.BatchRows).stream(64 << 20)
	b.ReportAllocs()
	for epoch := 0; b.Loop(); epoch++ {
		for p, err := range s.Portions(b.Context(), 1, epoch) {
			if err != nil || p.Len() == 0 {
				b.Fatal(p.Len(), err)
			}
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "names/s")
}
