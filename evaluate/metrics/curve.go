package metrics

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/integrate"
	"gonum.org/v1/gonum/stat"
)

// Curve is the ROC curve of scored names. Without malicious or without benign names it has no points, and its numbers
// are missing.
type Curve struct {
	Positives, Negatives int // malicious and benign names
	// FPR and TPR are the curve's points from (0, 0) on, one a distinct score.
	FPR, TPR   []float64
	thresholds []float64 // of the points, falling
	scores     []float64 // rising
	malicious  []bool    // in the order of scores
	order      []int     // places in the sample, in the order of scores
}

// OperatingPoint is what a threshold chosen for a false-positive rate gives on this sample. The threshold is read off
// the sample itself, so its rate on other names differs.
type OperatingPoint struct {
	FPR float64 `json:"fpr"` // wanted, at most
	TPR Number  `json:"tpr"`
	// TPR95 is the bootstrap's 95 % interval, the threshold read off anew each time; nulls where none was asked for.
	TPR95 [2]Number `json:"tpr_95"`
	// Threshold is the lowest score that keeps the rate, null when none does, and BenignAbove the benign names at or
	// above it. A name is called malicious at a score of Threshold or more, as model.Verdict does.
	Threshold   Number `json:"threshold"`
	BenignAbove int    `json:"benign_above"`
	// TooFew is set when fewer than ten benign names are expected above: the rate is then little more than a guess.
	TooFew bool `json:"too_few"`
}

// NewCurve is the curve of a sample.
func NewCurve(s *Sample) *Curve {
	scores := make([]float64, len(s.Names))
	for i := range scores {
		scores[i] = s.Score(i)
	}
	return newCurve(scores, s.malicious)
}

// newCurve is the curve of scores; malicious tells the kind of the i-th.
func newCurve(scores []float64, malicious func(i int) bool) *Curve {
	c := &Curve{order: make([]int, len(scores))}
	for i := range scores {
		c.order[i] = i
	}
	slices.SortFunc(c.order, func(a, b int) int { return cmp.Compare(scores[a], scores[b]) })
	for _, i := range c.order {
		c.scores, c.malicious = append(c.scores, scores[i]), append(c.malicious, malicious(i))
		if malicious(i) {
			c.Positives++
		}
	}
	c.Negatives = len(scores) - c.Positives
	if !c.oneKind() {
		c.TPR, c.FPR, c.thresholds = stat.ROC(nil, c.scores, c.malicious, nil)
	}
	return c
}

// oneKind reports that malicious or benign names are missing.
func (c *Curve) oneKind() bool { return c.Positives == 0 || c.Negatives == 0 }

// ROCAUC is the area under the ROC curve; ties count half, as the trapezoid makes them.
func (c *Curve) ROCAUC() Number {
	if c.oneKind() {
		return none
	}
	return Number(integrate.Trapezoidal(c.FPR, c.TPR))
}

// partialAUC is the area up to a false-positive rate, standardised as McClish does
// (doi:10.1177/0272989X8900900307): 0.5 for chance, 1 for a perfect order.
func (c *Curve) partialAUC(rate float64) Number {
	if c.oneKind() {
		return none
	}
	var area float64
	for i := 1; i < len(c.FPR) && c.FPR[i-1] < rate; i++ {
		from, to, low, high := c.FPR[i-1], c.FPR[i], c.TPR[i-1], c.TPR[i]
		if to > rate {
			high, to = low+(high-low)*(rate-from)/(to-from), rate
		}
		area += (to - from) * (low + high) / 2
	}
	chance := rate * rate / 2
	return Number((1 + (area-chance)/(rate-chance)) / 2)
}

// BaseRate is the share of malicious names.
func (c *Curve) BaseRate() float64 { return float64(c.Positives) / float64(c.Positives+c.Negatives) }

// PR gives precision and recall at each distinct score, from the highest down, if malicious names had the given share.
func (c *Curve) PR(share float64) (precision, recall []float64) {
	for i := 1; i < len(c.TPR); i++ { // nothing is above the first threshold
		found, alarms := c.TPR[i]*share, c.FPR[i]*(1-share)
		precision, recall = append(precision, found/(found+alarms)), append(recall, c.TPR[i])
	}
	return precision, recall
}

// averagePrecision is Σ (R_n - R_n-1)·P_n, as scikit-learn defines it, at a base rate.
func (c *Curve) averagePrecision(share float64) Number {
	if c.oneKind() {
		return none
	}
	precision, recall := c.PR(share)
	var sum, last float64
	for i, p := range precision {
		sum += (recall[i] - last) * p
		last = recall[i]
	}
	return Number(sum)
}

// operating finds the lowest threshold whose false-positive rate is at most fpr.
func (c *Curve) operating(fpr float64) OperatingPoint {
	o := OperatingPoint{FPR: fpr, TPR: none, TPR95: noInterval, Threshold: none,
		TooFew: float64(c.Negatives)*fpr < fewAlarms}
	if c.oneKind() {
		return o
	}
	// 10 of 10,000 is 1e-3, whatever the last digit of the quotient.
	at, allowed := 0, fpr*float64(c.Negatives)*(1+1e-9)
	for i, f := range c.FPR {
		if math.Round(f*float64(c.Negatives)) <= allowed {
			at = i
		}
	}
	o.TPR, o.Threshold = Number(c.TPR[at]), Number(c.thresholds[at])
	o.BenignAbove = int(math.Round(c.FPR[at] * float64(c.Negatives)))
	return o
}

// operatingPoints are those at reportedRates.
func (c *Curve) operatingPoints() []OperatingPoint {
	var out []OperatingPoint
	for _, fpr := range reportedRates {
		out = append(out, c.operating(fpr))
	}
	return out
}
