package prepare

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
)

// placed is a record that is kept, and its split.
type placed struct {
	datasets.Record
	Split datasets.SplitID
}

// mergePartition is what a merger does, for records. Those that are kept come in order of name.
func mergePartition(records []datasets.Record, p *Plan) ([]placed, MergeStats) {
	families, sources := newInterner("families"), newInterner("sources")
	rows := make([]row, len(records))
	for i, r := range records {
		rows[i] = row{name: r.Name, class: r.Class, weak: r.Weak, hashed: p.hashed(p.hash(p.group(r.Name))), day: r.Day}
		// Past 32,767 families the surplus has none; process-data refuses such input before it gets here.
		rows[i].family, _ = families.id(r.Family)
		rows[i].source, _ = sources.id(r.Source)
	}
	m := newMerger(p, families.list, sources.list)
	kept, placements, stats := m.settle(rows, m.forcedSplits(rows))
	out := make([]placed, len(kept))
	for i, r := range kept {
		out[i] = placed{Split: placements[i].split, Record: datasets.Record{Name: r.name, Class: r.class, Weak: r.weak,
			Family: families.list[r.family], Source: sources.list[r.source], Day: r.day}}
	}
	slices.SortFunc(out, func(a, b placed) int { return strings.Compare(a.Name, b.Name) })
	return out, stats
}

func TestMergePartition(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   []datasets.Record
		want string // name class family source, …
		st   MergeStats
	}{
		{"empty", nil, "", MergeStats{}},
		{"duplicates keep the first source and the more specific family",
			[]datasets.Record{{Name: "a.com", Class: datasets.DGA, Family: "kraken", Source: "z"},
				{Name: "a.com", Class: datasets.DGA, Family: "kraken_v1", Source: "y"},
				{Name: "a.com", Class: datasets.DGA, Source: "x"}},
			"a.com dga kraken_v1 x", MergeStats{Duplicates: 2, FamilyMerges: 1}},
		{"both labels", []datasets.Record{{Name: "a.com", Class: datasets.DGA}, {Name: "a.com"}, {Name: "b.com"}},
			"b.com benign  ", MergeStats{ConflictNames: 1, ConflictRows: 2, ConflictBenign: 1, Conflicts: []string{"a.com"}}},
		{"dga and tunnel", []datasets.Record{{Name: "a.com", Class: datasets.DGA}, {Name: "a.com", Class: datasets.Tunnel},
			{Name: "a.com", Class: datasets.DGA}},
			"", MergeStats{ConflictNames: 1, ConflictRows: 3, Conflicts: []string{"a.com"}}},
		{"a weak label yields", []datasets.Record{{Name: "a.com", Class: datasets.DGA, Weak: true,
			Family: datasets.BlocklistFamily, Source: "a"},
			{Name: "a.com", Source: "b"}, {Name: "a.com", Class: datasets.DGA, Weak: true, Family: datasets.BlocklistFamily,
				Source: "a"}},
			"a.com benign  b", MergeStats{Overridden: 2}},
		{"a weak label alone stays", []datasets.Record{{Name: "a.com", Class: datasets.DGA, Weak: true,
			Family: datasets.BlocklistFamily, Source: "a"},
			{Name: "a.com", Class: datasets.DGA, Weak: true, Family: datasets.BlocklistFamily, Source: "a"}},
			"a.com dga blocklist a", MergeStats{Duplicates: 1}},
		{"a strong label of the same class names the family", []datasets.Record{{Name: "a.com", Class: datasets.DGA,
			Weak: true, Family: datasets.BlocklistFamily, Source: "a"},
			{Name: "a.com", Class: datasets.DGA, Family: "zeus", Source: "b"}},
			"a.com dga zeus b", MergeStats{Overridden: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for range 5 {
				rand.Shuffle(len(tc.in), func(i, j int) { tc.in[i], tc.in[j] = tc.in[j], tc.in[i] })
				kept, st := mergePartition(tc.in, &Plan{By: datasets.SplitByDomain, Test: 0.1})
				var got []string
				for _, r := range kept {
					got = append(got, fmt.Sprintf("%s %s %s %s", r.Name, r.Class, r.Family, r.Source))
				}
				if g := strings.Join(got, ", "); g != tc.want {
					t.Errorf("kept %q, want %q", g, tc.want)
				}
				if fmt.Sprint(st) != fmt.Sprint(tc.st) {
					t.Errorf("stats %+v, want %+v", st, tc.st)
				}
			}
		})
	}
}

// A held-out family takes its registered domains along, whatever else they hold.
func TestMergePartitionHoldsOutDomains(t *testing.T) {
	var in []datasets.Record
	for i := range 200 {
		in = append(in, datasets.Record{Name: fmt.Sprintf("a.d%d.com", i), Class: datasets.DGA, Family: "kraken_v1"},
			datasets.Record{Name: fmt.Sprintf("b.d%d.com", i), Class: datasets.Benign},
			datasets.Record{Name: fmt.Sprintf("e%d.com", i), Class: datasets.Benign})
	}
	kept, _ := mergePartition(in, &Plan{By: datasets.SplitByDomain, Test: 0.1, Validation: 0.1,
		Holdout: []string{"kraken"}})
	others := map[datasets.SplitID]int{}
	for _, r := range kept {
		if strings.Contains(r.Name, ".d") && r.Split != datasets.TestSplit {
			t.Fatalf("%s is in %s", r.Name, r.Split)
		}
		others[r.Split]++
	}
	if others[datasets.TrainSplit] < 100 || others[datasets.ValidationSplit] == 0 {
		t.Errorf("splits %v", others)
	}
}

// A source for training takes its registered domains along, but for those of a held-out family.
func TestMergePartitionTrainsOnly(t *testing.T) {
	var in []datasets.Record
	for i := range 200 {
		in = append(in, datasets.Record{Name: fmt.Sprintf("a.made%d.com", i), Source: "generated"},
			datasets.Record{Name: fmt.Sprintf("b.made%d.com", i), Source: "seen"},
			datasets.Record{Name: fmt.Sprintf("a.held%d.com", i), Class: datasets.DGA, Family: "kraken", Source: "generated"},
			datasets.Record{Name: fmt.Sprintf("b.held%d.com", i), Source: "seen"},
			datasets.Record{Name: fmt.Sprintf("other%d.com", i), Source: "seen"})
	}
	kept, _ := mergePartition(in, &Plan{By: datasets.SplitByDomain, Test: 0.3, Validation: 0.3,
		Holdout: []string{"kraken"}, TrainOnly: []string{"generated"}})
	others := map[datasets.SplitID]int{}
	for _, r := range kept {
		switch {
		case strings.Contains(r.Name, ".made"):
			if r.Split != datasets.TrainSplit {
				t.Fatalf("%s is in %s", r.Name, r.Split)
			}
		case strings.Contains(r.Name, ".held"):
			if r.Split != datasets.TestSplit {
				t.Fatalf("%s is in %s", r.Name, r.Split)
			}
		default:
			others[r.Split]++
		}
	}
	for id := range datasets.SplitID(datasets.NumSplits) {
		if others[id] < 30 {
			t.Errorf("%d other domains are in %s", others[id], id)
		}
	}
}

func TestCompareFamiliesIsAnOrder(t *testing.T) {
	want := []string{"aaa_1", "aaa", "kraken_v1", "kraken_v2", "kraken", "zeus", datasets.BlocklistFamily, ""}
	for range 20 {
		got := slices.Clone(want)
		rand.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		slices.SortFunc(got, compareFamilies)
		if !slices.Equal(got, want) {
			t.Fatalf("order %v, want %v", got, want)
		}
	}
}

func TestPlanAssignFillsEverySplit(t *testing.T) {
	for seed := range uint64(50) {
		p := &Plan{Seed: seed, Validation: 0.1, Test: 0.1, By: datasets.SplitBySource}
		for _, rows := range []map[string]int64{
			{"a": 1_000_000, "b": 10, "c": 10}, {"a": 5, "b": 5, "c": 5, "d": 5, "e": 5, "f": 5, "g": 5, "h": 5, "i": 5, "j": 5},
		} {
			n := map[datasets.SplitID]int{}
			for _, s := range p.assign(rows) {
				n[s]++
			}
			if len(n) != datasets.NumSplits {
				t.Errorf("seed %d: splits %v", seed, n)
			}
		}
	}
}

func TestHash64IsStable(t *testing.T) {
	// Splits and the order of rows come from these values: if they change, so does every data set.
	for s, want := range map[string]uint64{"": 0x24ec249de3f3e2bf, "google.com": 0xd093c3291658d402,
		"a-name-of-24-characters.x": 0x3a0fa3cd2b963e40} {
		if got := hash64(1, s); got != want {
			t.Errorf("hash64(1, %q) = %#x, want %#x", s, got, want)
		}
	}
	var counts [16]int
	for i := range 160_000 {
		counts[bucket(hash64(7, fmt.Sprintf("n%d.com", i)), 16)]++
	}
	for _, n := range counts {
		if n < 9_600 || n > 10_400 {
			t.Errorf("uneven buckets %v", counts)
		}
	}
}

func TestSortPlaces(t *testing.T) {
	const buckets = 3
	var rows []row
	var places []place
	for i := range 5000 {
		h := hash64(1, fmt.Sprint(i%4000)) // some hashes come twice
		if bucket(h, buckets) != 1 {
			continue
		}
		places = append(places, place{h, int32(len(rows))})
		rows = append(rows, row{name: fmt.Sprint(i)})
	}
	b := &bucketBuffers{places: places, rows: rows}
	b.sort(1, buckets)
	out := b.out
	if !slices.IsSortedFunc(out, func(a, b place) int {
		if a.hash != b.hash {
			return map[bool]int{true: -1, false: 1}[a.hash < b.hash]
		}
		return strings.Compare(rows[a.row].name, rows[b.row].name)
	}) || len(out) != len(places) {
		t.Error("not sorted")
	}
}

// The leak check must find what the stages before it would have to have got wrong.
func TestLeakCheck(t *testing.T) {
	write := func(dir string, id datasets.SplitID, names []string, family string) datasets.SplitReport {
		path := filepath.Join(dir, id.String()+".arrow")
		w, err := datasets.NewSplitWriter(path, []string{"", "vawtrak_v1"}, []string{"", "s"},
			datasets.SplitMeta{Split: id}, &datasets.Columns{})
		if err != nil {
			t.Fatal(err)
		}
		rows := &datasets.Columns{}
		for _, n := range names {
			if family == "" {
				rows.Append(n, datasets.Benign, 0, 1)
			} else {
				rows.Append(n, datasets.DGA, 1, 1)
			}
		}
		same := []uint16{0, 1}
		if err := errors.Join(w.Append(rows, same, same), w.Finish(), w.Close()); err != nil {
			t.Fatal(err)
		}
		return w.Report()
	}
	var many []string
	for i := range 3000 {
		many = append(many, fmt.Sprintf("n%d.com", i))
	}
	for _, tc := range []struct {
		name        string
		train, test []string
		family, by  string
		want        string
	}{
		{"clean", many, []string{"x.org"}, "", datasets.SplitByDomain, ""},
		{"domain", slices.Concat(many, []string{"a.x.org"}), []string{"b.x.org"}, "", datasets.SplitByDomain,
			`1 of 3001 keys`},
		{"name", slices.Concat(many, []string{"x.org"}), []string{"x.org"}, "", datasets.SplitRandom, `1 of 3001 keys`},
		{"domains cross in a random split", slices.Concat(many, []string{"a.x.org"}), []string{"b.x.org"}, "",
			datasets.SplitRandom, ""},
		{"held out", []string{"a.com"}, []string{"b.com"}, "vawtrak_v1", datasets.SplitByDomain,
			"1 rows of held-out families"},
	} {
		for _, memory := range []int64{64 << 20, 40_000} { // the second spills
			t.Run(fmt.Sprint(tc.name, memory), func(t *testing.T) {
				p := &preparation{o: Options{Memory: memory, Workers: 2}, temp: t.TempDir(), manifest: &datasets.Manifest{},
					plan: &Plan{By: tc.by, Holdout: []string{"vawtrak"}}, progress: &meter{total: 1}}
				if err := os.Mkdir(p.finished(), 0o755); err != nil {
					t.Fatal(err)
				}
				p.manifest.Splits = []datasets.SplitReport{
					write(p.finished(), datasets.TrainSplit, tc.train, tc.family),
					write(p.finished(), datasets.ValidationSplit, nil, ""),
					write(p.finished(), datasets.TestSplit, tc.test, ""),
				}
				err := p.checkLeaks(t.Context())
				if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error %v, want %q", err, tc.want)
				}
				if _, err := os.Stat(filepath.Join(p.temp, "keys")); err == nil {
					t.Error("temporary file is left")
				}
			})
		}
	}
}
