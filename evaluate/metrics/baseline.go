package metrics

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Baseline is a plain classifier, trained on the training names of the data set and measured on the same names as the
// model.
type Baseline struct {
	Name        string           `json:"name"`
	Description string           `json:"description"`
	Names       int              `json:"names"` // that it had to train on
	ROCAUC      Number           `json:"roc_auc"`
	Operating   []OperatingPoint `json:"operating_points"`
	// Beats says that at the lowest FPR that the sample can measure, the baseline's TPR is at least the model's. The
	// ROC-AUC decides where the sample can measure none.
	Beats bool `json:"beats_the_model"`
}

// MeasureBaseline fills in what b finds of the names of s, for which it has given scores, and whether it beats the
// model that m is about.
func (m *Metrics) MeasureBaseline(
	ctx context.Context, b Baseline, s *Sample, scores []float64, seed uint64,
) (Baseline, error) {
	c := newCurve(scores, s.malicious)
	b.ROCAUC, b.Operating = c.ROCAUC(), c.operatingPoints()
	_, err := c.bootstrap(ctx, seed, b.Operating)
	b.Beats = m.beatenBy(b)
	return b, err
}

// beatenBy computes Baseline.Beats.
func (m *Metrics) beatenBy(b Baseline) bool {
	for i, ours := range slices.Backward(m.Operating) {
		if !ours.TooFew {
			return b.Operating[i].TPR >= ours.TPR
		}
	}
	return b.ROCAUC >= m.ROCAUC
}

// Beaten says which plain classifiers the model does not beat, and what may help; "" if it beats all that were trained.
func (m *Metrics) Beaten() string {
	var better []string
	for _, b := range m.Baselines {
		if b.Beats {
			better = append(better, fmt.Sprintf("%s %.4f", b.Name, b.ROCAUC))
		}
	}
	if len(better) == 0 {
		return ""
	}
	return fmt.Sprintf("This model does not beat a plain classifier: ROC-AUC %.4f, %s. Try: more names, more epochs, or "+
		"--arch auto.", m.ROCAUC, strings.Join(better, ", "))
}
