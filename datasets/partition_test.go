package datasets

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestResolvePartition(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   []Record
		want string // name class family source, …
		st   PartitionStats
	}{
		{"empty", nil, "", PartitionStats{}},
		{"duplicates keep the first source and the more specific family",
			[]Record{{Name: "a.com", Class: DGA, Family: "kraken", Source: "z"}, {Name: "a.com", Class: DGA, Family: "kraken_v1", Source: "y"},
				{Name: "a.com", Class: DGA, Source: "x"}},
			"a.com dga kraken_v1 x", PartitionStats{Duplicates: 2, FamilyMerges: 1}},
		{"both labels", []Record{{Name: "a.com", Class: DGA}, {Name: "a.com"}, {Name: "b.com"}},
			"b.com benign  ", PartitionStats{ConflictNames: 1, ConflictRows: 2, ConflictBenign: 1, Conflicts: []string{"a.com"}}},
		{"dga and tunnel", []Record{{Name: "a.com", Class: DGA}, {Name: "a.com", Class: Tunnel}, {Name: "a.com", Class: DGA}},
			"", PartitionStats{ConflictNames: 1, ConflictRows: 3, Conflicts: []string{"a.com"}}},
		{"a weak label yields", []Record{{Name: "a.com", Class: DGA, Weak: true, Family: BlocklistFamily, Source: "a"},
			{Name: "a.com", Source: "b"}, {Name: "a.com", Class: DGA, Weak: true, Family: BlocklistFamily, Source: "a"}},
			"a.com benign  b", PartitionStats{Overridden: 2}},
		{"a weak label alone stays", []Record{{Name: "a.com", Class: DGA, Weak: true, Family: BlocklistFamily, Source: "a"},
			{Name: "a.com", Class: DGA, Weak: true, Family: BlocklistFamily, Source: "a"}},
			"a.com dga blocklist a", PartitionStats{Duplicates: 1}},
		{"a strong label of the same class names the family", []Record{{Name: "a.com", Class: DGA, Weak: true, Family: BlocklistFamily, Source: "a"},
			{Name: "a.com", Class: DGA, Family: "zeus", Source: "b"}},
			"a.com dga zeus b", PartitionStats{Overridden: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for range 5 {
				rand.Shuffle(len(tc.in), func(i, j int) { tc.in[i], tc.in[j] = tc.in[j], tc.in[i] })
				kept, st := ResolvePartition(tc.in, &Plan{By: SplitByDomain, Test: 0.1})
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
func TestResolvePartitionHoldsOutDomains(t *testing.T) {
	var in []Record
	for i := range 200 {
		in = append(in, Record{Name: fmt.Sprintf("a.d%d.com", i), Class: DGA, Family: "kraken_v1"},
			Record{Name: fmt.Sprintf("b.d%d.com", i), Class: Benign}, Record{Name: fmt.Sprintf("e%d.com", i), Class: Benign})
	}
	kept, _ := ResolvePartition(in, &Plan{By: SplitByDomain, Test: 0.1, Validation: 0.1, Holdout: []string{"kraken"}})
	others := map[SplitID]int{}
	for _, r := range kept {
		if strings.Contains(r.Name, ".d") && r.Split != TestSplit {
			t.Fatalf("%s is in %s", r.Name, r.Split)
		}
		others[r.Split]++
	}
	if others[TrainSplit] < 100 || others[ValidationSplit] == 0 {
		t.Errorf("splits %v", others)
	}
}

func TestCompareFamiliesIsAnOrder(t *testing.T) {
	want := []string{"aaa_1", "aaa", "kraken_v1", "kraken_v2", "kraken", "zeus", BlocklistFamily, ""}
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
		p := &Plan{Seed: seed, Validation: 0.1, Test: 0.1, By: SplitBySource}
		for _, rows := range []map[string]int64{
			{"a": 1_000_000, "b": 10, "c": 10}, {"a": 5, "b": 5, "c": 5, "d": 5, "e": 5, "f": 5, "g": 5, "h": 5, "i": 5, "j": 5},
		} {
			n := map[SplitID]int{}
			for _, s := range p.assign(rows) {
				n[s]++
			}
			if len(n) != splitCount {
				t.Errorf("seed %d: splits %v", seed, n)
			}
		}
	}
}

func TestHash64IsStable(t *testing.T) {
	// Splits and the order of rows come from these values: if they change, so does every data set.
	for s, want := range map[string]uint64{"": 0x24ec249de3f3e2bf, "google.com": 0xd093c3291658d402, "a-name-of-24-characters.x": 0x3a0fa3cd2b963e40} {
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
	write := func(dir string, id SplitID, names []string, family string) SplitReport {
		path := filepath.Join(dir, id.String()+".arrow")
		w, err := newSplitWriter(path, []string{"", "vawtrak_v1"}, []string{"", "s"}, splitMeta{split: id.String()}, &rowBuffers{})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			r := row{name: n, source: 1}
			if family != "" {
				r.class, r.family = DGA, 1
			}
			if err := w.add(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.finish(); err != nil {
			t.Fatal(err)
		}
		return SplitReport{Name: id.String(), File: filepath.Base(path), Rows: w.rows, Bytes: w.hashed.pos, SHA256: w.hashed.sum()}
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
		{"clean", many, []string{"x.org"}, "", SplitByDomain, ""},
		{"domain", slices.Concat(many, []string{"a.x.org"}), []string{"b.x.org"}, "", SplitByDomain, `1 of 3001 keys`},
		{"name", slices.Concat(many, []string{"x.org"}), []string{"x.org"}, "", SplitRandom, `1 of 3001 keys`},
		{"domains cross in a random split", slices.Concat(many, []string{"a.x.org"}), []string{"b.x.org"}, "", SplitRandom, ""},
		{"held out", []string{"a.com"}, []string{"b.com"}, "vawtrak_v1", SplitByDomain, "1 rows of held-out families"},
	} {
		for _, memory := range []int64{64 << 20, 40_000} { // the second spills
			t.Run(fmt.Sprint(tc.name, memory), func(t *testing.T) {
				j := &job{o: ProcessOptions{Memory: memory, Workers: 2}, temp: t.TempDir(), manifest: &Manifest{},
					plan: &Plan{By: tc.by, Holdout: []string{"vawtrak"}}, progress: &meter{total: 1}}
				j.manifest.Splits = []SplitReport{write(j.temp, TrainSplit, tc.train, tc.family),
					write(j.temp, ValidationSplit, nil, ""), write(j.temp, TestSplit, tc.test, "")}
				err := j.checkLeaks(t.Context())
				if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error %v, want %q", err, tc.want)
				}
				if _, err := os.Stat(filepath.Join(j.temp, "keys")); err == nil {
					t.Error("temporary file is left")
				}
			})
		}
	}
}
