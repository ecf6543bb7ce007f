package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/fetch"
	"github.com/degas-dns/degas/datasets/prepare"
	"github.com/degas-dns/degas/datasets/sources"
	"github.com/degas-dns/degas/evaluate"
	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/dirlock"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
)

// Hooks lets the caller show the progress of stages. Any function may be nil.
type Hooks struct {
	Download func(fetch.Event)
	Process  func(done, total int64)
	Train    trainer.Observer
	Evaluate func(done, total int64)
}

// Stages are the stages of c in order. version is the program's.
func (c *Config) Stages(version string, h Hooks) []Stage {
	var out []Stage
	if d := c.Download; d != nil {
		to := func() []string { return []string{d.To} }
		out = append(out, Stage{"download-data", d, d.inputs, to, nil, nil, func(ctx context.Context, _ func() error) error {
			_, err := sources.Download(ctx, d.To, d.Sources, sources.Options{From: d.From, Progress: h.Download})
			return err
		}})
	}
	if p := c.Process; p != nil {
		inputs := func() []string { return []string{p.In} }
		outputs := func() []string { return inside(p.Out, datasets.FileNames()...) }
		left := func() (own, whole bool) {
			_, err := datasets.ReadManifest(p.Out)
			return err == nil, false
		}
		run := func(ctx context.Context, _ func() error) error {
			o := p.options()
			o.Version, o.Progress = version, h.Process
			_, err := prepare.Run(ctx, p.In, p.Out, o)
			return err
		}
		out = append(out, Stage{"process-data", p, inputs, outputs, outputs(), left, run})
	}
	if t := c.Train; t != nil {
		// The manifest holds the hashes of the splits, which are verified when they are opened.
		inputs := func() []string {
			in := inside(t.Data, datasets.ManifestName)
			if t.Options.Teacher != "" {
				in = append(in, t.Options.Teacher)
			}
			return in
		}
		left := func() (own, whole bool) {
			old, err := trainer.ReadConfig(t.Run)
			if err != nil {
				return false, false
			}
			r, err := t.request(t.Run, version)
			whole = err == nil && r.Resume && old.Degas == version
			return whole, whole // another run there is the one before
		}
		run := func(ctx context.Context, ready func() error) error {
			return t.train(ctx, version, h.Train, ready)
		}
		out = append(out, Stage{"train-model", t, inputs, t.outputs, []string{t.Run}, left, run})
	}
	if e := c.Evaluate; e != nil {
		inputs := func() []string {
			return append(inside(e.Run, trainer.ModelDir, trainer.HistoryFile, trainer.ConfigFile),
				inside(e.Data, datasets.ManifestName)...)
		}
		to := func() []string { return []string{e.Out} }
		left := func() (own, whole bool) { return evaluate.IsOutput(e.Out), false }
		out = append(out, Stage{"evaluate-model", e, inputs, to, to(), left, func(ctx context.Context, _ func() error) error {
			_, err := evaluate.Run(ctx, evaluate.RunOptions{
				RunDir: e.Run, Data: e.Data, Out: e.Out, Baselines: true, Progress: h.Evaluate,
			})
			return err
		}})
	}
	if e := c.Export; e != nil {
		to := func() []string { return []string{e.To} }
		left := func() (own, whole bool) { return export.IsOutput(e.To), false }
		out = append(out, Stage{"export-model", e, e.inputs, to, to(), left, e.export})
	}
	return out
}

// inside gives the paths of names in dir.
func inside(dir string, names ...string) (paths []string) {
	for _, name := range names {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

// inputs are files of this machine. Publishers are not asked for changes.
func (d *DownloadConfig) inputs() (out []string) {
	if d.From != "" {
		out = append(out, d.From)
	}
	for _, source := range d.Sources {
		if path, ok := sources.LocalFile(source); ok {
			out = append(out, path)
		}
	}
	return out
}

// options are the configuration as prepare.Run takes it.
func (p *ProcessConfig) options() prepare.Options {
	return prepare.Options{
		Seed:            p.Seed,
		Validation:      prepare.Share(p.Validation),
		Test:            prepare.Share(p.Test),
		MaxBad:          prepare.Share(p.MaxBad),
		Split:           p.Split,
		HoldoutFamilies: p.Holdout,
		Exclude:         p.Exclude,
		Balance:         p.Balance,
		CapFamily:       p.CapFamily,
	}
}

// outputs is all that the run's directory holds but the evaluation, which a later stage puts there.
func (t *TrainConfig) outputs() []string {
	out := inside(t.Run, trainer.ConfigFile)
	entries, _ := os.ReadDir(t.Run) // if it cannot be read, the configuration is missing too
	for _, e := range entries {
		if e.Name() != trainer.ConfigFile && filepath.Join(t.Run, e.Name()) != evaluate.OutputDir(t.Run) {
			out = append(out, filepath.Join(t.Run, e.Name()))
		}
	}
	return out
}

// train trains beside the run's directory and takes its place when done. Until then an earlier run stays whole. A
// training that was stopped is resumed.
func (t *TrainConfig) train(ctx context.Context, version string, o trainer.Observer, ready func() error) error {
	final := filepath.Clean(t.Run)
	unlock, err := dirlock.Lock(final)
	if err != nil {
		return err
	}
	defer unlock()
	work := filepath.Join(filepath.Dir(final), "."+filepath.Base(final)+".partial")
	r, err := t.request(work, version)
	if err != nil {
		return err
	}
	if !r.Resume {
		if err := isTraining(work); err != nil {
			return fmt.Errorf("train in %s: %w", work, err)
		}
		if err := os.RemoveAll(work); err != nil {
			return err
		}
	}
	if _, err := trainer.Train(ctx, r, o); err != nil {
		return err
	}
	err = ready()
	if err == nil {
		err = atomicfile.PlaceDir(work, final)
	}
	if err != nil {
		return fmt.Errorf("the finished run stays in %s: %w", work, err)
	}
	return nil
}

// isTraining is an error if dir holds something, and no training that was begun.
func isTraining(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == trainer.ConfigFile:
			return nil
		case name != trainer.SpecFile && !strings.HasPrefix(name, "."):
			err = fmt.Errorf("it holds %s, which degas did not write. Try: move that away first", name)
		}
	}
	return err
}

// request asks for a training in dir, which is resumed if dir holds one of the same configuration and data.
func (t *TrainConfig) request(dir, version string) (r trainer.Request, err error) {
	spec, err := model.Preset(t.Arch)
	if err != nil {
		return r, err
	}
	engine, _, err := trainer.ChooseEngine(t.Engine, &spec)
	if err != nil {
		return r, err
	}
	r = trainer.Request{Dir: dir, Config: trainer.Config{
		Arch: t.Arch, Target: t.Target, Engine: engine, Data: t.Data, Options: t.Options, Degas: version,
	}}
	r.Resume, err = resumable(r)
	return r, err
}

// resumable reports whether r.Dir holds an interrupted training of the same configuration and data.
func resumable(r trainer.Request) (bool, error) {
	old, err := trainer.ReadConfig(r.Dir)
	if err != nil {
		return false, nil //nolint:nilerr // nothing there, or unreadable: start anew
	}
	m, err := datasets.ReadManifest(r.Config.Data)
	if err != nil {
		return false, err
	}
	want := r.Config.Options
	return r.Continues(old) && old.Options.Epochs == want.Epochs && old.Options.Patience == want.Patience &&
		old.Fingerprint == m.Fingerprint, nil
}

// inputs are the model and its evaluation, whose numbers go into the model card.
func (e *ExportConfig) inputs() []string {
	in := inside(e.Run, trainer.ModelDir)
	path := evaluate.SummaryFile(e.Run)
	if _, err := os.Stat(path); err == nil {
		in = append(in, path)
	}
	return in
}

func (e *ExportConfig) export(ctx context.Context, _ func() error) error {
	m, err := model.Load(filepath.Join(e.Run, trainer.ModelDir))
	if err != nil {
		return err
	}
	metrics, err := evaluate.ReadSummary(e.Run)
	if err != nil {
		return err
	}
	_, err = export.Export(ctx, m, e.To, export.Options{Formats: e.Formats, Metrics: metrics, Title: filepath.Base(e.Run),
		Overwrite: true})
	return err
}
