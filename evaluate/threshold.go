package evaluate

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
)

// Threshold is how a model's threshold was chosen: the lowest whose false-positive rate on a split is at most what was
// wanted.
type Threshold struct {
	Value  float64 `json:"threshold"`
	Wanted float64 `json:"wanted_fpr"`
	Split  string  `json:"split"`
	FPR    float64 `json:"fpr"` // on the split, at Value
	TPR    float64 `json:"tpr"`
	Benign int     `json:"benign"` // names of the split
	Alarms int     `json:"alarms"` // benign names at Value or above
	// TooFew is set when fewer than ten benign names are expected above: the rate is then little more than a guess.
	TooFew bool `json:"too_few"`
}

// ChooseThreshold scores a split of a run, validation unless o says otherwise, and keeps the threshold for a false-positive
// rate in the run's model, which exports and predictions then use. A rate chosen on the split that is reported later would
// be too good: the test split is refused.
func ChooseThreshold(ctx context.Context, o RunOptions, fpr float64) (*Threshold, error) {
	t, err := chooseThreshold(ctx, o, fpr)
	if err != nil {
		return nil, fmt.Errorf("choose a threshold for %s: %w", o.RunDir, err)
	}
	return t, nil
}

func chooseThreshold(ctx context.Context, o RunOptions, fpr float64) (*Threshold, error) {
	if !(fpr > 0 && fpr < 1) {
		return nil, fmt.Errorf("a false-positive rate of %g is not between 0 and 1", fpr)
	}
	m, s, o, err := scoreForTuning(ctx, o)
	if err != nil {
		return nil, err
	}
	t, err := newCurve(s).threshold(fpr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Split, err)
	}
	t.Split = o.Split
	m.Threshold, m.ThresholdFPR = t.Value, fpr
	if err := m.Save(filepath.Join(o.RunDir, "model")); err != nil {
		return nil, err
	}
	return t, tuned{"choose-threshold", fpr, o.Data, o.Split, t.Value}.note(o.RunDir)
}

// threshold is the operating point for a rate as a threshold that a model can have.
func (c *curve) threshold(fpr float64) (*Threshold, error) {
	p := c.operating(fpr)
	t := &Threshold{Value: float64(p.Threshold), Wanted: fpr, TPR: float64(p.TPR), Benign: c.negatives, Alarms: p.BenignAbove, TooFew: p.TooFew}
	switch {
	case c.positives == 0 || c.negatives == 0:
		return nil, fmt.Errorf("%d malicious and %d benign names: both kinds are needed", c.positives, c.negatives)
	case math.IsInf(t.Value, 1):
		return nil, fmt.Errorf("at every threshold more than %g of %d benign names are called malicious", fpr, c.negatives)
	}
	t.Value = within(t.Value)
	t.FPR = float64(t.Alarms) / float64(t.Benign)
	return t, nil
}

// within brings a threshold into the open interval from 0 to 1, as a model has it: all scores are above 0, where the lowest
// threshold may be any below them, and a score of 1 is above the largest number below 1.
func within(threshold float64) float64 {
	return min(max(threshold, math.SmallestNonzeroFloat32), math.Nextafter(1, 0))
}
