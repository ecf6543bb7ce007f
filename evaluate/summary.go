package evaluate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/model"
)

// ReadSummary reads the numbers of a run's evaluation that belong on a label: areas, rates, F1. It returns none when the
// run, as it is now, has not been evaluated on the test split of its data, and says so where it was on something else.
func ReadSummary(run string) (map[string]float64, error) {
	path := SummaryFile(run)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var m Metrics
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	trained, err := model.Load(filepath.Join(run, "model"))
	if err != nil {
		return nil, err
	}
	if reason, err := m.unfit(trained); err != nil || reason != "" {
		if reason != "" {
			slog.Warn("the run's evaluation is left out of the model card: "+reason+". Try: degas evaluate-model "+run, "file", path)
		}
		return nil, err
	}
	out := map[string]float64{"names": float64(m.Names)}
	for name, v := range map[string]Number{"accuracy": m.Accuracy, "f1": m.F1, "precision": m.Precision, "recall": m.Recall} {
		if !math.IsNaN(float64(v)) { // a model that calls no name malicious has no precision
			out[name] = float64(v)
		}
	}
	if m.ROCAUC == nil || m.PRAUC == nil {
		return out, nil
	}
	out["roc_auc"], out["pr_auc"] = *m.ROCAUC, *m.PRAUC
	for _, o := range m.Operating {
		if !o.TooFew {
			out[fmt.Sprintf("tpr_at_fpr_%.0e", o.FPR)] = float64(o.TPR)
		}
	}
	return out, nil
}

// SummaryFile is what ReadSummary reads.
func SummaryFile(run string) string { return filepath.Join(run, "evaluation", metricsFile) }

// unfit is why these are no numbers to put on a model's label; "" when they are.
func (m *Metrics) unfit(trained *model.Model) (string, error) {
	digest, err := trained.Digest()
	switch {
	case err != nil:
		return "", err
	case m.Split != "test":
		return fmt.Sprintf("it is of the split %q, not of test", m.Split), nil
	case m.Dataset != trained.Dataset:
		return "it is of another data set than the model was trained on", nil
	case m.Model != digest:
		return "the model has changed since", nil
	}
	return "", nil
}
