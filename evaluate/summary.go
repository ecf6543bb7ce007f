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
// run, as it is now, has not been evaluated on the test split of its data. If it was on something else, ReadSummary
// warns, and leftOut says why the evaluation does not count.
func ReadSummary(run string) (numbers map[string]float64, leftOut string, err error) {
	if run == model.BuiltinName { // its card has its numbers
		return nil, "", nil
	}
	path := SummaryFile(run)
	m, err := ReadMetrics(OutputDir(run))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	} else if err != nil {
		return nil, "", err
	}
	trained, err := model.Load(filepath.Join(run, "model"))
	if err != nil {
		return nil, "", err
	}
	digest, err := trained.Digest()
	if err != nil {
		return nil, "", err
	}
	if reason := unfit(m, trained.Dataset, digest); reason != "" {
		slog.Warn("the run's evaluation is left out of the model card: "+reason+
			". Try: degas evaluate-model "+run, "file", path)
		return nil, reason, nil
	}
	measured := map[string]metrics.Number{
		"names": metrics.Number(m.Names), "accuracy": m.Accuracy, "f1": m.F1, "precision": m.Precision, "recall": m.Recall,
		"roc_auc": m.ROCAUC, "pr_auc": m.PRAUC,
	}
	for _, o := range m.Operating {
		if !o.TooFew {
			measured[fmt.Sprintf("tpr_at_fpr_%.0e", o.FPR)] = o.TPR
		}
	}
	numbers = map[string]float64{}
	for name, x := range measured {
		if !x.Missing() { // a model that calls no name malicious has no precision
			numbers[name] = float64(x)
		}
	}
	return numbers, "", nil
}

// ReadMetrics reads the numbers of the evaluation in a folder that Run wrote.
func ReadMetrics(dir string) (*metrics.Metrics, error) {
	return readNumbers[metrics.Metrics](filepath.Join(dir, report.MetricsFile))
}

// ReadComparison reads the numbers in a folder that Compare wrote.
func ReadComparison(dir string) (*metrics.Comparison, error) {
	return readNumbers[metrics.Comparison](filepath.Join(dir, report.ComparisonFile))
}

func readNumbers[T any](path string) (*T, error) {
	data, err := userfile.Read(path, userfile.Text)
	if err != nil {
		return nil, err
	}
	out := new(T)
	if err := json.Unmarshal(data, out); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return out, nil
}

// SummaryFile is what ReadSummary reads.
func SummaryFile(run string) string { return filepath.Join(OutputDir(run), report.MetricsFile) }

// unfit is why m's numbers do not belong on the model card; "" if they do.
func unfit(m *metrics.Metrics, trainedOn, digest string) string {
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

// ReadEvaluation reads the evaluation of a run or of model.BuiltinName. It returns nil if there is none. why says why
// the numbers are not those of the model, as it is now, on the test split of its data; "" if they are.
func ReadEvaluation(run string) (m *metrics.Metrics, why string, err error) {
	m, err = ReadMetrics(OutputDir(run))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	} else if err != nil {
		return nil, "", err
	}
	trained, err := model.LoadNamed(run)
	if err != nil {
		return nil, "", err
	}
	digest, err := trained.Digest()
	if err != nil {
		return nil, "", err
	}
	return m, unfit(m, trained.Dataset, digest), nil
}
