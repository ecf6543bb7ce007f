package metrics

import (
	"fmt"
	"math"
)

// Threshold is how a model's threshold was chosen: the lowest whose false-positive rate on a split is at most what was
// wanted.
type Threshold struct {
	Value  float64 `json:"threshold"` // inside (0, 1)
	Wanted float64 `json:"wanted_fpr"`
	Split  string  `json:"split"`
	FPR    float64 `json:"fpr"` // on the split, at Value
	TPR    float64 `json:"tpr"`
	Benign int     `json:"benign"` // names of the split
	Alarms int     `json:"alarms"` // benign names at Value or above
	// TooFew is set when fewer than ten benign names are expected above: the rate is then little more than a guess.
	TooFew bool `json:"too_few"`
}

// ChooseThreshold finds the threshold for a false-positive rate in (0, 1) on a split's sample.
func ChooseThreshold(s *Sample, split string, fpr float64) (*Threshold, error) {
	c := NewCurve(s)
	p := c.operating(fpr)
	switch {
	case c.oneKind():
		return nil, fmt.Errorf("%s: %d malicious and %d benign names: both kinds are needed",
			split, c.Positives, c.Negatives)
	case math.IsInf(float64(p.Threshold), 1):
		return nil, fmt.Errorf("%s: at every threshold more than %g of %d benign names are called malicious",
			split, fpr, c.Negatives)
	}
	return &Threshold{
		Value: validThreshold(float64(p.Threshold)), Wanted: fpr, Split: split,
		FPR: float64(p.BenignAbove) / float64(c.Negatives), TPR: float64(p.TPR),
		Benign: c.Negatives, Alarms: p.BenignAbove, TooFew: p.TooFew,
	}, nil
}

// AtThreshold is what a threshold in (0, 1) that somebody gave does on a split's sample. Wanted is 0.
func AtThreshold(s *Sample, split string, value float64) *Threshold {
	t := &Threshold{Value: value, Split: split}
	found := 0
	for i := range s.Names {
		above := s.Predicted(i, value) != 0
		if s.malicious(i) && above {
			found++
		} else if !s.malicious(i) {
			t.Benign++
			if above {
				t.Alarms++
			}
		}
	}
	t.FPR = float64(t.Alarms) / float64(max(1, t.Benign))
	t.TPR = float64(found) / float64(max(1, len(s.Names)-t.Benign))
	return t
}

// validThreshold moves a threshold of 0 or 1 inside (0, 1), as a model has it. Verdicts stay: all scores are above 0,
// and a score of 1 is above the largest number below 1.
func validThreshold(threshold float64) float64 {
	return min(max(threshold, math.SmallestNonzeroFloat32), math.Nextafter(1, 0))
}
