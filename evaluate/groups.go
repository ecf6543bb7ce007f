package evaluate

import (
	"cmp"
	"math"
	"slices"

	"github.com/sjwhitworth/golearn/evaluation"
)

// confusion fills in everything that follows from predicted labels, counted by golearn's evaluation.
func (m *Metrics) confusion(s *Sample, threshold float64) {
	k := len(s.Labels)
	m.Confusion = make([][]int, k)
	matrix := evaluation.ConfusionMatrix{}
	for i, l := range s.Labels {
		m.Confusion[i] = make([]int, k)
		matrix[l] = map[string]int{}
	}
	var found, missed, alarms, quiet float64
	for i, truth := range s.Truth {
		got := s.Predicted(i, threshold)
		m.Confusion[truth][got]++
		matrix[s.Labels[truth]][s.Labels[got]]++
		switch {
		case truth != 0 && got != 0:
			found++
		case truth != 0:
			missed++
		case got != 0:
			alarms++
		default:
			quiet++
		}
	}
	m.Accuracy = Number(evaluation.GetAccuracy(matrix))
	m.Precision, m.Recall = Number(found/(found+alarms)), Number(found/(found+missed))
	m.F1 = Number(2 * found / (2*found + alarms + missed))
	m.MCC = Number(matthews(found, missed, alarms, quiet))
	m.perLabel(matrix)
}

// perLabel fills in each label's numbers and their means.
func (m *Metrics) perLabel(matrix evaluation.ConfusionMatrix) {
	var macro, weighted float64
	used := 0
	for i, l := range m.Labels {
		tp, fp, fn := evaluation.GetTruePositives(l, matrix), evaluation.GetFalsePositives(l, matrix), evaluation.GetFalseNegatives(l, matrix)
		support := 0
		for _, n := range m.Confusion[i] {
			support += n
		}
		// golearn's own F1 is 0/0 for a label that is never right; 2tp/(2tp+fp+fn) is the same number with that case.
		f1 := 2 * tp / (2*tp + fp + fn)
		m.PerLabel = append(m.PerLabel, LabelMetrics{Label: l, Support: support, Precision: Number(evaluation.GetPrecision(l, matrix)),
			Recall: Number(evaluation.GetRecall(l, matrix)), F1: Number(f1)})
		if tp+fp+fn > 0 {
			used++
			macro += f1
			weighted += f1 * float64(support)
		}
	}
	m.MacroF1, m.WeightedF1 = Number(macro/float64(used)), Number(weighted/float64(m.Names))
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

// groupKey is a family or a source of one class.
type groupKey struct{ name, class string }

// groupCount counts a group's names and those judged right at the model's threshold and at the strict one.
type groupCount struct{ names, right, strict int }

// groups fills in the recall of each family and source. strict is the threshold of a false-positive rate of 1e-3, NaN
// when there is none.
func (m *Metrics) groups(s *Sample, threshold, strict float64) {
	families, sources := map[groupKey]*groupCount{}, map[groupKey]*groupCount{}
	add := func(to map[groupKey]*groupCount, k groupKey, right, strictly bool) {
		c := to[k]
		if c == nil {
			c = &groupCount{}
			to[k] = c
		}
		c.names++
		if right {
			c.right++
		}
		if strictly {
			c.strict++
		}
	}
	for i := range s.Names {
		malicious := s.Truth[i] != 0
		right := (s.Predicted(i, threshold) != 0) == malicious
		strictly := (s.Score(i) >= strict) == malicious
		class := s.Class[i].String()
		if malicious {
			add(families, groupKey{cmp.Or(s.Family[i], "(no family given)"), class}, right, strictly)
		}
		add(sources, groupKey{s.Source[i], class}, right, strictly)
	}
	m.Families, m.Sources = recalls(families, math.IsNaN(strict)), recalls(sources, math.IsNaN(strict))
}

// recalls turns counts into shares, worst first. noStrict says that there is no strict threshold.
func recalls(from map[groupKey]*groupCount, noStrict bool) []GroupRecall {
	out := []GroupRecall{}
	for k, c := range from {
		n := float64(c.names)
		g := GroupRecall{Name: k.name, Class: k.class, Names: c.names, Recall: Number(float64(c.right) / n), RecallFPR: Number(float64(c.strict) / n)}
		if noStrict {
			g.RecallFPR = Number(math.NaN())
		}
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b GroupRecall) int {
		return cmp.Or(cmp.Compare(a.Recall, b.Recall), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Class, b.Class))
	})
	return out
}
