package metrics

import (
	"math"

	"github.com/sjwhitworth/golearn/evaluation"
)

// LabelMetrics are one label's one-against-all numbers.
type LabelMetrics struct {
	Label     string `json:"label"`
	Support   int    `json:"support"`
	Precision Number `json:"precision"`
	Recall    Number `json:"recall"`
	F1        Number `json:"f1"`
}

// FalseAlarms is how many benign names the model calls malicious at its own threshold.
func (m *Metrics) FalseAlarms() (n int) {
	if len(m.Confusion) > 0 {
		for _, wrong := range m.Confusion[0][1:] {
			n += wrong
		}
	}
	return n
}

// countConfusion fills in everything that follows from predicted labels, counted by golearn's evaluation.
func (m *Metrics) countConfusion(s *Sample) {
	matrix := evaluation.ConfusionMatrix{}
	for _, l := range s.Labels {
		m.Confusion = append(m.Confusion, make([]int, len(s.Labels)))
		matrix[l] = map[string]int{}
	}
	var tp, fn, fp, tn float64
	for i, truth := range s.Truth {
		got := s.Predicted(i, m.Threshold)
		m.Confusion[truth][got]++
		matrix[s.Labels[truth]][s.Labels[got]]++
		switch {
		case truth != 0 && got != 0:
			tp++
		case truth != 0:
			fn++
		case got != 0:
			fp++
		default:
			tn++
		}
	}
	m.Accuracy = Number(evaluation.GetAccuracy(matrix))
	m.Precision, m.Recall = Number(tp/(tp+fp)), Number(tp/(tp+fn))
	m.F1 = Number(2 * tp / (2*tp + fp + fn))
	m.MCC = Number(matthews(tp, fn, fp, tn))
	m.perLabel(matrix)
}

// perLabel fills in each label's numbers and their means.
func (m *Metrics) perLabel(matrix evaluation.ConfusionMatrix) {
	var macro, weighted, used float64
	for _, label := range m.Labels {
		tp := evaluation.GetTruePositives(label, matrix)
		fp, fn := evaluation.GetFalsePositives(label, matrix), evaluation.GetFalseNegatives(label, matrix)
		// golearn's own F1 is 0/0 for a label that is never right; 2tp/(2tp+fp+fn) is the same number with that case.
		f1 := 2 * tp / (2*tp + fp + fn)
		precision, recall := evaluation.GetPrecision(label, matrix), evaluation.GetRecall(label, matrix)
		m.PerLabel = append(m.PerLabel, LabelMetrics{label, int(tp + fn), Number(precision), Number(recall), Number(f1)})
		if tp+fp+fn > 0 {
			used++
			macro += f1
			weighted += f1 * (tp + fn)
		}
	}
	m.MacroF1, m.WeightedF1 = Number(macro/used), Number(weighted/float64(m.Names))
}

// matthews is the correlation of truth and prediction (Matthews 1975, doi:10.1016/0005-2795(75)90109-9). Where one of
// the two does not vary it is 0, as in scikit-learn.
func matthews(tp, fn, fp, tn float64) float64 {
	d := math.Sqrt(tp+fp) * math.Sqrt(tp+fn) * math.Sqrt(tn+fp) * math.Sqrt(tn+fn)
	if d == 0 {
		return 0
	}
	return (tp*tn - fp*fn) / d
}
