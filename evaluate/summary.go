package evaluate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ReadSummary reads the numbers of a run's evaluation that belong on a label: areas, rates, F1. It returns none when the
// run has not been evaluated.
func ReadSummary(run string) (map[string]float64, error) {
	path := filepath.Join(run, "evaluation", "metrics.json")
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
	out := map[string]float64{"names": float64(m.Names), "accuracy": float64(m.Accuracy), "f1": float64(m.F1), "precision": float64(m.Precision), "recall": float64(m.Recall)}
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
