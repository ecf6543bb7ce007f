package evaluate

import (
	"context"
	"errors"
	"fmt"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/baseline"
)

// Baseline is a plain classifier, trained on the training names of the data set and measured on the same names as the
// model.
type Baseline struct {
	Name        string           `json:"name"`
	Description string           `json:"description"`
	Names       int              `json:"names"` // that it had to train on
	ROCAUC      Number           `json:"roc_auc"`
	Operating   []OperatingPoint `json:"operating_points"`
	// Beats says that the model does not beat it: it finds as much or more at the lowest rate of false alarms that the sample has
	// names enough for.
	Beats bool `json:"beats_the_model"`
}

// baselines trains the plain classifiers on data's training names and measures them on s.
func (m *Metrics) baselines(ctx context.Context, s *Sample, data string, seed uint64) error {
	if m.Benign == 0 || m.Malicious == 0 {
		return nil // nothing to compare by
	}
	names, malicious, err := trainingNames(ctx, data)
	if err != nil {
		return err
	}
	trained, err := baseline.TrainAll(ctx, names, malicious, seed)
	if err != nil {
		return err
	}
	for _, t := range trained {
		scores, err := baseline.ScoreAll(ctx, t, s.Names)
		if err != nil {
			return err
		}
		c := newScoredCurve(s, scores)
		b := Baseline{Name: t.Name, Description: t.Description, Names: t.Names, ROCAUC: Number(c.rocAUC()), Operating: c.atRates()}
		if _, err := c.bootstrap(ctx, seed, b.Operating); err != nil {
			return err
		}
		b.Beats = m.beatenBy(b)
		if b.Beats {
			m.Warnings = append(m.Warnings, fmt.Sprintf("This model does not beat a plain classifier: %s (%s). See the table of baselines.", b.Name, b.Description))
		}
		m.Baselines = append(m.Baselines, b)
	}
	return nil
}

// beatenBy compares at the strictest rate that can be trusted, or by area where none can.
func (m *Metrics) beatenBy(b Baseline) bool {
	for i := len(m.Operating) - 1; i >= 0; i-- {
		if ours, theirs := m.Operating[i], b.Operating[i]; !ours.TooFew {
			return theirs.TPR >= ours.TPR
		}
	}
	return m.ROCAUC != nil && float64(b.ROCAUC) >= *m.ROCAUC
}

// trainingNames reads the training split.
func trainingNames(ctx context.Context, data string) (names []string, malicious []bool, err error) {
	split, err := datasets.Open(data, "train")
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, split.Close()) }()
	for b, err := range split.Batches(ctx) {
		if err != nil {
			return nil, nil, err
		}
		names = append(names, b.Names...)
		for _, c := range b.Class {
			malicious = append(malicious, c != datasets.Benign)
		}
	}
	return names, malicious, nil
}
