package evaluate

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
)

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

// Truth from scikit-learn 1.7 on the same twelve scores, ties included: roc_auc_score, average_precision_score and, at
// 0.5, accuracy_score and the rest.
func TestMeasureBinary(t *testing.T) {
	m, err := Measure(binarySample(twelveScores, twelveTruth), 0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "ROC-AUC", *m.ROCAUC, 0.8333333333333335)
	want(t, "PR-AUC", *m.PRAUC, 0.8523809523809524)
	for what, got := range map[string]Number{"accuracy": m.Accuracy, "precision": m.Precision, "recall": m.Recall, "F1": m.F1, "macro F1": m.MacroF1} {
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

// Truth from scikit-learn 1.7: precision_score and so on of the same eight rows.
func TestMeasureThreeLabels(t *testing.T) {
	s := &Sample{Labels: []string{"benign", "dga", "tunnel"}, Truth: []int{0, 1, 2, 1, 1, 0, 2, 2},
		Probabilities: []float32{.7, .2, .1, .3, .5, .2, .1, .2, .7, .4, .35, .25, .2, .6, .2, .1, .8, .1, .45, .1, .45, .2, .3, .5}}
	for _, truth := range s.Truth {
		s.Names, s.Family, s.Source = append(s.Names, "x.com"), append(s.Family, ""), append(s.Source, "test")
		s.Class = append(s.Class, datasets.Class(truth))
	}
	m, err := Measure(s, 0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "accuracy", float64(m.Accuracy), 0.625)
	want(t, "macro F1", float64(m.MacroF1), 0.6222222222222222)
	want(t, "weighted F1", float64(m.WeightedF1), 0.65)
	for i, l := range []LabelMetrics{{"benign", 2, 1.0 / 3, 0.5, 0.4}, {"dga", 3, 2.0 / 3, 2.0 / 3, 2.0 / 3}, {"tunnel", 3, 1, 2.0 / 3, 0.8}} {
		got := m.PerLabel[i]
		if got.Label != l.Label || got.Support != l.Support {
			t.Errorf("label %+v, want %+v", got, l)
		}
		want(t, l.Label+" precision", float64(got.Precision), float64(l.Precision))
		want(t, l.Label+" recall", float64(got.Recall), float64(l.Recall))
		want(t, l.Label+" F1", float64(got.F1), float64(l.F1))
	}
}

func TestMeasureOneClassAndJSON(t *testing.T) {
	m, err := Measure(binarySample([]float64{0.1, 0.9}, []int{0, 0}), 0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if m.ROCAUC != nil || len(m.Warnings) == 0 || !strings.Contains(string(data), `"recall":null`) || strings.Contains(string(data), "NaN") {
		t.Errorf("one class: %s", data)
	}
}

func TestMeasureBadSamples(t *testing.T) {
	nan := binarySample([]float64{0.1, math.NaN()}, []int{0, 1})
	short := binarySample([]float64{0.1, 0.2}, []int{0, 1})
	short.Family = short.Family[:1]
	label := binarySample([]float64{0.1, 0.2}, []int{0, 1})
	label.Truth[1] = 7
	for what, s := range map[string]*Sample{"no names": binarySample(nil, nil), "probability NaN": nan, "different length": short, "has label 7": label} {
		if _, err := Measure(s, 0.5, 1); err == nil || !strings.Contains(err.Error(), what) {
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
	m, err := Measure(binarySample(scores, truth), 0.5, 1)
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

func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %q, want %q", n, got, want)
		}
	}
}
