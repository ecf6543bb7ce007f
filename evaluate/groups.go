package evaluate

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

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

// groupCounts are groups while they are counted.
type groupCounts map[groupKey]*groupCount

func (g groupCounts) add(k groupKey, right, strictly bool) {
	c := g[k]
	if c == nil {
		c = &groupCount{}
		g[k] = c
	}
	c.names++
	if right {
		c.right++
	}
	if strictly {
		c.strict++
	}
}

// groups fills in the recall of each family, source, top-level domain and range of lengths. strict is the threshold of a
// false-positive rate of 1e-3, NaN when there is none.
func (m *Metrics) groups(s *Sample, threshold, strict float64) {
	families, sources, tlds, lengths := groupCounts{}, groupCounts{}, groupCounts{}, groupCounts{}
	common := commonTLDs(s.Names)
	for i := range s.Names {
		malicious := s.Truth[i] != 0
		right := (s.Predicted(i, threshold) != 0) == malicious
		strictly := (s.Score(i) >= strict) == malicious
		class := s.Class[i].String()
		if malicious {
			families.add(groupKey{cmp.Or(s.Family[i], "(no family given)"), class}, right, strictly)
		}
		sources.add(groupKey{s.Source[i], class}, right, strictly)
		tld := tldOf(s.Names[i])
		if !common[tld] {
			tld = "(others)"
		}
		tlds.add(groupKey{tld, class}, right, strictly)
		lengths.add(groupKey{lengthRange(len(s.Names[i])), class}, right, strictly)
	}
	none := math.IsNaN(strict)
	m.Families, m.Sources, m.TLDs, m.Lengths = recalls(families, none), recalls(sources, none), recalls(tlds, none), recalls(lengths, none)
	slices.SortStableFunc(m.Lengths, func(a, b GroupRecall) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.Name, b.Name))
	})
}

// tldsShown is how many top-level domains have a row of their own.
const tldsShown = 20

// tldOf is the last label of a name.
func tldOf(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// commonTLDs are those of most names.
func commonTLDs(names []string) map[string]bool {
	counts := map[string]int{}
	for _, n := range names {
		counts[tldOf(n)]++
	}
	order := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	out := map[string]bool{}
	for _, t := range order[:min(tldsShown, len(order))] {
		out[t] = true
	}
	return out
}

// lengthBounds end the ranges of lengths, in bytes.
var lengthBounds = []int{8, 12, 16, 24, 40, 64, 253}

// lengthRange is the range that a length is in: "9-12".
func lengthRange(n int) string {
	low := 0
	for _, high := range lengthBounds {
		if n <= high {
			return fmt.Sprintf("%d-%d", low, high)
		}
		low = high + 1
	}
	return fmt.Sprintf("%d-", low)
}

// wilson is a share and its 95 % interval.
func wilson(of, n int) (share Number, interval [2]Number) {
	const z = 1.959963984540054
	p, m := float64(of)/float64(n), float64(n)
	middle := (p + z*z/(2*m)) / (1 + z*z/m)
	reach := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return Number(p), [2]Number{Number(max(0, middle-reach)), Number(min(1, middle+reach))}
}

// wilsonOf is the interval of a share of n.
func wilsonOf(share Number, n int) [2]Number {
	if math.IsNaN(float64(share)) || n == 0 {
		return [2]Number{Number(math.NaN()), Number(math.NaN())}
	}
	_, interval := wilson(int(math.Round(float64(share)*float64(n))), n)
	return interval
}

// recalls turns counts into shares, worst first. noStrict says that there is no strict threshold.
func recalls(from map[groupKey]*groupCount, noStrict bool) []GroupRecall {
	out := []GroupRecall{}
	for k, c := range from {
		g := GroupRecall{Name: k.name, Class: k.class, Names: c.names}
		g.Recall, g.Recall95 = wilson(c.right, c.names)
		g.RecallFPR, g.RecallFPR95 = wilson(c.strict, c.names)
		if noStrict {
			none := Number(math.NaN())
			g.RecallFPR, g.RecallFPR95 = none, [2]Number{none, none}
		}
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b GroupRecall) int {
		return cmp.Or(cmp.Compare(a.Recall, b.Recall), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Class, b.Class))
	})
	return out
}
