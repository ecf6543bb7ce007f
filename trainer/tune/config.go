// Package tune searches for a recipe: trials with values drawn at random train for a few epochs, and only the best of
// them go on to more (successive halving, Jamieson and Talwalkar 2016, arXiv:1502.07943). Validation alone decides.
package tune

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/internal/yamlfile"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
)

// Config is a search as written in configs/tune.yaml.
type Config struct {
	Version int    `yaml:"version"`
	Data    string `yaml:"data"` // process-data's output
	Out     string `yaml:"out"`  // directory: a run for each trial, tune.json and trials.png
	Target  string `yaml:"target"`
	Engine  string `yaml:"engine"`
	Seed    uint64 `yaml:"seed"` // draws the trials
	// Trials begin; after MinEpochs the best one in Eta goes on to Eta times as many epochs, up to MaxEpochs.
	Trials    int `yaml:"trials"`
	MinEpochs int `yaml:"min_epochs"`
	MaxEpochs int `yaml:"max_epochs"`
	Eta       int `yaml:"eta"`
	// Budget is the time after which no training begins; 0 is none.
	Budget time.Duration `yaml:"budget"`
	// Options are train-model's, of every trial; Search replaces some of them. Its keys are arch, those of Options, and
	// the parts of an architecture: dropout, embedding, filters, units, window.
	Options trainer.Options  `yaml:"options"`
	Search  map[string]Range `yaml:"search"`
	// Release is the program's version, which goes into the trials.
	Release string `yaml:"-"`
}

// Range is what a value is drawn from: one of Choice, uniform between two bounds, or uniform in the logarithm.
type Range struct {
	Choice  []any     `yaml:"choice"`
	Uniform []float64 `yaml:"uniform"`
	Log     []float64 `yaml:"log"`
}

// ReadConfig reads a search. Unknown keys and ranges that make no sense are errors.
func ReadConfig(path string) (*Config, error) {
	data, err := userfile.Read(path, userfile.Config)
	if err != nil {
		return nil, err
	}
	c := &Config{
		Data:      "data/processed",
		Out:       "runs/tune",
		Target:    trainer.TargetBinary,
		Engine:    trainer.EngineAuto,
		Seed:      1,
		Trials:    9,
		MinEpochs: 1,
		MaxEpochs: 9,
		Eta:       3,
		Options:   trainer.DefaultOptions(),
	}
	var before struct {
		Target  string         `yaml:"target"`
		Search  map[string]any `yaml:"search"`
		Options map[string]any `yaml:"options"`
	}
	if err := yamlfile.Decode(data, &before); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	for place, values := range map[string]map[string]any{"search": before.Search, "options": before.Options} {
		if _, ok := values["epochs"]; ok { // successive halving decides it
			return nil, fmt.Errorf("read %s: %s: epochs would have no effect. Try: min_epochs and max_epochs", path, place)
		}
	}
	if before.Search["blend"] != nil {
		return nil, fmt.Errorf("read %s: search: blend would have no effect: it is for families that validation "+
			"does not hold, and validation decides. Try: options, which every trial has", path)
	}
	if before.Search["arch"] == nil { // the search is about auto and begins at its recipe
		_, c.Options = trainer.Recipe(trainer.Auto, before.Target)
		c.Options.Blend = 0 // an epoch more for each trial, for families that validation does not hold
	}
	if err := yamlfile.Decode(data, c, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return c, nil
}

// maxTrials is far above what anybody can wait for.
const maxTrials = 10_000

func (c *Config) check() error {
	switch {
	case c.Version != 1:
		return fmt.Errorf("version %d, this degas reads 1", c.Version)
	case c.Trials < 1 || c.MinEpochs < 1 || c.MaxEpochs < c.MinEpochs || c.Eta < 2:
		return fmt.Errorf("%d trials, %d to %d epochs, eta %d: want at least one trial and epoch, and eta 2",
			c.Trials, c.MinEpochs, c.MaxEpochs, c.Eta)
	case c.Trials > maxTrials:
		return fmt.Errorf("%d trials: must be at most %d", c.Trials, maxTrials)
	case len(c.Search) == 0:
		return errors.New("search is empty: there is nothing to find")
	}
	for key, r := range c.Search {
		if err := r.check(); err != nil {
			return fmt.Errorf("search: %s: %w", key, err)
		}
	}
	_, err := c.trial(0)
	return err
}

func (r Range) check() error {
	given := 0
	for _, bounds := range [][]float64{r.Uniform, r.Log} {
		if bounds == nil {
			continue
		}
		given++
		if len(bounds) != 2 || !(bounds[0] < bounds[1]) {
			return fmt.Errorf("bounds %v: want two, the lower one first", bounds)
		}
	}
	if r.Log != nil && r.Log[0] <= 0 {
		return fmt.Errorf("bounds %v: a logarithm needs them above 0", r.Log)
	}
	if len(r.Choice) > 0 {
		given++
	}
	if given != 1 {
		return errors.New("give one of choice, uniform and log")
	}
	return nil
}

// draw takes a value.
func (r Range) draw(rng *rand.Rand) any {
	switch {
	case r.Uniform != nil:
		return r.Uniform[0] + rng.Float64()*(r.Uniform[1]-r.Uniform[0])
	case r.Log != nil:
		lo, hi := math.Log(r.Log[0]), math.Log(r.Log[1])
		return math.Exp(lo + rng.Float64()*(hi-lo))
	}
	return r.Choice[rng.IntN(len(r.Choice))]
}

// Trial is one draw of the search.
type Trial struct {
	Number  int            `json:"trial"` // from 1
	Values  map[string]any `json:"values"`
	arch    string
	spec    *model.Spec
	engine  string
	options trainer.Options
	// reshaped says that spec is no longer the preset: the trial's run keeps it in a file.
	reshaped bool
}

// trial draws the i-th trial: a function of the seed, i and the search alone, so that more trials keep the first ones.
func (c *Config) trial(i int) (*Trial, error) {
	t := &Trial{Number: i + 1, Values: map[string]any{}, arch: trainer.Auto}
	for _, key := range slices.Sorted(maps.Keys(c.Search)) {
		rng := rand.New(rand.NewPCG(c.Seed, model.SubSeed(uint64(i), key)))
		t.Values[key] = c.Search[key].draw(rng)
	}
	if arch, ok := t.Values["arch"]; ok {
		t.arch = fmt.Sprint(arch)
	}
	t.arch, _ = trainer.Recipe(t.arch, c.Target)
	spec, err := model.Preset(t.arch)
	if err != nil {
		return nil, err
	}
	options := map[string]any{}
	for key, v := range t.Values {
		if key == "arch" {
			continue
		}
		if shape, ok := shapes[key]; !ok {
			options[key] = v
		} else if err := reshape(&spec, shape, v); err != nil {
			return nil, fmt.Errorf("search: %s: %w", key, err)
		} else {
			t.reshaped = true
		}
	}
	if t.options, err = c.withOptions(options); err != nil {
		return nil, err
	}
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("trial %d, %s: %w", t.Number, t.Describe(), err)
	}
	t.spec = &spec
	t.engine, _, err = trainer.ChooseEngine(c.Engine, t.spec)
	return t, err
}

// withOptions are the common options with some replaced by their YAML names.
func (c *Config) withOptions(values map[string]any) (trainer.Options, error) {
	o, err := c.Options.With(values)
	if err != nil {
		return o, fmt.Errorf("search: neither an option of train-model nor one of %s: %w",
			strings.Join(slices.Sorted(maps.Keys(shapes)), ", "), err)
	}
	o.Epochs = c.MinEpochs
	return o, o.Resolve()
}

// shapes change an architecture: every layer that has such a part, but never the head.
var shapes = map[string]func(s *model.Spec, l *model.Layer, v float64){
	"dropout": func(_ *model.Spec, l *model.Layer, v float64) {
		if l.Kind == model.KindDropout {
			l.Rate = v
		}
	},
	"embedding": func(_ *model.Spec, l *model.Layer, v float64) { set(&l.Dim, v) },
	"filters":   func(_ *model.Spec, l *model.Layer, v float64) { set(&l.Filters, v) },
	"units":     func(_ *model.Spec, l *model.Layer, v float64) { set(&l.Units, v) },
	"window":    func(s *model.Spec, _ *model.Layer, v float64) { s.Encoder.Window = int(v) },
}

// set replaces a part that the layer has.
func set(part *int, v float64) {
	if *part > 0 {
		*part = int(math.Round(v))
	}
}

func reshape(spec *model.Spec, change func(*model.Spec, *model.Layer, float64), value any) error {
	var v float64
	if _, err := fmt.Sscan(fmt.Sprint(value), &v); err != nil {
		return fmt.Errorf("%v is no number", value)
	}
	var walk func(layers []model.Layer)
	walk = func(layers []model.Layer) {
		for i := range layers {
			change(spec, &layers[i], v)
			for _, b := range layers[i].Branches {
				walk(b)
			}
		}
	}
	walk(spec.Layers[:len(spec.Layers)-1])
	return nil
}

// Describe lists a trial's values.
func (t *Trial) Describe() string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(t.Values)) {
		v := t.Values[key]
		if f, ok := v.(float64); ok {
			v = fmt.Sprintf("%.3g", f)
		}
		parts = append(parts, fmt.Sprintf("%s %v", key, v))
	}
	return strings.Join(parts, ", ")
}
