// Package evaluate is the stage that measures a trained run: it loads the run and a split, scores the names, and leaves
// metrics.json, pictures and a report. Run does it for one run, Compare for several; ChooseThreshold and Calibrate
// change a run's model by what they measure.
//
// The numbers are in evaluate/metrics, pages and pictures in evaluate/report, the files of a run in evaluate/rundir.
package evaluate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/report"
	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/model"
)

// RunOptions say what to measure and where the result goes.
type RunOptions struct {
	RunDir string // as train-model wrote it
	Data   string // process-data's output; "" is the run's own
	Split  string // "" is test, or validation to tune a model on
	Out    string // directory, "" is RunDir/evaluation
	// Baselines also trains plain classifiers on the training names and measures them beside the model.
	Baselines bool
	// Progress, if not nil, is told names done of total.
	Progress func(done, total int64)
}

// complete fills in what o leaves open for a run.
func (o RunOptions) complete(run *rundir.Run, split string) RunOptions {
	o.Data, o.Split = cmp.Or(o.Data, run.Config.Data), cmp.Or(o.Split, split)
	o.Out = cmp.Or(o.Out, evaluationDir(o.RunDir))
	return o
}

func evaluationDir(run string) string { return filepath.Join(run, "evaluation") }

// loaded is what an evaluation reads before it measures.
type loaded struct {
	options        RunOptions // filled in
	run            *rundir.Run
	history        rundir.History
	tunings        []rundir.Tuning
	generalisation []metrics.Generalisation
	data           *datasets.Manifest
}

// measured is what a model says of a split, and the numbers that follow.
type measured struct {
	classifier *model.Classifier
	sample     *metrics.Sample
	metrics    metrics.Metrics
}

// Run scores a split with a run's model and writes metrics.json, plots/*.png, report.html and report.md. The output
// directory is replaced when all of it is complete; until then, and on any error, an earlier one stays as it was.
func Run(ctx context.Context, o RunOptions) (*metrics.Metrics, error) {
	l, err := load(o)
	if err != nil {
		return nil, err
	}
	m, err := measure(ctx, l)
	if err != nil {
		return nil, err
	}
	explained, err := explain(ctx, l, m)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil { // interrupted while nobody looked: the earlier evaluation stays
		return nil, err
	}
	return explained, write(l.options.Out, &report.Evaluation{
		Run: l.run, History: l.history, Tunings: l.tunings, DataDir: l.options.Data, Data: l.data, Split: l.options.Split,
		Sample: m.sample, Metrics: explained,
	})
}

// load reads the run and describes what it is measured on. It refuses an output directory that it must not replace.
func load(o RunOptions) (*loaded, error) {
	run, err := rundir.Open(o.RunDir)
	if err != nil {
		return nil, err
	}
	l := &loaded{options: o.complete(run, "test"), run: run}
	if err := replaceable(l.options.Out); err != nil {
		return nil, err
	}
	if l.data, err = datasets.ReadManifest(l.options.Data); err != nil {
		return nil, err
	}
	if l.generalisation, err = run.Generalisations(l.data.Fingerprint); err != nil {
		return nil, err
	}
	if l.history, err = run.History(); err != nil {
		return nil, err
	}
	l.tunings, err = run.Tunings()
	return l, err
}

// measure scores the split and computes its numbers.
func measure(ctx context.Context, l *loaded) (*measured, error) {
	c, s, err := score(ctx, l.run, l.options)
	if err != nil {
		return nil, err
	}
	m, err := metrics.Measure(ctx, s, l.run.Model.Threshold, l.run.Seed())
	if err != nil {
		return nil, err
	}
	m.Split, m.Dataset = l.options.Split, l.data.Fingerprint
	m.Model, err = l.run.Model.Digest()
	return &measured{c, s, *m}, err
}

// explain gives the numbers with what helps to judge them: probes, protocols, plain classifiers, warnings.
func explain(ctx context.Context, l *loaded, m *measured) (*metrics.Metrics, error) {
	out := m.metrics
	out.Generalisation = l.generalisation
	var err error
	if out.Probes, err = metrics.Probes(ctx, m.classifier, m.sample, l.run.Seed()); err != nil {
		return nil, err
	}
	if l.options.Baselines {
		if out.Baselines, err = baselines(ctx, l, m); err != nil {
			return nil, err
		}
	}
	out.Warnings = append(out.Warnings, warnings(l, m.sample, &out)...)
	return &out, nil
}

// score scores the options' split with the run's model.
func score(ctx context.Context, run *rundir.Run, o RunOptions) (*model.Classifier, *metrics.Sample, error) {
	c, err := model.NewClassifier(run.Model)
	if err != nil {
		return nil, nil, err
	}
	split, err := datasets.Open(o.Data, o.Split)
	if err != nil {
		return nil, nil, err
	}
	defer split.Close()
	s, err := metrics.ScoreSplit(ctx, c, split, run.Config.Target, o.Progress)
	if err != nil {
		return nil, nil, fmt.Errorf("score %s of %s: %w", o.Split, o.Data, err)
	}
	return c, s, nil
}

// replaceable says why an evaluation cannot take the place of what is at out: nothing but an earlier one is replaced.
func replaceable(out string) error {
	entries, err := os.ReadDir(out)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write the evaluation to %s: %w", out, err)
	}
	for _, name := range []string{report.MetricsFile, report.PageFile} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			return fmt.Errorf("write the evaluation to %s: it holds no %s and so is no evaluation, which could be replaced: %w",
				out, name, fs.ErrExist)
		}
	}
	return nil
}

// write makes the whole output beside its place and moves it there.
func write(out string, e *report.Evaluation) error {
	return atomicfile.ReplaceDir(out, func(stage string) error { return report.Write(stage, e) })
}
