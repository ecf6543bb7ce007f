package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"path/filepath"
	"strconv"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/protocol"
	"github.com/degas-dns/degas/evaluate/report"
	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/export/publish"
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
)

// training are the files that tell one training of a run from another. What is done to its model later leaves them as
// they are.
func training(run, data string) []string {
	in := existing(inside(run, trainer.ConfigFile, trainer.HistoryFile)...)
	if data != "" {
		in = append(in, inside(data, datasets.ManifestName)...)
	}
	return in
}

// ours is the Left of a stage whose outputs are its own once it has begun.
func ours(context.Context) (own, whole bool) { return true, false }

func (p *ProtocolConfig) stage(h Hooks) Stage {
	inputs := func() []string { return training(p.Run, p.Data) }
	outputs := func() (out []string) {
		for _, kind := range p.Kinds {
			out = append(out, filepath.Join(p.Run, rundir.ProtocolDir, kind+".json"))
		}
		return out
	}
	run := func(ctx context.Context, _ func() error) error {
		for _, kind := range p.Kinds {
			_, err := protocol.Run(ctx, protocol.Options{
				RunDir: p.Run, Data: p.Data, Protocol: kind, Folds: p.Folds, Epochs: p.Epochs, Names: p.Names,
				Observer: h.Train, Fold: h.Fold,
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	return Stage{"protocol", p, inputs, outputs, outputs(), ours, run}
}

// adjustment changes the run's model by what it measures. Calibration and threshold are one stage: a threshold follows
// from the scores that a calibration leaves.
type adjustment struct {
	Calibrate *CalibrateConfig `json:"calibrate,omitempty"`
	Threshold *ThresholdConfig `json:"threshold,omitempty"`
}

// name is of the config's keys.
func (a adjustment) name() string {
	switch {
	case a.Threshold == nil:
		return "calibrate"
	case a.Calibrate == nil:
		return "threshold"
	}
	return "calibrate and threshold"
}

func (a adjustment) stage(h Hooks) Stage {
	var dir, data string
	if a.Calibrate != nil {
		dir, data = a.Calibrate.Run, a.Calibrate.Data
	} else {
		dir, data = a.Threshold.Run, a.Threshold.Data
	}
	inputs := func() []string {
		in := training(dir, data)
		if a.Threshold != nil && a.Threshold.WorstSource {
			in = append(in, filepath.Join(dir, rundir.ProtocolDir, protocol.LeaveBenignOut+".json"))
		}
		if a.Threshold != nil && a.Threshold.Of != "" {
			in = append(in, trained(a.Threshold.Of)...)
		}
		return in
	}
	outputs := func() []string {
		return append(inside(dir, trainer.ModelDir, rundir.TuningFile), existing(inside(dir, rundir.UncalibratedFile)...)...)
	}
	// Not the model: a run that somebody trained may be adjusted. One that somebody has adjusted may not.
	replaces := inside(dir, rundir.TuningFile, rundir.UncalibratedFile)
	run := func(ctx context.Context, _ func() error) error {
		if c := a.Calibrate; c != nil {
			r, err := evaluate.Calibrate(ctx, evaluate.RunOptions{RunDir: c.Run, Data: c.Data, Split: c.Split}, false)
			if err != nil {
				return err
			}
			if h.Calibrate != nil {
				h.Calibrate(r)
			}
		}
		if a.Threshold == nil {
			return nil
		}
		t, err := a.Threshold.set(ctx)
		if err == nil && h.Threshold != nil {
			h.Threshold(t)
		}
		return err
	}
	return Stage{a.name(), a, inputs, outputs, replaces, ours, run}
}

// set chooses the threshold, or takes the one that is given.
func (t *ThresholdConfig) set(ctx context.Context) (*metrics.Threshold, error) {
	o := evaluate.RunOptions{RunDir: t.Run, Data: t.Data, Split: t.Split}
	if t.Of != "" {
		m, err := model.LoadNamed(t.Of)
		if err != nil {
			return nil, err
		}
		return evaluate.SetThreshold(ctx, o, m.Threshold)
	}
	if t.Value != 0 {
		return evaluate.SetThreshold(ctx, o, t.Value)
	}
	rate := t.FPR
	if t.WorstSource {
		worst, err := evaluate.WorstSource(ctx, o)
		if err != nil {
			return nil, err
		}
		slog.Info("the worst source decides", "source", worst.Name, "names", worst.Names, "fpr", float64(worst.Needed))
		rate = float64(worst.Needed)
	}
	return evaluate.ChooseThreshold(ctx, o, rate)
}

func (k *CompareConfig) stage(h Hooks) Stage {
	inputs := func() []string {
		in := inside(k.Data, datasets.ManifestName)
		for _, run := range append([]string{k.Run}, k.With...) {
			in = append(in, trained(run)...)
		}
		return in
	}
	to := func() []string { return []string{k.Out} }
	run := func(ctx context.Context, _ func() error) error {
		r, err := evaluate.Compare(ctx, append([]string{k.Run}, k.With...), evaluate.RunOptions{Data: k.Data, Out: k.Out})
		if err == nil && h.Compare != nil {
			h.Compare(r)
		}
		return err
	}
	return Stage{"compare", k, inputs, to, to(), ours, run}
}

// gate checks what compare measured.
func (k *CompareConfig) gate() Stage {
	inputs := func() []string { return inside(k.Out, report.ComparisonFile) }
	run := func(context.Context, func() error) error {
		c, err := evaluate.ReadComparison(k.Out)
		if err != nil {
			return err
		}
		var conditions []metrics.Gate
		for _, text := range k.FailIf {
			condition, err := metrics.ParseChange(text)
			if err != nil {
				return err
			}
			conditions = append(conditions, condition)
		}
		if err := metrics.CheckChange(c, conditions); err != nil {
			return fmt.Errorf("%w. See %s", err, filepath.Join(k.Out, report.ComparisonFile))
		}
		return nil
	}
	return Stage{"gate of compare", k.FailIf, inputs, func() []string { return nil }, nil, nil, run}
}

// stage checks the evaluation in the folder out.
func (g *GateConfig) stage(out string) Stage {
	inputs := func() []string { return inside(out, report.MetricsFile) }
	run := func(context.Context, func() error) error {
		m, err := evaluate.ReadMetrics(out)
		if err != nil {
			return err
		}
		var gates []metrics.Gate
		for _, text := range g.FailIf {
			gate, err := metrics.ParseGate(text)
			if err != nil {
				return err
			}
			gates = append(gates, gate)
		}
		for _, text := range metrics.Guesses(m, gates) {
			slog.Warn(text)
		}
		if err := metrics.Check(m, gates); err != nil {
			return fmt.Errorf("%w. See %s", err, filepath.Join(out, report.PageFile))
		}
		return nil
	}
	return Stage{"gate", g, inputs, func() []string { return nil }, nil, nil, run}
}

// stage publishes once: what becomes of the model there is not this pipeline's business.
func (p *PublishConfig) stage(h Hooks) Stage {
	inputs := func() []string { return []string{p.From} }
	run := func(ctx context.Context, _ func() error) error {
		if p.published(ctx) {
			return nil
		}
		r, err := publish.Publish(ctx, p.From, p.To, publish.Options{
			Name: p.Model, Version: p.Version, Keep: p.Keep, Force: p.Replace, Shadow: p.Shadow, Token: h.Token,
		})
		if errors.Is(err, export.ErrExists) {
			return fmt.Errorf("%w (in the config: version, or replace: true)", err)
		}
		if err == nil && h.Publish != nil {
			h.Publish(r)
		}
		return err
	}
	return Stage{"publish-model", p, inputs, func() []string { return nil }, nil, nil, run}
}

// published reports whether a store has just this version already: degas may have been killed before it could write
// down that it is published.
func (p *PublishConfig) published(ctx context.Context) bool {
	mine, err := userfile.Read(filepath.Join(p.From, export.SumsFile), userfile.Text)
	if err != nil || p.Version == 0 {
		return false
	}
	store, err := bucket.Open(ctx, p.To)
	if err != nil {
		return false // no store, or Publish says why it cannot be opened
	}
	defer store.Close()
	theirs, err := store.Read(ctx, path.Join(p.Model, strconv.Itoa(p.Version), export.SumsFile), userfile.Text)
	return err == nil && bytes.Equal(mine, theirs)
}
