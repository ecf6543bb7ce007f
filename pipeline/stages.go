package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/fetch"
	"github.com/degas-dns/degas/datasets/prepare"
	"github.com/degas-dns/degas/datasets/sources"
	"github.com/degas-dns/degas/evaluate"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/report"
	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/export/publish"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/dirlock"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
)

// Hooks lets the caller show what stages do. Any function may be nil.
type Hooks struct {
	Download  func(fetch.Event)
	Process   func(done, total int64)
	Train     trainer.Observer             // and of the trainings of protocols
	Fold      func(i, of int, what string) // before each of those
	Evaluate  func(done, total int64)      // names
	Calibrate func(*metrics.Calibration)   // when done
	Threshold func(*metrics.Threshold)     // when set
	Compare   func(*metrics.Comparison)    // when done
	Publish   func(publish.Result)         // when done
	Token     string                       // of publish-model, and of console:URL
}

// Stages are the stages of c in order. version is the program's.
func (c *Config) Stages(version string, h Hooks) []Stage {
	var out []Stage
	add := func(is bool, stage func() Stage) {
		if is {
			out = append(out, stage())
		}
	}
	add(c.Download != nil, func() Stage { return c.Download.stage(h) })
	add(c.Process != nil, func() Stage { return c.Process.stage(version, h) })
	add(c.Train != nil, func() Stage { return c.Train.stage(version, h) })
	add(c.Protocol != nil, func() Stage { return c.Protocol.stage(h) })
	add(c.Calibrate != nil || c.Threshold != nil, func() Stage { return adjustment{c.Calibrate, c.Threshold}.stage(h) })
	add(c.Evaluate != nil, func() Stage { return c.Evaluate.stage(h) })
	add(c.Compare != nil, func() Stage { return c.Compare.stage(h) })
	add(c.Compare != nil && len(c.Compare.FailIf) > 0, func() Stage { return c.Compare.gate() })
	add(c.Gate != nil && c.Evaluate != nil, func() Stage { return c.Gate.stage(c.Evaluate.Out) })
	add(c.Export != nil, func() Stage { return c.Export.stage() })
	add(c.Publish != nil, func() Stage { return c.Publish.stage(h) })
	return out
}

func (d *DownloadConfig) stage(h Hooks) Stage {
	to := func() []string { return []string{d.To} }
	params := any(d)
	if slices.ContainsFunc(d.Sources, sources.Changes) { // then it is never done
		params = struct {
			*DownloadConfig
			Asked time.Time
		}{d, time.Now()}
	}
	return Stage{"download-data", params, d.inputs, to, nil, nil, func(ctx context.Context, _ func() error) error {
		_, err := sources.Download(ctx, d.To, d.Sources, sources.Options{From: d.From, Progress: h.Download, Token: h.Token})
		return err
	}}
}

func (p *ProcessConfig) stage(version string, h Hooks) Stage {
	inputs := func() []string { return []string{p.In} }
	outputs := func() []string { return inside(p.Out, datasets.FileNames(p.Shards)...) }
	replaces := outputs()
	if p.Shards > 0 {
		replaces = append(replaces, inside(p.Out, datasets.FileNames(0)...)...)
	}
	left := func(ctx context.Context) (own, whole bool) {
		_, err := datasets.ReadManifest(ctx, p.Out)
		return err == nil, false
	}
	run := func(ctx context.Context, _ func() error) error {
		o := p.options()
		o.Version, o.Progress = version, h.Process
		_, err := prepare.Run(ctx, p.In, p.Out, o)
		return err
	}
	return Stage{"process-data", p, inputs, outputs, replaces, left, run}
}

func (t *TrainConfig) stage(version string, h Hooks) Stage {
	// The manifest holds the hashes of the splits, which are verified when they are opened.
	inputs := func() []string {
		in := inside(t.Data, datasets.ManifestName)
		for _, dir := range []string{t.Options.Teacher, t.From} {
			if dir != "" {
				in = append(in, trained(dir)...)
			}
		}
		if t.ownSpec() {
			in = append(in, t.Arch)
		}
		return in
	}
	left := func(ctx context.Context) (own, whole bool) {
		old, err := trainer.ReadConfig(t.Run)
		if err != nil {
			return false, false
		}
		r, err := t.request(ctx, t.Run, version)
		whole = err == nil && r.Resume && old.Degas == version
		return whole, whole // another run there is the one before
	}
	run := func(ctx context.Context, ready func() error) error {
		return t.train(ctx, version, h.Train, ready)
	}
	return Stage{"train-model", t, inputs, t.outputs, []string{t.Run}, left, run}
}

func (e *EvaluateConfig) stage(h Hooks) Stage {
	inputs := func() []string {
		in := append(trained(e.Run), inside(e.Data, datasets.ManifestName)...)
		return append(in, existing(inside(e.Run, rundir.TuningFile, rundir.ProtocolDir)...)...)
	}
	to := func() []string { return []string{e.Out} }
	left := func(ctx context.Context) (own, whole bool) { return evaluate.IsOutput(e.Out), false }
	run := func(ctx context.Context, _ func() error) error {
		m, err := evaluate.Run(ctx, evaluate.RunOptions{
			RunDir: e.Run, Data: e.Data, Out: e.Out, Baselines: true, Progress: h.Evaluate,
		})
		if err != nil {
			return err
		}
		if text := m.Beaten(); text != "" {
			slog.Warn(text, "report", filepath.Join(e.Out, report.PageFile))
		}
		return nil
	}
	return Stage{"evaluate-model", e, inputs, to, to(), left, run}
}

func (e *ExportConfig) stage() Stage {
	to := func() []string { return []string{e.To} }
	left := func(ctx context.Context) (own, whole bool) { return export.IsOutput(e.To), false }
	return Stage{"export-model", e, e.inputs, to, to(), left, e.export}
}

// trained are the files of a run that say what its model is; none of the built-in model, which the program's version
// names.
func trained(run string) []string {
	if run == model.BuiltinName {
		return nil
	}
	if len(existing(inside(run, trainer.ConfigFile)...)) == 0 { // a version directory
		return []string{run}
	}
	return append(inside(run, trainer.ModelDir), existing(inside(run, trainer.HistoryFile, trainer.ConfigFile)...)...)
}

// existing are those of paths that are there.
func existing(paths ...string) []string {
	return slices.DeleteFunc(paths, func(path string) bool {
		_, err := os.Stat(path)
		return errors.Is(err, fs.ErrNotExist)
	})
}

// inside gives the paths or URLs of names in dir.
func inside(dir string, names ...string) (paths []string) {
	for _, name := range names {
		paths = append(paths, bucket.Join(dir, name))
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
		TrainOnly:       p.TrainOnly,
		Balance:         p.Balance,
		CapFamily:       p.CapFamily,
		Shards:          p.Shards,
	}
}

// outputs is all that the run's directory holds but the evaluation, which a later stage puts there.
func (t *TrainConfig) outputs() []string {
	out := inside(t.Run, trainer.ConfigFile, trainer.ModelDir)
	entries, _ := os.ReadDir(t.Run) // if it cannot be read, the configuration is missing too
	for _, e := range entries {
		path := filepath.Join(t.Run, e.Name())
		if !slices.Contains(out, path) && path != evaluate.OutputDir(t.Run) {
			out = append(out, path)
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
	r, err := t.request(ctx, work, version)
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

// ownSpec reports whether the architecture is a Spec's file.
func (t *TrainConfig) ownSpec() bool { return strings.HasSuffix(t.Arch, ".json") }

// spec is the architecture and its name.
func (t *TrainConfig) spec() (*model.Spec, string, error) {
	if t.From != "" {
		m, err := model.LoadNamed(t.From)
		if err != nil {
			return nil, "", err
		}
		return &m.Spec, m.Spec.Name, nil
	}
	if t.ownSpec() {
		s, err := model.ReadSpec(t.Arch)
		if err != nil {
			return nil, "", err
		}
		return s, cmp.Or(s.Name, strings.TrimSuffix(filepath.Base(t.Arch), ".json")), nil
	}
	s, err := model.Preset(t.Arch)
	return &s, t.Arch, err
}

// request asks for a training in dir, which is resumed if dir holds one of the same configuration and data.
func (t *TrainConfig) request(ctx context.Context, dir, version string) (r trainer.Request, err error) {
	spec, arch, err := t.spec()
	if err != nil {
		return r, err
	}
	engine := t.Engine
	if t.Options.Teacher != "" && engine == trainer.EngineAuto {
		engine = "cpu" // the one that learns from a teacher
	}
	if engine, _, err = trainer.ChooseEngine(engine, spec); err != nil {
		return r, err
	}
	if t.ownSpec() {
		r.Spec = spec
	}
	target := t.Target
	if target == "" {
		target = trainer.TargetOf(spec.Labels)
	}
	r = trainer.Request{Dir: dir, Spec: r.Spec, Config: trainer.Config{
		Arch: arch, From: t.From, Target: target, Engine: engine, Data: t.Data, Options: t.Options, Degas: version,
	}}
	r.Resume, err = resumable(ctx, r)
	return r, err
}

// resumable reports whether r.Dir holds an interrupted training of the same configuration and data.
func resumable(ctx context.Context, r trainer.Request) (bool, error) {
	old, err := trainer.ReadConfig(r.Dir)
	if err != nil {
		return false, nil //nolint:nilerr // nothing there, or unreadable: start anew
	}
	m, err := datasets.ReadManifest(ctx, r.Config.Data)
	if err != nil {
		return false, err
	}
	if same, err := old.SameTeacher(); err != nil || !same {
		return false, err
	}
	want := r.Config.Options
	return r.Continues(old) && old.Options.Epochs == want.Epochs && old.Options.Patience == want.Patience &&
		old.Fingerprint == m.Fingerprint, nil
}

// inputs are the model and its evaluation, whose numbers go into the model card.
func (e *ExportConfig) inputs() []string {
	if e.Run == model.BuiltinName {
		return nil
	}
	return append(inside(e.Run, trainer.ModelDir), existing(evaluate.SummaryFile(e.Run))...)
}

func (e *ExportConfig) export(ctx context.Context, _ func() error) error {
	m, err := model.LoadNamed(e.Run)
	if err != nil {
		return err
	}
	metrics, leftOut, err := evaluate.ReadSummary(e.Run)
	if err != nil {
		return err
	}
	_, err = export.Export(ctx, m, e.To, export.Options{Formats: e.Formats, Metrics: metrics, LeftOut: leftOut,
		Title: filepath.Base(e.Run), Overwrite: true})
	return err
}
