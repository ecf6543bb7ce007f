package pipeline

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/prepare"
	"github.com/degas-dns/degas/datasets/sources"
	"github.com/degas-dns/degas/evaluate"
	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
)

// Hooks lets the caller show the progress of stages. Any function may be nil.
type Hooks struct {
	Download sources.Options // only its Progress counts
	Process  func(done, total int64)
	Train    trainer.Observer
	Evaluate func(done, total int64)
}

// Stages are the stages of c in order. version is the program's.
func (c *Config) Stages(version string, h Hooks) []Stage {
	var out []Stage
	if c.Download != nil {
		out = append(out, &downloadStage{c.Download, h})
	}
	if c.Process != nil {
		out = append(out, &processStage{c.Process, version, h})
	}
	if c.Train != nil {
		out = append(out, &trainStage{c.Train, version, h})
	}
	if c.Evaluate != nil {
		out = append(out, &evaluateStage{c.Evaluate, h})
	}
	if c.Export != nil {
		out = append(out, &exportStage{c.Export})
	}
	return out
}

type downloadStage struct {
	*DownloadConfig
	hooks Hooks
}

func (s *downloadStage) Name() string { return "download-data" }
func (s *downloadStage) Params() any  { return s.DownloadConfig }

// Inputs are files of this machine. Publishers are not asked for changes.
func (s *downloadStage) Inputs() []string {
	var out []string
	if s.From != "" {
		out = append(out, s.From)
	}
	for _, source := range s.Sources {
		if path, ok := sources.LocalFile(source); ok {
			out = append(out, path)
		}
	}
	return out
}
func (s *downloadStage) Outputs() []string { return []string{s.To} }
func (s *downloadStage) Run(ctx context.Context) error {
	o := s.hooks.Download
	o.From = s.From
	_, err := sources.Download(ctx, s.To, s.Sources, o)
	return err
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
		Balance:         p.Balance,
		CapFamily:       p.CapFamily,
	}
}

type processStage struct {
	*ProcessConfig
	version string
	hooks   Hooks
}

func (s *processStage) Name() string      { return "process-data" }
func (s *processStage) Params() any       { return s.ProcessConfig }
func (s *processStage) Inputs() []string  { return []string{s.In} }
func (s *processStage) Outputs() []string { return []string{s.Out} }
func (s *processStage) Run(ctx context.Context) error {
	o := s.options()
	o.Version, o.Progress = s.version, s.hooks.Process
	_, err := prepare.Run(ctx, s.In, s.Out, o)
	return err
}

type trainStage struct {
	*TrainConfig
	version string
	hooks   Hooks
}

func (s *trainStage) Name() string { return "train-model" }
func (s *trainStage) Params() any  { return s.TrainConfig }

// Inputs is the manifest alone. It holds the hashes of the splits, which are verified when they are opened.
func (s *trainStage) Inputs() []string { return []string{filepath.Join(s.Data, datasets.ManifestName)} }

// Outputs are not all of the run's directory: a later stage puts the evaluation there.
func (s *trainStage) Outputs() []string {
	return inside(s.TrainConfig.Run, trainer.ConfigFile, trainer.HistoryFile, trainer.ModelDir)
}

// inside gives the paths of names in dir.
func inside(dir string, names ...string) (paths []string) {
	for _, name := range names {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

// Run trains beside the run's directory and takes its place when done. Until then an earlier run stays whole. A
// training that was stopped is resumed.
func (s *trainStage) Run(ctx context.Context) error {
	final := filepath.Clean(s.TrainConfig.Run)
	work := filepath.Join(filepath.Dir(final), "."+filepath.Base(final)+".partial")
	spec, err := model.Preset(s.Arch)
	if err != nil {
		return err
	}
	engine, _, err := trainer.ChooseEngine(s.Engine, &spec)
	if err != nil {
		return err
	}
	cfg := trainer.Config{
		Arch:    s.Arch,
		Target:  s.Target,
		Engine:  engine,
		Data:    s.Data,
		Options: s.Options,
		Degas:   s.version,
	}
	resume, err := s.resumable(work, cfg)
	if err != nil {
		return err
	}
	if !resume {
		if err := os.RemoveAll(work); err != nil {
			return err
		}
	}
	if _, err := trainer.Train(ctx, trainer.Request{Dir: work, Config: cfg, Resume: resume}, s.hooks.Train); err != nil {
		return err
	}
	if err := atomicfile.PlaceDir(work, final); err != nil {
		return fmt.Errorf("the finished run stays in %s: %w", work, err)
	}
	return nil
}

// resumable reports whether work holds an interrupted training of the same configuration and data.
func (s *trainStage) resumable(work string, want trainer.Config) (bool, error) {
	old, err := trainer.ReadConfig(work)
	if err != nil {
		return false, nil //nolint:nilerr // nothing there, or unreadable: start anew
	}
	m, err := datasets.ReadManifest(s.Data)
	if err != nil {
		return false, err
	}
	request := trainer.Request{Config: want}
	return request.Continues(old) && old.Options == want.Options && old.Fingerprint == m.Fingerprint, nil
}

type evaluateStage struct {
	*EvaluateConfig
	hooks Hooks
}

func (s *evaluateStage) Name() string { return "evaluate-model" }
func (s *evaluateStage) Params() any  { return s.EvaluateConfig }
func (s *evaluateStage) Inputs() []string {
	run := inside(s.EvaluateConfig.Run, trainer.ModelDir, trainer.HistoryFile, trainer.ConfigFile)
	return append(run, filepath.Join(s.Data, datasets.ManifestName))
}
func (s *evaluateStage) Outputs() []string { return []string{s.Out} }
func (s *evaluateStage) Run(ctx context.Context) error {
	_, err := evaluate.Run(ctx, evaluate.RunOptions{
		RunDir:    s.EvaluateConfig.Run,
		Data:      s.Data,
		Out:       s.Out,
		Baselines: true,
		Progress:  s.hooks.Evaluate,
	})
	return err
}

type exportStage struct{ *ExportConfig }

func (s *exportStage) Name() string { return "export-model" }
func (s *exportStage) Params() any  { return s.ExportConfig }

// Inputs are the model and its evaluation, whose numbers go into the model card.
func (s *exportStage) Inputs() []string {
	in := inside(s.ExportConfig.Run, trainer.ModelDir)
	path := evaluate.SummaryFile(s.ExportConfig.Run)
	if _, err := os.Stat(path); err == nil {
		in = append(in, path)
	}
	return in
}
func (s *exportStage) Outputs() []string { return []string{s.To} }
func (s *exportStage) Run(ctx context.Context) error {
	m, err := model.Load(filepath.Join(s.ExportConfig.Run, trainer.ModelDir))
	if err != nil {
		return err
	}
	metrics, err := evaluate.ReadSummary(s.ExportConfig.Run)
	if err != nil {
		return err
	}
	_, err = export.Export(ctx, m, s.To, export.Options{Formats: s.Formats, Metrics: metrics, Overwrite: true})
	return err
}
