package evaluate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/report"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/model"
)

// ReadSummary reads the numbers for the model card from a run's evaluation: areas, rates, F1. It returns none if the
// run, as it is now, has not been evaluated on the test split of its data, and warns if it was on something else.
func ReadSummary(run string) (map[string]float64, error) {
	if run == model.BuiltinName { // its card has its numbers
		return nil, nil
	}
	m, reason, err := ReadMetrics(run)
	if m == nil || err != nil {
		return nil, err
	}
	if reason != "" {
		slog.Warn("the run's evaluation is left out of the model card: "+reason+
			". Try: degas evaluate-model "+run, "file", SummaryFile(run))
		return nil, nil
	}
	numbers := map[string]metrics.Number{
		"names": metrics.Number(m.Names), "accuracy": m.Accuracy, "f1": m.F1, "precision": m.Precision, "recall": m.Recall,
		"roc_auc": m.ROCAUC, "pr_auc": m.PRAUC,
	}
	for _, o := range m.Operating {
		if !o.TooFew {
			numbers[fmt.Sprintf("tpr_at_fpr_%.0e", o.FPR)] = o.TPR
		}
	}
	out := map[string]float64{}
	for name, x := range numbers {
		if !x.Missing() { // a model that calls no name malicious has no precision
			out[name] = float64(x)
		}
	}
	return out, nil
}

// ReadMetrics reads the evaluation of a run or of model.BuiltinName. It returns nil if there is none. unfit says why
// the numbers are not those of the run, as it is now, on the test split of its data; "" if they are.
func ReadMetrics(run string) (m *metrics.Metrics, unfit string, err error) {
	path := SummaryFile(run)
	data, err := userfile.Read(path, userfile.Text)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	} else if err != nil {
		return nil, "", err
	}
	m = &metrics.Metrics{}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, "", fmt.Errorf("read %s: %w", path, err)
	}
	trained, err := model.LoadNamed(run)
	if err != nil {
		return nil, "", err
	}
	digest, err := trained.Digest()
	if err != nil {
		return nil, "", err
	}
	return m, notFor(m, trained.Dataset, digest), nil
}

// SummaryFile is what ReadSummary reads.
func SummaryFile(run string) string { return filepath.Join(OutputDir(run), report.MetricsFile) }

// notFor is why m's numbers do not belong on the model card; "" if they do.
func notFor(m *metrics.Metrics, trainedOn, digest string) string {
	switch {
	case m.Split != "test":
		return fmt.Sprintf("it is of the split %q, not of test", m.Split)
	case m.Dataset != trainedOn:
		return "it is of another data set than the model was trained on"
	case m.Model != digest:
		return "the model has changed since"
	}
	return ""
}
