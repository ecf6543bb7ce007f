// Package protocol measures what a test split cannot show: how a recipe (architecture, optimiser, epochs) does on
// families, sources and domains it has seen nothing of. It trains the recipe again, each time without some of the data.
package protocol

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/baseline"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
)

// Protocols.
const (
	LeaveFamilyOut = "leave-family-out"
	LeaveSourceOut = "leave-source-out"
	LeaveBenignOut = "leave-benign-out" // the sources of benign names alone, those large enough to tell a rate of 1e-3
	KFold          = "kfold"
)

// Names lists the protocols.
func Names() []string { return []string{LeaveFamilyOut, LeaveSourceOut, LeaveBenignOut, KFold} }

// plain is the baseline that is trained beside: the strongest of package baseline, and quick.
const plain = "n-grams"

// Options say which run's recipe to measure and how.
type Options struct {
	RunDir   string
	Data     string // process-data's output; "" is the run's own
	Protocol string
	// Folds is the number of trainings at most. Families or sources are dealt out to them; 0 is one training for each of
	// them, and five for kfold.
	Folds int
	// Epochs bounds each training, but for the epoch that a recipe with a blend adds; 0 takes the run's own.
	Epochs int
	// Names bounds the names of each split that are used, drawn by a hash of their registered domain; 0 uses all.
	Names int
	// Observer is told of each training. Fold, if not nil, before it begins.
	Observer trainer.Observer
	Fold     func(i, of int, what string)
}

// fold is one training: what each row is for.
type fold struct {
	without string // the names of its groups
	use     func(r *row) use
}

type use int

const (
	leftOut use = iota
	train
	validate
	benign // thresholds are read off it
	heldOut
)

// runner is a protocol under way.
type runner struct {
	Options
	config *trainer.Config
	spec   model.Spec
	engine trainer.Engine
	rows   []row
	result *metrics.Generalisation
}

// Run trains and measures, and writes the result to the run's protocols directory. Stopped, it leaves there what it has
// measured, and a call with the same options goes on with the next training.
func Run(ctx context.Context, o Options) (*metrics.Generalisation, error) {
	r, err := prepare(ctx, o)
	if err == nil {
		err = r.run(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w", o.Protocol, o.RunDir, err)
	}
	return r.result, nil
}

func (r *runner) run(ctx context.Context) error {
	folds, err := r.folds()
	if err != nil {
		return err
	}
	key, err := r.key(folds)
	if err != nil {
		return err
	}
	unlock, err := atomicfile.Claim(r.dir())
	if err != nil {
		return err
	}
	defer unlock()
	done, err := r.resume(key)
	if err != nil {
		return err
	}
	for i, f := range folds {
		if i < done {
			continue
		}
		if r.Fold != nil {
			r.Fold(i+1, len(folds), f.without)
		}
		began := time.Now()
		if err := r.trainAndMeasure(ctx, f); err != nil {
			return fmt.Errorf("without %s: %w", f.without, err)
		}
		if err := r.save(key, i+1, time.Since(began)); err != nil {
			return err
		}
	}
	if r.result.Trainings == 0 {
		why := cmp.Or(strings.Join(r.result.Skipped, "; "), "the data has no group that may be missing in training")
		if r.Protocol == LeaveBenignOut && len(r.result.Skipped) == 0 {
			why = fmt.Sprintf("no source has %d benign names and no others", fewestTelling)
		}
		return fmt.Errorf("nothing could be held out: %s. Try: more --names, or a data set of more families and sources", why)
	}
	r.result.Summarise()
	return r.finish()
}

func prepare(ctx context.Context, o Options) (*runner, error) {
	if o.RunDir == model.BuiltinName {
		return nil, errors.New("a protocol trains a run's recipe again, and the built-in model is no run." +
			" Try: degas train-model --run mine, and then the same command on runs/mine")
	}
	c, err := trainer.ReadConfig(o.RunDir)
	if err != nil {
		return nil, err
	}
	m, err := model.Load(filepath.Join(o.RunDir, trainer.ModelDir))
	if err != nil {
		return nil, err
	}
	r := &runner{Options: o, config: c, spec: m.Spec}
	r.Data = cmp.Or(o.Data, c.Data)
	if c.Options.Epochs == 0 { // an imported model has no recipe of its own
		c.Options, c.Engine = trainer.DefaultOptions(), "cpu"
	}
	if c.From != "" {
		slog.Warn("the run began from another model, which has seen what is held out here:"+
			" its recipe is trained from nothing", "from", c.From)
	}
	if t := c.Options.Teacher; t != "" {
		slog.Warn("the run's teacher has seen what is held out here: the recipe learns from labels alone", "teacher", t)
		c.Options.Teacher = ""
	}
	if o.Epochs > 0 {
		c.Options.Epochs = o.Epochs
	}
	if r.engine, err = trainer.Engines.Lookup(c.Engine); err != nil {
		return nil, err
	}
	manifest, err := datasets.ReadManifest(ctx, r.Data)
	if err != nil {
		return nil, err
	}
	warnOfMemory(manifest, o.Names, c.Options.Memory)
	if r.rows, err = readRows(ctx, manifest, o.Names); err != nil {
		return nil, err
	}
	r.result = &metrics.Generalisation{
		Format: metrics.GeneralisationFormat, Protocol: o.Protocol, Arch: c.Arch, Epochs: c.Options.Epochs,
		Blend: c.Options.Blend, Folds: o.Folds, Names: o.Names, Fingerprint: manifest.Fingerprint, Baseline: plain,
	}
	if o.Protocol == LeaveFamilyOut {
		r.result.Together = together(r.stems())
	}
	return r, nil
}

// trainAndMeasure trains without f's names and measures on them.
func (r *runner) trainAndMeasure(ctx context.Context, f fold) error {
	parts := map[use][]*row{}
	for i := range r.rows {
		u := f.use(&r.rows[i])
		parts[u] = append(parts[u], &r.rows[i])
	}
	if why := unusable(parts); why != "" {
		r.result.Skipped = append(r.result.Skipped, f.without+": "+why)
		return nil
	}
	if n := r.config.Options.Names; n > 0 && n < len(parts[train]) { // the recipe's own limit
		rng := rand.New(rand.NewPCG(r.config.Options.Seed, 0))
		rng.Shuffle(len(parts[train]), func(i, j int) { parts[train][i], parts[train][j] = parts[train][j], parts[train][i] })
		parts[train] = parts[train][:n]
	}
	scorer, err := r.train(ctx, parts[train], parts[validate])
	if err != nil {
		return err
	}
	plainScorer, err := trainPlain(ctx, parts[train], r.config.Options.Seed)
	if err != nil {
		return err
	}
	r.result.Trainings++
	names := namesOf(slices.Concat(parts[benign], parts[heldOut]))
	byModel, err := baseline.ScoreAll(ctx, scorer, names)
	if err != nil {
		return err
	}
	byPlain, err := baseline.ScoreAll(ctx, plainScorer, names)
	if err != nil {
		return err
	}
	r.measure(f, parts, byModel, byPlain)
	return nil
}

// unusable says why a division cannot be trained or measured.
func unusable(parts map[use][]*row) string {
	for _, u := range []use{train, validate} {
		n := 0
		for _, r := range parts[u] {
			if r.class == datasets.Benign {
				n++
			}
		}
		if n == 0 || n == len(parts[u]) {
			return "what is left to train or validate with holds only one class"
		}
	}
	if len(parts[heldOut]) == 0 || len(parts[benign]) == 0 {
		return "no names to measure on"
	}
	return ""
}

// train fits the recipe and gives its scorer.
func (r *runner) train(ctx context.Context, training, validation []*row) (baseline.Scorer, error) {
	labels := labelsOf(training, r.config.Target)
	spec := r.spec.WithLabels(labels)
	t := trainer.Task{Spec: &spec, Engine: r.engine}
	var err error
	if t.Train, err = setOf(training, r.config.Target, labels); err != nil {
		return nil, err
	}
	if t.Validation, err = setOf(validation, r.config.Target, labels); err != nil {
		return nil, err
	}
	result, err := trainer.Fit(ctx, t, r.config.Options, r.Observer)
	if err != nil {
		return nil, err
	}
	return model.NewClassifier(&model.Model{Spec: spec, Weights: result.Weights, Threshold: 0.5})
}

func trainPlain(ctx context.Context, rows []*row, seed uint64) (baseline.Scorer, error) {
	malicious := make([]bool, len(rows))
	for i, r := range rows {
		malicious[i] = r.class != datasets.Benign
	}
	kind, err := baseline.Kinds.Lookup(plain)
	if err != nil {
		return nil, err
	}
	s, err := kind.Train(ctx, namesOf(rows), malicious, seed)
	if err != nil {
		return nil, fmt.Errorf("baseline %s: %w", plain, err)
	}
	return s, nil
}
