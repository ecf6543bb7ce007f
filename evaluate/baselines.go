package evaluate

import (
	"context"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/baseline"
	"github.com/degas-dns/degas/evaluate/metrics"
)

// baselines trains the plain classifiers on the data set's training names and measures them beside the model.
func (e evaluation) baselines(ctx context.Context) ([]metrics.Baseline, error) {
	if e.Metrics.ROCAUC.Missing() {
		return nil, nil // nothing to compare by
	}
	names, malicious, err := trainingNames(ctx, e.Data)
	if err != nil {
		return nil, err
	}
	trained, err := baseline.TrainAll(ctx, names, malicious, e.Run.Seed())
	if err != nil {
		return nil, err
	}
	var out []metrics.Baseline
	for _, t := range trained {
		scores, err := baseline.ScoreAll(ctx, t, e.Sample.Names)
		if err != nil {
			return nil, err
		}
		b := metrics.Baseline{Name: t.Name, Description: t.Description, Names: len(names)}
		if b, err = e.Metrics.MeasureBaseline(ctx, b, e.Sample, scores, e.Run.Seed()); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// trainingNames reads the training split.
func trainingNames(ctx context.Context, data *datasets.Manifest) (names []string, malicious []bool, _ error) {
	split, err := data.Open(ctx, "train")
	if err != nil {
		return nil, nil, err
	}
	defer split.Close()
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
