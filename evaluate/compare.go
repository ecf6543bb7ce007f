package evaluate

import (
	"context"
	"fmt"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/report"
	"github.com/degas-dns/degas/evaluate/rundir"
)

// Compare measures runs on one split of one data set, the first run's unless o says otherwise (o.RunDir is not read).
// With o.Out set it writes compare.json and roc.png there.
func Compare(ctx context.Context, runs []string, o RunOptions) (*metrics.Comparison, error) {
	if len(runs) < 2 {
		return nil, fmt.Errorf("compare: %d runs, needs two", len(runs))
	}
	out := o.Out // "" writes nothing
	var scored []metrics.Compared
	for _, dir := range runs {
		c, completed, err := compared(ctx, dir, o)
		if err != nil {
			return nil, fmt.Errorf("compare %s: %w", dir, err)
		}
		scored, o = append(scored, c), completed
	}
	c, err := metrics.Compare(ctx, o.Data, o.Split, scored)
	if err != nil || out == "" {
		return c, err
	}
	return c, report.WriteComparison(out, c)
}

// compared scores the options' split with the run in dir. It also returns the options, in which the run fills in what
// they leave open.
func compared(ctx context.Context, dir string, o RunOptions) (c metrics.Compared, _ RunOptions, err error) {
	run, err := rundir.Open(dir)
	if err != nil {
		return c, o, err
	}
	o = o.complete(run, "test")
	data, err := datasets.ReadManifest(o.Data)
	if err != nil {
		return c, o, err
	}
	_, s, err := score(ctx, run, o)
	return metrics.Compared{
		Run: dir, Parameters: run.Model.Weights.Size(), Threshold: run.Model.Threshold, Sample: s,
		Foreign: run.Model.Dataset != data.Fingerprint || run.BeganElsewhere(data.Fingerprint),
	}, o, err
}
