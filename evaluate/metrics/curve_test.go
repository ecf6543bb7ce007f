package metrics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Areas worked out by hand: half of the malicious names score above every benign one, the rest are in among them by
// chance.
func TestPartialAreaAndBaseRate(t *testing.T) {
	perfect := NewCurve(binarySample([]float64{0.9, 0.8, 0.2, 0.1}, []int{1, 1, 0, 0}))
	want(t, "partial area of a perfect order", float64(perfect.partialAUC(0.01)), 1)
	want(t, "average precision of a perfect order", float64(perfect.averagePrecision(rareRate)), 1)
	half := NewCurve(binarySample([]float64{0.9, 0.5, 0.5}, []int{1, 1, 0}))
	// Up to 0.01 the curve goes from 0.5 to 0.505: area 0.005025, of which chance is 0.00005 and all is 0.01.
	want(t, "partial area", float64(half.partialAUC(0.01)), (1+(0.005025-0.00005)/(0.01-0.00005))/2)
	want(t, "average precision at the sample's own rate", float64(half.averagePrecision(half.BaseRate())), 0.5*1+0.5*2/3)
	// The second half is found together with all benign names: of a thousand one is malicious.
	want(t, "average precision where malicious names are rare", float64(half.averagePrecision(0.001)), 0.5*1+0.5*0.001)
	want(t, "base rate", half.BaseRate(), 2.0/3)
}

func TestGroupsOfNames(t *testing.T) {
	for n, want := range map[int]string{0: "0-8", 8: "0-8", 9: "9-12", 40: "25-40", 253: "65-253", 254: "254-"} {
		if got := lengthRange(n); got != want {
			t.Errorf("length %d is in %s, want %s", n, got, want)
		}
	}
	var names []string
	for i := range 30 {
		for range i + 1 {
			names = append(names, "a.b"+string(rune('a'+i%26))+string(rune('a'+i/26)))
		}
	}
	common := commonTLDs(append(names, "nodot"))
	if len(common) != tldsShown || !slices.Contains(common, "bdb") ||
		slices.Contains(common, "baa") || slices.Contains(common, "nodot") {
		t.Errorf("common top-level domains %v", common)
	}
}

// A rate with every name counted once is the operating point's.
func TestWeightedRate(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	var scores []float64
	var truth []int
	for i := range 3000 {
		truth = append(truth, i%2)
		scores = append(scores, math.Round(100*(rng.Float64()+0.3*float64(i%2)))/130) // many ties
	}
	c := NewCurve(binarySample(scores, truth))
	ones := make([]float64, len(scores))
	for i := range ones {
		ones[i] = 1
	}
	rates := []float64{0, 1e-3, 0.05, 0.5, 1}
	_, tpr := c.weighted(ones, rates)
	for k, got := range tpr {
		want(t, "weighted rate", got, float64(c.operating(rates[k]).TPR))
		_, one := c.weighted(ones, rates[k:k+1])
		want(t, "one weighted rate", one[0], got)
	}
}

// Truth from scipy 1.17's binomtest(of, n).proportion_ci(method="wilson").
func TestWilson(t *testing.T) {
	for _, tc := range []struct {
		of, n     int
		low, high float64
	}{
		{8, 10, 0.4901624715, 0.9433178485},
		{0, 10, 0, 0.2775327998},
		{10, 10, 0.7224672001, 1},
		{1, 1000, 0.0001765464, 0.0056425586},
	} {
		interval := Wilson(Number(tc.of)/Number(tc.n), tc.n)
		for k, end := range []float64{tc.low, tc.high} {
			if math.Abs(float64(interval[k])-end) > 1e-9 {
				t.Errorf("%d of %d: interval %v, want %g to %g", tc.of, tc.n, interval, tc.low, tc.high)
			}
		}
	}
}

func TestMcNemar(t *testing.T) {
	for _, tc := range []struct {
		a, b int
		p    float64
	}{{0, 0, 1}, {10, 10, 1}, {1, 9, 2 * 11.0 / 1024}, {9, 1, 2 * 11.0 / 1024}, {0, 1, 1}, {0, 5, 2.0 / 32}} {
		want(t, "McNemar", mcNemar(tc.a, tc.b), tc.p)
	}
}

// Benign scores of 1: the threshold is the largest below 1, and no rate is refused that can be kept.
func TestThresholdOfSaturatedScores(t *testing.T) {
	s := binarySample([]float64{1, 1, 0.9, 0.8, 0.2, 0.1}, []int{1, 0, 0, 0, 0, 0})
	got, err := ChooseThreshold(t.Context(), s, "validation", 0.2)
	if err != nil || got.Alarms != 1 || got.Value >= 1 || got.Value <= 0.9 {
		t.Errorf("%+v, %v; want one alarm and a threshold just below 1", got, err)
	}
	if _, err := ChooseThreshold(t.Context(), s, "validation", 0.1); err == nil {
		t.Error("an alarm of five where a tenth was allowed")
	}
}

// The interval is over registered domains: a rate that one domain makes is as good as none.
func TestThresholdOfFewDomains(t *testing.T) {
	for _, tc := range []struct {
		noisy string // the names that are called malicious
		few   bool
		width float64 // at least, of the interval
	}{{"a%d.cdn.com", true, 0.02}, {"a%d.com", false, 0}} {
		s := binarySample(nil, nil)
		add := func(name string, score float64, truth int) {
			s.Names, s.Truth = append(s.Names, name), append(s.Truth, truth)
			s.Probabilities = append(s.Probabilities, float32(1-score), float32(score))
		}
		for i := range 1000 {
			name, score := fmt.Sprintf("b%d.com", i), 0.1
			if i < 20 {
				name, score = fmt.Sprintf(tc.noisy, i), 0.9
			}
			add(name, score, 0)
		}
		add("evil.com", 0.95, 1)
		got, err := MeasureThreshold(t.Context(), s, "validation", 0.5)
		if err != nil || got.Alarms != 20 || got.FPR != 0.02 || got.TPR != 1 || got.FewDomains != tc.few {
			t.Errorf("%s: %+v, %v", tc.noisy, got, err)
		}
		if width := float64(got.FPR95[1] - got.FPR95[0]); width < tc.width || got.FPR95[0] > 0.02 || got.FPR95[1] < 0.02 {
			t.Errorf("%s: interval %v", tc.noisy, got.FPR95)
		}
	}
}

// No alarm among few names is no promise: the interval ends above 0.
func TestThresholdWithoutAlarms(t *testing.T) {
	s := binarySample([]float64{0.95, 0.1, 0.2, 0.3}, []int{1, 0, 0, 0})
	s.Names = []string{"evil.com", "a.com", "b.com", "www.b.com"}
	got, err := MeasureThreshold(t.Context(), s, "validation", 0.5)
	if err != nil || got.Alarms != 0 || got.FPR95 != Wilson(0, 2) || got.FPR95[1] < 0.5 {
		t.Errorf("%+v, %v", got, err)
	}
}

// gonum's rates may begin a hair above 0: nothing is found there, and no precision belongs to it.
func TestPrecisionBeginsWithAName(t *testing.T) {
	for n := 40; n < 60; n++ {
		scores, truth := []float64{0.9}, []int{1}
		for i := range n {
			scores, truth = append(scores, 0.1+float64(i)/1000), append(truth, 0)
		}
		if precision, recall := NewCurve(binarySample(scores, truth)).PR(0.5); precision[0] != 1 || recall[0] != 1 {
			t.Fatalf("%d benign names: precision %v, recall %v", n, precision[0], recall[0])
		}
	}
}
