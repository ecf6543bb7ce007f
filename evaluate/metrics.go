package evaluate

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/sjwhitworth/golearn/evaluation"
	"gonum.org/v1/gonum/integrate"
	"gonum.org/v1/gonum/stat"
)

// Metrics is metrics.json. A number that cannot be computed, such as an area when one class is missing, is null.
type Metrics struct {
	Format     int      `json:"format"`
	Names      int      `json:"names"`
	Benign     int      `json:"benign"`
	Malicious  int      `json:"malicious"`
	Unknown    int      `json:"unknown_label"` // names left out: their label does not occur in training
	Labels     []string `json:"labels"`
	Threshold  float64  `json:"threshold"`
	ROCAUC     *float64 `json:"roc_auc"`
	ROCAUC95   []Number `json:"roc_auc_95"` // bootstrap percentile interval
	PRAUC      *float64 `json:"pr_auc"`     // average precision at the sample's own base rate
	Accuracy   Number   `json:"accuracy"`
	Precision  Number   `json:"precision"`
	Recall     Number   `json:"recall"`
	F1         Number   `json:"f1"`
	MacroF1    Number   `json:"macro_f1"`
	WeightedF1 Number   `json:"weighted_f1"`
	// Operating holds the true-positive rate at false-positive rates people deploy at.
	Operating []OperatingPoint `json:"operating_points"`
	PerLabel  []LabelMetrics   `json:"per_label"`
	// Confusion is [truth, predicted] in the order of Labels.
	Confusion [][]int       `json:"confusion"`
	Families  []GroupRecall `json:"families"` // worst first
	Sources   []GroupRecall `json:"sources"`
	Warnings  []string      `json:"warnings"`
}

// Number is a float64 whose JSON is null where it is no finite number.
type Number float64

// MarshalJSON writes null for NaN and infinities, which JSON has no words for.
func (n Number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return appendFloat(float64(n)), nil
}

// OperatingPoint is what a threshold chosen for a false-positive rate gives on this sample.
type OperatingPoint struct {
	FPR float64 `json:"fpr"` // wanted, at most
	TPR Number  `json:"tpr"`
	// Threshold is the lowest score that keeps the rate, and BenignAbove the benign names at or above it.
	Threshold   Number `json:"threshold"`
	BenignAbove int    `json:"benign_above"`
	// TooFew is set when fewer than ten benign names are expected above: the rate is then little more than a guess.
	TooFew bool `json:"too_few"`
}

// LabelMetrics are one label's one-against-all numbers.
type LabelMetrics struct {
	Label     string `json:"label"`
	Support   int    `json:"support"`
	Precision Number `json:"precision"`
	Recall    Number `json:"recall"`
	F1        Number `json:"f1"`
}

// GroupRecall is how many malicious names of a family, or from a source, are found: at the model's threshold and at a
// false-positive rate of 1e-3. For benign names of a source it is the share called benign.
type GroupRecall struct {
	Name      string `json:"name"`
	Class     string `json:"class"`
	Names     int    `json:"names"`
	Recall    Number `json:"recall"`
	RecallFPR Number `json:"recall_at_fpr_1e-3"`
}

// rates are the false-positive rates reported.
var rates = []float64{1e-2, 1e-3, 1e-4}

const bootstrapRounds = 200

// Measure computes all metrics of s at the model's threshold. seed draws the bootstrap.
func Measure(s *Sample, threshold float64, seed uint64) (*Metrics, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	c := newCurve(s)
	m := &Metrics{Format: 1, Names: len(s.Names), Benign: c.negatives, Malicious: c.positives, Unknown: s.Unknown, Labels: s.Labels,
		Threshold: threshold, Warnings: []string{}}
	if c.positives > 0 && c.negatives > 0 {
		roc, pr := c.rocAUC(), c.averagePrecision()
		m.ROCAUC, m.PRAUC = &roc, &pr
		lo, hi := c.interval(seed)
		m.ROCAUC95 = []Number{Number(lo), Number(hi)}
	} else {
		m.Warnings = append(m.Warnings, "one class is missing from the sample: areas and rates are not defined")
	}
	for _, fpr := range rates {
		m.Operating = append(m.Operating, c.operating(fpr))
	}
	m.confusion(s, threshold)
	m.groups(s, threshold, float64(m.Operating[1].Threshold))
	return m, nil
}

// curve is a sample's scores in ascending order with their truth.
type curve struct {
	scores               []float64
	malicious            []bool
	positives, negatives int
	tpr, fpr, thresholds []float64 // from stat.ROC: from (0, 0) on, thresholds falling
}

func newCurve(s *Sample) *curve {
	c := &curve{scores: make([]float64, len(s.Names)), malicious: make([]bool, len(s.Names))}
	for i := range s.Names {
		c.scores[i], c.malicious[i] = s.Score(i), s.Truth[i] != 0
		if c.malicious[i] {
			c.positives++
		}
	}
	c.negatives = len(s.Names) - c.positives
	sort.Sort(c)
	if c.positives > 0 && c.negatives > 0 {
		c.tpr, c.fpr, c.thresholds = stat.ROC(nil, c.scores, c.malicious, nil)
	}
	return c
}

func (c *curve) Len() int           { return len(c.scores) }
func (c *curve) Less(i, j int) bool { return c.scores[i] < c.scores[j] }
func (c *curve) Swap(i, j int) {
	c.scores[i], c.scores[j] = c.scores[j], c.scores[i]
	c.malicious[i], c.malicious[j] = c.malicious[j], c.malicious[i]
}

// rocAUC is the area under the ROC curve; ties count half, as the trapezoid makes them.
func (c *curve) rocAUC() float64 { return integrate.Trapezoidal(c.fpr, c.tpr) }

// pr gives precision and recall at each distinct score, from the highest down.
func (c *curve) pr() (precision, recall []float64) {
	for i, t := range c.tpr {
		found, alarms := t*float64(c.positives), c.fpr[i]*float64(c.negatives)
		if found+alarms == 0 {
			continue
		}
		precision, recall = append(precision, found/(found+alarms)), append(recall, t)
	}
	return precision, recall
}

// averagePrecision is Σ (R_n - R_n-1)·P_n, as scikit-learn defines it.
func (c *curve) averagePrecision() float64 {
	precision, recall := c.pr()
	var sum, last float64
	for i, p := range precision {
		sum += (recall[i] - last) * p
		last = recall[i]
	}
	return sum
}

// operating finds the lowest threshold whose false-positive rate is at most fpr.
func (c *curve) operating(fpr float64) OperatingPoint {
	o := OperatingPoint{FPR: fpr, TPR: Number(math.NaN()), Threshold: Number(math.NaN()), TooFew: float64(c.negatives)*fpr < 10}
	if c.positives == 0 || c.negatives == 0 {
		return o
	}
	at := 0
	for i, f := range c.fpr {
		if f <= fpr*(1+1e-9) { // 10 of 10,000 is 1e-3, whatever the last digit of the quotient
			at = i
		}
	}
	o.TPR = Number(c.tpr[at])
	o.BenignAbove = int(math.Round(c.fpr[at] * float64(c.negatives)))
	o.Threshold = Number(c.thresholds[at])
	return o
}

// interval is the 95 % percentile interval of the area under the ROC curve over resampled names.
func (c *curve) interval(seed uint64) (lo, hi float64) {
	rng := rand.New(rand.NewPCG(seed, 0x6465676173))
	var areas []float64
	counts := make([]float64, len(c.scores))
	for range bootstrapRounds {
		clear(counts)
		for range c.scores {
			counts[rng.IntN(len(counts))]++
		}
		if a := c.weightedAUC(counts); !math.IsNaN(a) {
			areas = append(areas, a)
		}
	}
	if len(areas) == 0 {
		return math.NaN(), math.NaN()
	}
	slices.Sort(areas)
	return stat.Quantile(0.025, stat.Empirical, areas, nil), stat.Quantile(0.975, stat.Empirical, areas, nil)
}

// weightedAUC is the area when name i counts w[i] times: the share of pairs in which the malicious name scores higher.
func (c *curve) weightedAUC(w []float64) float64 {
	var below, pairs, positives float64
	for i := 0; i < len(w); {
		var p, n float64
		for j := i; i < len(w) && c.scores[i] == c.scores[j]; i++ {
			if c.malicious[i] {
				p += w[i]
			} else {
				n += w[i]
			}
		}
		pairs += p * (below + n/2)
		below += n
		positives += p
	}
	return pairs / (positives * below)
}

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
	var macro, weighted float64
	used := 0
	for i, l := range s.Labels {
		support := 0
		for _, n := range m.Confusion[i] {
			support += n
		}
		p := LabelMetrics{Label: l, Support: support, Precision: Number(evaluation.GetPrecision(l, matrix)), Recall: Number(evaluation.GetRecall(l, matrix))}
		tp := float64(m.Confusion[i][i])
		p.F1 = Number(2 * tp / (2*tp + evaluation.GetFalsePositives(l, matrix) + evaluation.GetFalseNegatives(l, matrix)))
		m.PerLabel = append(m.PerLabel, p)
		if support > 0 {
			used++
			macro += float64(p.F1)
			weighted += float64(p.F1) * float64(support)
		}
	}
	m.MacroF1, m.WeightedF1 = Number(macro/float64(used)), Number(weighted/float64(len(s.Truth)))
}

// groups fills in the recall of each family and source.
func (m *Metrics) groups(s *Sample, threshold, strict float64) {
	type key struct{ name, class string }
	type count struct{ names, right, strict int }
	families, sources := map[key]*count{}, map[key]*count{}
	add := func(to map[key]*count, k key, right, strictly bool) {
		c := to[k]
		if c == nil {
			c = &count{}
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
		flagged := s.Predicted(i, threshold) != 0
		strictly := (s.Score(i) >= strict) == malicious
		class := s.Class[i].String()
		if malicious {
			name := s.Family[i]
			if name == "" {
				name = "(no family given)"
			}
			add(families, key{name, class}, flagged, strictly)
		}
		add(sources, key{s.Source[i], class}, flagged == malicious, strictly)
	}
	list := func(from map[key]*count) []GroupRecall {
		out := []GroupRecall{}
		for k, c := range from {
			n := float64(c.names)
			g := GroupRecall{Name: k.name, Class: k.class, Names: c.names, Recall: Number(float64(c.right) / n), RecallFPR: Number(float64(c.strict) / n)}
			if math.IsNaN(strict) {
				g.RecallFPR = Number(math.NaN())
			}
			out = append(out, g)
		}
		slices.SortFunc(out, func(a, b GroupRecall) int {
			if a.Recall != b.Recall {
				return int(math.Copysign(1, float64(a.Recall-b.Recall)))
			}
			if a.Name != b.Name {
				return map[bool]int{true: -1, false: 1}[a.Name < b.Name]
			}
			return map[bool]int{true: -1, false: 1}[a.Class < b.Class]
		})
		return out
	}
	m.Families, m.Sources = list(families), list(sources)
}
