package evaluate

import (
	"context"
	"errors"
	"fmt"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/report"
	"github.com/degas-dns/degas/evaluate/rundir"
)

// Compare measures runs, or models in version directories, on one split of one data set, the first run's unless o says
// otherwise (o.RunDir is not read). With o.Out set it writes compare.json and roc.png there.
func Compare(ctx context.Context, runs []string, o RunOptions) (*metrics.Comparison, error) {
	if len(runs) < 2 {
		return nil, errors.New("compare: needs two models. Try: another run, a version directory of export-model or " +
			"builtin beside the first")
	}
	out := o.Out // "" writes nothing
	var scored []metrics.Compared
	var data *datasets.Manifest // all runs are measured on one version of it
	for _, dir := range runs {
		run, err := rundir.OpenModel(dir)
		if err == nil && data == nil {
			o = o.complete(run, "test")
			data, err = readData(ctx, o.Data)
		}
		var c metrics.Compared
		if err == nil {
			c, err = compared(ctx, run, data, o)
		}
		if err != nil {
			return nil, fmt.Errorf("compare %s: %w", dir, err)
		}
		scored = append(scored, c)
	}
	c, err := metrics.Compare(ctx, o.Data, o.Split, scored)
	if err != nil || out == "" {
		return c, err
	}
	return c, report.WriteComparison(out, c)
}

// compared scores the options' split of data with run.
func compared(
	ctx context.Context, run *rundir.Run, data *datasets.Manifest, o RunOptions,
) (metrics.Compared, error) {
	_, s, err := score(ctx, run, data, o)
	foreign, from := run.Model.Dataset != data.Fingerprint, ""
	if !foreign && run.BeganElsewhere(data.Fingerprint) {
		from = run.Config.From
	}
	return metrics.Compared{
		Run: run.Dir, Parameters: run.Model.Weights.Size(), Threshold: run.Model.Threshold, Sample: s,
		Foreign: foreign || from != "", From: from,
	}, err
}
