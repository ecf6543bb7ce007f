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
	RunDir string // as train-model wrote it, or model.BuiltinName
	Data   string // process-data's output; "" is the run's own
	Split  string // "" is test, or validation to tune a model on
	Out    string // directory, "" is OutputDir(RunDir)
	// Baselines also trains plain classifiers on the training names and measures them beside the model.
	Baselines bool
	// Progress, if not nil, is told names done of total.
	Progress func(done, total int64)
}

// complete fills in what o leaves open for a run.
func (o RunOptions) complete(run *rundir.Run, split string) RunOptions {
	o.Data, o.Split = cmp.Or(o.Data, run.Config.Data), cmp.Or(o.Split, split)
	o.Out = cmp.Or(o.Out, OutputDir(o.RunDir))
	return o
}

// OutputDir is where Run puts the evaluation of the run in dir, unless its options say otherwise. The built-in model
// has no directory: its evaluation goes beside those of runs.
func OutputDir(run string) string {
	if run == model.BuiltinName {
		run = filepath.Join("runs", model.BuiltinName)
	}
	return filepath.Join(run, "evaluation")
}

// evaluation is a report under way. Each step returns it with what the step adds.
type evaluation struct {
	report.Evaluation
	options        RunOptions // filled in
	generalisation []metrics.Generalisation
	classifier     *model.Classifier
}

// Run scores a split with a run's model and writes metrics.json, plots/*.png, report.html and report.md. The output
// directory is replaced when all of it is complete; until then, and on any error, an earlier one stays as it was.
func Run(ctx context.Context, o RunOptions) (*metrics.Metrics, error) {
	e, err := load(ctx, o)
	if err == nil {
		e, err = e.measure(ctx)
	}
	if err == nil {
		e, err = e.explain(ctx)
	}
	if err == nil {
		err = ctx.Err() // do not replace the earlier evaluation after an interruption
	}
	if err != nil {
		return nil, err
	}
	return e.Metrics, e.write()
}

// write replaces the output directory. Something may have been put there since load looked.
func (e evaluation) write() error {
	if err := replaceable(e.options.Out); err != nil {
		return err
	}
	return atomicfile.ReplaceDir(e.options.Out, func(stage string) error { return report.Write(stage, &e.Evaluation) })
}

// load reads the run and describes what it is measured on. It refuses an output directory that it must not replace.
func load(ctx context.Context, o RunOptions) (e evaluation, err error) {
	run, err := rundir.Open(o.RunDir)
	if err != nil {
		return e, err
	}
	o = o.complete(run, "test")
	if err := replaceable(o.Out); err != nil {
		return e, err
	}
	e = evaluation{Evaluation: report.Evaluation{Run: run, DataDir: o.Data, Split: o.Split}, options: o}
	if e.Data, err = readData(ctx, o.Data); err != nil {
		return e, err
	}
	if e.generalisation, err = run.Generalisations(e.Data.Fingerprint); err != nil {
		return e, err
	}
	if e.History, err = run.History(); err != nil {
		return e, err
	}
	e.Tunings, err = run.Tunings()
	return e, err
}

// readData reads the manifest of the data set to measure on. A run may name a folder that is gone, and an imported one
// names one that was never there.
func readData(ctx context.Context, dir string) (*datasets.Manifest, error) {
	m, err := datasets.ReadManifest(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no data set to measure on: no %s in %s: %w. Try: --data DIR, the output of process-data",
			datasets.ManifestName, dir, fs.ErrNotExist)
	}
	return m, err
}

// measure scores the split and computes its numbers.
func (e evaluation) measure(ctx context.Context) (_ evaluation, err error) {
	if e.classifier, e.Sample, err = score(ctx, e.Run, e.Data, e.options); err != nil {
		return e, err
	}
	if e.Metrics, err = metrics.Measure(ctx, e.Sample, e.Run.Model.Threshold, e.Run.Seed()); err != nil {
		return e, err
	}
	e.Metrics.Split, e.Metrics.Dataset = e.Split, e.Data.Fingerprint
	e.Metrics.Model, err = e.Run.Model.Digest()
	return e, err
}

// explain adds what helps to judge the numbers: protocols, probes, plain classifiers, warnings.
func (e evaluation) explain(ctx context.Context) (_ evaluation, err error) {
	m := *e.Metrics
	e.Metrics = &m
	m.Generalisation = e.generalisation
	if m.Probes, err = metrics.Probes(ctx, e.classifier, e.Sample, e.Run.Seed()); err != nil {
		return e, err
	}
	if e.options.Baselines {
		if m.Baselines, err = e.baselines(ctx); err != nil {
			return e, err
		}
	}
	m.Warnings = append(m.Warnings, e.warnings()...)
	return e, nil
}

// score scores the options' split of data with the run's model.
func score(
	ctx context.Context, run *rundir.Run, data *datasets.Manifest, o RunOptions,
) (*model.Classifier, *metrics.Sample, error) {
	c, err := model.NewClassifier(run.Model)
	if err != nil {
		return nil, nil, err
	}
	split, err := data.Open(ctx, o.Split)
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
	if !IsOutput(out) {
		return fmt.Errorf("write the evaluation to %s: it holds no %s and %s and so is no evaluation, which could be "+
			"replaced: %w", out, report.MetricsFile, report.PageFile, fs.ErrExist)
	}
	if err := atomicfile.HoldsOnly(out, report.Files...); err != nil {
		return fmt.Errorf("write the evaluation to %s: %w", out, err)
	}
	return nil
}

// IsOutput reports whether dir is a directory that Run wrote.
func IsOutput(dir string) bool {
	_, numbers := os.Stat(filepath.Join(dir, report.MetricsFile))
	_, page := os.Stat(filepath.Join(dir, report.PageFile))
	return numbers == nil && page == nil
}
