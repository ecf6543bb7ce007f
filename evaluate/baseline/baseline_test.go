package baseline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// names are words with a suffix, benign, and random letters of the same lengths.
func names(n int, seed uint64) (list []string, malicious []bool) {
	rng := rand.New(rand.NewPCG(seed, 1))
	words := []string{"mail", "shop", "news", "cloud", "garden", "travel", "music", "water", "house", "green"}
	for i := range n {
		if i%2 == 0 {
			list = append(list, fmt.Sprintf("%s%s.com", words[rng.IntN(10)], words[rng.IntN(10)]))
		} else {
			b := make([]byte, 8+rng.IntN(6))
			for j := range b {
				b[j] = byte('a' + rng.IntN(26))
			}
			list = append(list, string(b)+".com")
		}
		malicious = append(malicious, i%2 == 1)
	}
	return list, malicious
}

// auc is the share of pairs in which the malicious name scores higher, ties counted half.
func auc(s Scorer, list []string, malicious []bool) float64 {
	var scores [2][]float64
	for i, n := range list {
		scores[toInt(malicious[i])] = append(scores[toInt(malicious[i])], s.Score(n))
	}
	var won float64
	for _, p := range scores[1] {
		for _, b := range scores[0] {
			if p > b {
				won++
			} else if p == b {
				won += 0.5
			}
		}
	}
	return won / float64(len(scores[0])*len(scores[1]))
}

func TestTrainAll(t *testing.T) {
	list, malicious := names(2000, 1)
	unseen, truth := names(400, 2)
	all, err := TrainAll(context.Background(), list, malicious, 7)
	if err != nil {
		t.Fatal(err)
	}
	again := all
	if !testing.Short() { // once is enough for the race detector
		if again, err = TrainAll(context.Background(), list, malicious, 7); err != nil {
			t.Fatal(err)
		}
	}
	least := map[string]float64{"n-grams": 0.99, "forest, lexical": 0.93, "forest, 3 features": 0.85}
	if len(all) != len(least) {
		t.Errorf("%d kinds, want %d", len(all), len(least))
	}
	for i, b := range all {
		if a := auc(b, unseen, truth); a < least[b.Name] {
			t.Errorf("%s: AUC %.4f, want %.2f", b.Name, a, least[b.Name])
		}
		for _, n := range unseen {
			if x, y := b.Score(n), again[i].Score(n); x != y || !(x >= 0 && x <= 1) {
				t.Fatalf("%s: %q scores %g, and %g trained again", b.Name, n, x, y)
			}
		}
		for _, n := range []string{"", ".", "com", "\xff\x00", string(make([]byte, 300))} {
			if x := b.Score(n); math.IsNaN(x) {
				t.Errorf("%s: %q scores NaN", b.Name, n)
			}
		}
	}
}

// A tree is the same however many levels of it grow on one grid.
func TestLevelsAtOnce(t *testing.T) {
	list, malicious := names(1500, 3)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range malicious { // noise makes trees deep
		malicious[i] = malicious[i] != (rng.IntN(10) == 0)
	}
	for _, v := range []*view{{features: len(devoFeatures)}, {len(wideFeatures), newGramTable(list, malicious)}} {
		whole, err := newGrower(rand.New(rand.NewPCG(5, 6)), v, list, malicious).tree(1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, levels := range []int{1, 2, levelsAtOnce} {
			got, err := newGrower(rand.New(rand.NewPCG(5, 6)), v, list, malicious).tree(levels)
			if err != nil || !slices.Equal(got, whole) {
				t.Errorf("%d features, %d levels at once: %v, %d nodes, not the %d that grow on one grid",
					v.features, levels, err, len(got), len(whole))
			}
		}
	}
}

func TestTrainAllRefusals(t *testing.T) {
	list, malicious := names(10, 1)
	if _, err := TrainAll(context.Background(), list, make([]bool, 10), 1); err == nil {
		t.Error("one class alone is trained on")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := TrainAll(ctx, list, malicious, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// Values checked by hand; the first three are those of the reference's E2 for names without their suffix.
func TestFeatures(t *testing.T) {
	for _, tc := range []struct {
		name    string
		feature string
		want    float64
	}{
		{"000directory.com.ar", "length", 12},
		{"000directory.com.ar", "entropy", 3.022055},
		{"000directory.com.ar", "vowels", 0.25},
		{"000webhost.com", "entropy", 2.846439},
		{"010shangpu.com", "vowels", 0.2},
		{"01-telecharger.com", "entropy", 3.324863},
		{"000directory.com.ar", "suffix_labels", 2}, {"000directory.com.ar", "longest_digits", 3},
		{"a1b2.com", "digit_changes", 0.75},
		{"www.strength.com", "longest_label", 8},
		{"www.strength.com", "longest_consonants", 4},
		{"x.aabb-c.com", "repeats", 0.25}, {"x.aabb-c.com", "labels", 3}, {"x.aabb-c.com", "hexadecimal", 0.625},
	} {
		text, suffix := withoutSuffix(tc.name)
		values := appendFeatures(nil, tc.name, text, suffix)
		if len(values) != len(lexicalFeatures) {
			t.Fatalf("%d values for %d features", len(values), len(lexicalFeatures))
		}
		for i, f := range lexicalFeatures {
			if f == tc.feature && math.Abs(values[i]-tc.want) > 1e-6 {
				t.Errorf("%s of %s is %g, want %g", f, tc.name, values[i], tc.want)
			}
		}
	}
}

// Values counted by hand: of names "aab" and "ab", both benign.
func TestGramTable(t *testing.T) {
	table := newGramTable([]string{"aab.com", "ab.com", "zz.com"}, []bool{false, false, true})
	for _, tc := range []struct {
		text    string
		counted bool
		want1   float64
		want2   float64
	}{
		// After the start "a" twice of two, after "a" "b" twice and "a" once of three; after the start and "a" one of each.
		{"ab", false, (math.Log2(3.0/42) + math.Log2(3.0/43)) / 2, (math.Log2(3.0/42) + math.Log2(2.0/42)) / 2},
		{"ab", true, (math.Log2(2.0/41) + math.Log2(2.0/42)) / 2, (math.Log2(2.0/41) + math.Log2(1.0/41)) / 2},
		{"aab", true,
			(math.Log2(2.0/41) + math.Log2(1.0/41) + math.Log2(2.0/41)) / 3,
			(math.Log2(2.0/41) + math.Log2(1.0/41) + math.Log2(1.0/40)) / 3},
		{"z", false, math.Log2(1.0 / 42), math.Log2(1.0 / 42)},
		{"", false, 0, 0},
	} {
		var own *ownCounts
		if tc.counted {
			own = newOwnCounts(tc.text)
		}
		got := table.append(nil, tc.text, own)
		if len(got) != len(gramFeatures) || math.Abs(got[0]-tc.want1) > 1e-12 || math.Abs(got[1]-tc.want2) > 1e-12 {
			t.Errorf("%q: %v, want %g and %g", tc.text, got, tc.want1, tc.want2)
		}
	}
	if s := symbol('_'); s != symbols-1 || symbol('\xff') != s || symbol('a') == 0 {
		t.Errorf("_ is %d", s)
	}
}

func BenchmarkScore(b *testing.B) {
	list, malicious := names(3000, 1)
	all, err := TrainAll(context.Background(), list, malicious, 7)
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range all {
		b.Run(s.Name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				s.Score(list[i%len(list)])
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "names/s")
		})
	}
}
