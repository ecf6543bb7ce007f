package evaluate

import (
	"math"
	"sort"

	"gonum.org/v1/gonum/integrate"
	"gonum.org/v1/gonum/stat"
)

// curve is a sample's scores in ascending order with their truth.
type curve struct {
	scores               []float64
	malicious            []bool
	at                   []int // in the sample
	positives, negatives int
	tpr, fpr, thresholds []float64 // from stat.ROC: from (0, 0) on, thresholds falling
}

func newCurve(s *Sample) *curve {
	scores := make([]float64, len(s.Names))
	for i := range scores {
		scores[i] = s.Score(i)
	}
	return newScoredCurve(s, scores)
}

// newScoredCurve is newCurve for other scores of the sample's names, which it sorts.
func newScoredCurve(s *Sample, scores []float64) *curve {
	return newCurveOf(scores, func(i int) bool { return s.Truth[i] != 0 })
}

// newCurveOf sorts scores, of which malicious says what the i-th belonged to.
func newCurveOf(scores []float64, malicious func(i int) bool) *curve {
	c := &curve{scores: scores, malicious: make([]bool, len(scores)), at: make([]int, len(scores))}
	for i := range scores {
		c.at[i] = i
		if c.malicious[i] = malicious(i); c.malicious[i] {
			c.positives++
		}
	}
	c.negatives = len(scores) - c.positives
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
	c.at[i], c.at[j] = c.at[j], c.at[i]
}

// rocAUC is the area under the ROC curve; ties count half, as the trapezoid makes them.
func (c *curve) rocAUC() float64 { return integrate.Trapezoidal(c.fpr, c.tpr) }

// partialAUC is the area up to a false-positive rate, standardised as McClish does (doi:10.1177/0272989X8900900307): 0.5 for
// chance, 1 for a perfect order.
func (c *curve) partialAUC(rate float64) float64 {
	var area float64
	for i := 1; i < len(c.fpr) && c.fpr[i-1] < rate; i++ {
		from, to, low, high := c.fpr[i-1], c.fpr[i], c.tpr[i-1], c.tpr[i]
		if to > rate {
			high, to = low+(high-low)*(rate-from)/(to-from), rate
		}
		area += (to - from) * (low + high) / 2
	}
	chance := rate * rate / 2
	return (1 + (area-chance)/(rate-chance)) / 2
}

// baseRate is the share of malicious names.
func (c *curve) baseRate() float64 { return float64(c.positives) / float64(c.positives+c.negatives) }

// pr gives precision and recall at each distinct score, from the highest down, if malicious names had the given share.
func (c *curve) pr(share float64) (precision, recall []float64) {
	for i := 1; i < len(c.tpr); i++ { // nothing is above the first threshold
		found, alarms := c.tpr[i]*share, c.fpr[i]*(1-share)
		precision, recall = append(precision, found/(found+alarms)), append(recall, c.tpr[i])
	}
	return precision, recall
}

// averagePrecision is Σ (R_n - R_n-1)·P_n, as scikit-learn defines it, at a base rate.
func (c *curve) averagePrecision(share float64) float64 {
	precision, recall := c.pr(share)
	var sum, last float64
	for i, p := range precision {
		sum += (recall[i] - last) * p
		last = recall[i]
	}
	return sum
}

// operating finds the lowest threshold whose false-positive rate is at most fpr.
func (c *curve) operating(fpr float64) OperatingPoint {
	none := Number(math.NaN())
	o := OperatingPoint{FPR: fpr, TPR: none, TPR95: [2]Number{none, none}, Threshold: none, TooFew: float64(c.negatives)*fpr < 10}
	if c.positives == 0 || c.negatives == 0 {
		return o
	}
	at, allowed := 0, fpr*float64(c.negatives)*(1+1e-9) // 10 of 10,000 is 1e-3, whatever the last digit of the quotient
	for i, f := range c.fpr {
		if math.Round(f*float64(c.negatives)) <= allowed {
			at = i
		}
	}
	o.TPR = Number(c.tpr[at])
	o.BenignAbove = int(math.Round(c.fpr[at] * float64(c.negatives)))
	o.Threshold = Number(c.thresholds[at])
	return o
}

// atRates are the operating points that are reported.
func (c *curve) atRates() []OperatingPoint {
	var out []OperatingPoint
	for _, fpr := range rates {
		out = append(out, c.operating(fpr))
	}
	return out
}
