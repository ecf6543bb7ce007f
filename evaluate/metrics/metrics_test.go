package metrics

import (
	"encoding/json"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
)

var update = flag.Bool("update", false, "rewrite golden files")

// binarySample makes a two-label sample from scores.
func binarySample(scores []float64, truth []int) *Sample {
	s := &Sample{Labels: []string{"benign", "malicious"}, Truth: truth}
	for i, x := range scores {
		s.Names = append(s.Names, "name"+string(rune('a'+i%26))+".com")
		s.Probabilities = append(s.Probabilities, float32(1-x), float32(x))
		class, family := datasets.Benign, ""
		if truth[i] == 1 {
			class, family = datasets.DGA, []string{"alpha", "beta"}[i%2]
		}
		s.Class, s.Family, s.Source = append(s.Class, class), append(s.Family, family), append(s.Source, "test")
	}
	return s
}

func want(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) < 1e-6) && !(math.IsNaN(got) && math.IsNaN(want)) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

var (
	twelveScores = []float64{0.05, 0.10, 0.20, 0.20, 0.35, 0.40, 0.55, 0.60, 0.60, 0.70, 0.85, 0.95}
	twelveTruth  = []int{0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1}
)

// Truth from scikit-learn 1.9.1 on the same twelve scores, ties included: roc_auc_score, average_precision_score and,
// at 0.5, accuracy_score and the rest.
func TestMeasureBinary(t *testing.T) {
	m, err := Measure(t.Context(), binarySample(twelveScores, twelveTruth), 0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "ROC-AUC", float64(m.ROCAUC), 0.8333333333333335)
	want(t, "PR-AUC", float64(m.PRAUC), 0.8523809523809524)
	want(t, "MCC", float64(m.MCC), 1.0/3)
	for what, got := range map[string]Number{
		"accuracy": m.Accuracy, "precision": m.Precision, "recall": m.Recall, "F1": m.F1, "macro F1": m.MacroF1,
	} {
		want(t, what, float64(got), 2.0/3)
	}
	if !slices.Equal(m.Confusion[0], []int{4, 2}) || !slices.Equal(m.Confusion[1], []int{2, 4}) {
		t.Errorf("confusion %v", m.Confusion)
	}
	if lo, hi := m.ROCAUC95[0], m.ROCAUC95[1]; !(lo < 0.8333 && hi > 0.8333 && lo > 0.4 && hi <= 1) {
		t.Errorf("interval %v to %v", lo, hi)
	}
	for _, o := range m.Operating { // no benign name may be above: the three highest scores are malicious
		want(t, "TPR", float64(o.TPR), 0.5)
		want(t, "threshold", math.Round(float64(o.Threshold)*1e6)/1e6, 0.7)
		if o.BenignAbove != 0 || !o.TooFew {
			t.Errorf("operating point %+v", o)
		}
	}
	if len(m.Families) != 2 || m.Families[0].Recall > m.Families[1].Recall {
		t.Errorf("families %+v: not worst first", m.Families)
	}
}

// Truth from scikit-learn 1.9.1 on 60 names with 23 distinct scores, all of them exact in float32: roc_auc_score,
// average_precision_score and, at 0.5, accuracy_score and the rest.
func TestMeasureTies(t *testing.T) {
	var scores []float64
	var truth []int
	for i := range 60 {
		malicious, score := 0, float64(i*7%23)/32
		if (i*i+i/3)%5 < 2 {
			malicious, score = 1, min(score+5.0/32, 1)
		}
		scores, truth = append(scores, score), append(truth, malicious)
	}
	m, err := Measure(t.Context(), binarySample(scores, truth), 0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "ROC-AUC", float64(m.ROCAUC), 0.6099330357142857)
	want(t, "PR-AUC", float64(m.PRAUC), 0.6197816504010605)
	want(t, "accuracy", float64(m.Accuracy), 0.5666666666666667)
	want(t, "precision", float64(m.Precision), 0.5416666666666666)
	want(t, "recall", float64(m.Recall), 0.4642857142857143)
	want(t, "F1", float64(m.F1), 0.5)
	want(t, "MCC", float64(m.MCC), 0.12274756325774572)
	if got, want := m.Confusion, [][]int{{21, 11}, {15, 13}}; !slices.EqualFunc(got, want, slices.Equal[[]int]) {
		t.Errorf("confusion %v, want %v", got, want)
	}
}

// Both ways to the area agree, and every operating point is what counting by hand finds.
func TestCurveAgainstCounting(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		var scores []float64
		var truth []int
		levels := 1 + rng.IntN(40) // few levels: many ties
		for i := range 2 + rng.IntN(300) {
			scores, truth = append(scores, float64(rng.IntN(levels))/64), append(truth, i%2)
		}
		s := binarySample(scores, truth)
		c := NewCurve(s)
		ones := make([]float64, len(scores))
		for i := range ones {
			ones[i] = 1
		}
		area, _ := c.weighted(ones, nil)
		want(t, "area", float64(c.ROCAUC()), area)
		for _, rate := range []float64{0, 0.01, 0.1, 0.5, 1} {
			o := c.operating(rate)
			found, above := 0, 0
			for i, x := range scores {
				if x >= float64(o.Threshold) && truth[i] == 1 {
					found++
				} else if x >= float64(o.Threshold) {
					above++
				}
			}
			want(t, "TPR", float64(o.TPR), float64(found)/float64(c.Positives))
			if above != o.BenignAbove || float64(above) > rate*float64(c.Negatives)+1e-6 {
				t.Errorf("FPR %g: %d benign names above, %+v", rate, above, o)
			}
		}
	}
}

// A threshold read off a sample must mean the same to the model that is deployed with it.
func TestScoreIsTheVerdicts(t *testing.T) {
	for _, p := range []float32{0, 1e-12, 3e-8, 0.1, 0.3, 0.5, 0.99999994, 1} {
		s := &Sample{Labels: []string{"benign", "malicious"}, Probabilities: []float32{1 - p, p}}
		if s.Score(0) != float64(p) || s.Predicted(0, s.Score(0)) != 1 {
			t.Errorf("probability %v: score %v, predicted %d at that very threshold", p, s.Score(0), s.Predicted(0, s.Score(0)))
		}
	}
}

// Truth from scikit-learn 1.9.1: f1_score of truth 0 1 1 1 0 0 and predictions 0 1 2 1 0 1. Label 2 is absent from the
// truth but predicted, label 3 occurs in neither and does not count.
func TestMeasureAbsentLabels(t *testing.T) {
	s := &Sample{Labels: []string{"benign", "a", "b", "c"}, Truth: []int{0, 1, 1, 1, 0, 0}}
	for i, predicted := range []int{0, 1, 2, 1, 0, 1} {
		p := make([]float32, 4)
		p[predicted] = 1
		s.Names, s.Family, s.Source = append(s.Names, "x.com"), append(s.Family, ""), append(s.Source, "test")
		s.Class, s.Probabilities = append(s.Class, datasets.Class(min(s.Truth[i], 1))), append(s.Probabilities, p...)
	}
	m, err := Measure(t.Context(), s, 0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "macro F1", float64(m.MacroF1), 0.48888888888888893)
	want(t, "weighted F1", float64(m.WeightedF1), 0.7333333333333334)
	for i, f1 := range []float64{0.8, 2.0 / 3, 0, math.NaN()} {
		want(t, s.Labels[i]+" F1", float64(m.PerLabel[i].F1), f1)
	}
}

// The layout of metrics.json is a promise: -update rewrites the file when it changes on purpose.
func TestMetricsGolden(t *testing.T) {
	m, err := Measure(t.Context(), binarySample(twelveScores, twelveTruth), 0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "metrics.json")
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got)+"\n" != string(golden) {
		t.Errorf("metrics.json differs from %s; if that is meant: go test ./evaluate/metrics -update\n%s", path, got)
	}
}

// Truth from scikit-learn 1.9.1: precision_score and so on of the same eight rows. At 0.61 the likeliest of the three
// labels is taken for each of them, at 0.5 two more names are malicious, though benign is likelier than either other
// label.
func TestMeasureThreeLabels(t *testing.T) {
	s := &Sample{Labels: []string{"benign", "dga", "tunnel"}, Truth: []int{0, 1, 2, 1, 1, 0, 2, 2},
		Probabilities: []float32{
			.7, .2, .1,
			.3, .5, .2,
			.1, .2, .7,
			.4, .35, .25,
			.2, .6, .2,
			.1, .8, .1,
			.45, .1, .45,
			.2, .3, .5,
		}}
	for _, truth := range s.Truth {
		s.Names, s.Family, s.Source = append(s.Names, "x.com"), append(s.Family, ""), append(s.Source, "test")
		s.Class = append(s.Class, datasets.Class(truth))
	}
	for _, tc := range []struct {
		threshold, accuracy, macro, weighted, mcc float64
		labels                                    []LabelMetrics
	}{
		{0.61, 0.625, 0.6222222222222222, 0.65, 0.14907119849998599,
			[]LabelMetrics{
				{"benign", 2, 1.0 / 3, 0.5, 0.4},
				{"dga", 3, 2.0 / 3, 2.0 / 3, 2.0 / 3},
				{"tunnel", 3, 1, 2.0 / 3, 0.8},
			}},
		{0.5, 0.875, 0.8412698412698413, 0.863095238095238, 0.6546536707079772,
			[]LabelMetrics{{"benign", 2, 1, 0.5, 2.0 / 3}, {"dga", 3, 0.75, 1, 6.0 / 7}, {"tunnel", 3, 1, 1, 1}}},
	} {
		m, err := Measure(t.Context(), s, tc.threshold, 1)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "accuracy", float64(m.Accuracy), tc.accuracy)
		want(t, "macro F1", float64(m.MacroF1), tc.macro)
		want(t, "weighted F1", float64(m.WeightedF1), tc.weighted)
		// By hand: |0.85-0| + |1-2| + |0.6-1| + |1.4-2| + |0.8-0| of 8, whatever the threshold.
		want(t, "ECE", float64(m.ECE), 0.45625)
		want(t, "MCC, benign against the rest", float64(m.MCC), tc.mcc)
		for i, l := range tc.labels {
			got := m.PerLabel[i]
			if got.Label != l.Label || got.Support != l.Support {
				t.Errorf("label %+v, want %+v", got, l)
			}
			want(t, l.Label+" precision", float64(got.Precision), float64(l.Precision))
			want(t, l.Label+" recall", float64(got.Recall), float64(l.Recall))
			want(t, l.Label+" F1", float64(got.F1), float64(l.F1))
		}
	}
}

func TestMeasureOneClassAndJSON(t *testing.T) {
	m, err := Measure(t.Context(), binarySample([]float64{0.1, 0.9}, []int{0, 0}), 0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	if !m.ROCAUC.Missing() || len(m.Warnings) == 0 || strings.Contains(text, "NaN") ||
		!strings.Contains(text, `"roc_auc":null`) || !strings.Contains(text, `"recall":null`) {
		t.Errorf("one class: %s", text)
	}
}

func TestMeasureBadSamples(t *testing.T) {
	nan := binarySample([]float64{0.1, math.NaN()}, []int{0, 1})
	short := binarySample([]float64{0.1, 0.2}, []int{0, 1})
	short.Family = short.Family[:1]
	label := binarySample([]float64{0.1, 0.2}, []int{0, 1})
	label.Truth[1] = 7
	for what, s := range map[string]*Sample{
		"no names": binarySample(nil, nil), "probability NaN": nan, "different length": short, "has label 7": label,
	} {
		if _, err := Measure(t.Context(), s, 0.5, 1); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("error %v, want %q", err, what)
		}
	}
}

// The rates and thresholds on a sample large enough to know the answer: benign scores are i/10000, malicious ones 0.5
// and above.
func TestOperatingPoints(t *testing.T) {
	var scores []float64
	var truth []int
	for i := range 10000 {
		scores, truth = append(scores, float64(i)/10001), append(truth, 0)
		scores, truth = append(scores, 0.5+float64(i)/20002), append(truth, 1)
	}
	m, err := Measure(t.Context(), binarySample(scores, truth), 0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, tc := range []struct {
		tpr   float64
		above int
		few   bool
	}{{0.02, 100, false}, {0.002, 10, false}, {0.0002, 1, true}} {
		o := m.Operating[i]
		if math.Abs(float64(o.TPR)-tc.tpr) > 3e-4 || o.BenignAbove != tc.above || o.TooFew != tc.few {
			t.Errorf("at FPR %g: %+v, want TPR about %g, %d benign above, too few %v", o.FPR, o, tc.tpr, tc.above, tc.few)
		}
	}
}

// A model that plain classifiers beat gets one sentence about all of them, with what to do next.
func TestBeaten(t *testing.T) {
	m := &Metrics{ROCAUC: 0.9, Baselines: []Baseline{{Name: "n-grams", ROCAUC: 0.95, Beats: true},
		{Name: "trees", ROCAUC: 0.92, Beats: true}, {Name: "length", ROCAUC: 0.6}}}
	want := "This model does not beat a plain classifier: ROC-AUC 0.9000, n-grams 0.9500, trees 0.9200. Try: "
	if got := m.Beaten(); !strings.HasPrefix(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	m.Baselines = m.Baselines[2:]
	if got := m.Beaten(); got != "" {
		t.Errorf("%q of a model that beats all", got)
	}
}

// An interval of none begins at 0 and one of all ends at 1, without what rounding leaves.
func TestWilsonEnds(t *testing.T) {
	for n := 1; n < 3000; n += 7 {
		if none, all := Wilson(0, n), Wilson(1, n); none[0] != 0 || all[1] != 1 {
			t.Fatalf("%d names: %v, %v", n, none, all)
		}
	}
}
