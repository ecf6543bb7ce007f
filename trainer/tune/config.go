// Package tune searches for a recipe: trials with values drawn at random train for a few epochs, and only the best of
// them go on to more (successive halving, Jamieson and Talwalkar 2016, arXiv:1502.07943). Validation alone decides.
package tune

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/degas-dns/degas/internal/nearest"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/internal/yamlfile"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
)

// Config is a search as written in configs/tune.yaml.
type Config struct {
	// Version is 1.
	Version int `yaml:"version"`
	// Data is the folder or URL of a data set (data/processed).
	Data string `yaml:"data"`
	// Out is the folder for a run of each trial, tune.json and trials.png (runs/tune).
	Out string `yaml:"out"`
	// Target is what to tell apart: binary, class or family (binary).
	Target string `yaml:"target"`
	// Engine does the arithmetic: auto takes a GPU where there is one that this degas can use (auto).
	Engine string `yaml:"engine"`
	// Seed draws the trials (1).
	Seed uint64 `yaml:"seed"`
	// Trials is how many begin. After MinEpochs the best one in eta goes on to eta times as many epochs, up to MaxEpochs
	// (9).
	Trials int `yaml:"trials"`
	// MinEpochs is the length of each trial's first training (1).
	MinEpochs int `yaml:"min_epochs"`
	// MaxEpochs is the length of the longest training (9).
	MaxEpochs int `yaml:"max_epochs"`
	// Eta is the share of trials that end at each step: all but one in eta (3).
	Eta int `yaml:"eta"`
	// Budget is the time after which no training begins, such as 10m; 0 is none.
	Budget time.Duration `yaml:"budget"`
	// Options are train-model's, of every trial.
	Options trainer.Options `yaml:"options"`
	// Search replaces some of the options. Its keys are arch, those of options, and the parts of an architecture: dropout,
	// embedding, filters, units, window.
	Search map[string]Range `yaml:"search"`
	// Release is the program's version, which goes into the trials.
	Release string `yaml:"-"`
}

// Range is what a value is drawn from. One of its fields is given.
type Range struct {
	// Choice lists the values.
	Choice []any `yaml:"choice"`
	// Uniform has two bounds, the lower one first.
	Uniform []float64 `yaml:"uniform"`
	// Log has two bounds above 0, the lower one first; the value's logarithm is uniform between theirs.
	Log []float64 `yaml:"log"`
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
		Name    any            `yaml:"name"`
		Target  string         `yaml:"target"`
		Search  map[string]any `yaml:"search"`
		Options map[string]any `yaml:"options"`
	}
	if err := yamlfile.Decode(data, &before); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if before.Name != nil && before.Search == nil {
		return nil, fmt.Errorf("read %s: it has a name and no search: this is a config of degas run. Try: degas run %s",
			path, path)
	}
	for _, key := range slices.Sorted(maps.Keys(before.Search)) {
		if err := known(key); err != nil {
			return nil, fmt.Errorf("read %s: %ssearch: %w", path, yamlfile.Place(data, "search."+key), err)
		}
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
		return nil, fmt.Errorf("read %s: %w%s", path, err, suggest(err))
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return c, nil
}

// searchable are the keys of a search.
func searchable() []string {
	return slices.Concat([]string{"arch"}, trainer.OptionNames(), slices.Sorted(maps.Keys(shapes)))
}

// known is an error if a search has no such key.
func known(key string) error {
	if slices.Contains(searchable(), key) {
		return nil
	}
	hint := ""
	if best := nearest.Of(key, searchable()); best != "" {
		hint = fmt.Sprintf(" (did you mean %s?)", best)
	}
	return fmt.Errorf("unknown key %q%s, known are: %s", key, hint, strings.Join(searchable(), ", "))
}

var unknownField = regexp.MustCompile(`unknown field "([^"]+)"`)

// suggest says where the unknown key of a decoding error belongs.
func suggest(err error) string {
	m := unknownField.FindStringSubmatch(err.Error())
	switch {
	case m == nil:
		return ""
	case slices.Contains(trainer.OptionNames(), m[1]):
		return fmt.Sprintf(". It belongs in options: {%s: …}", m[1])
	case slices.Contains(searchable(), m[1]):
		return fmt.Sprintf(". It belongs in search: {%s: …}", m[1])
	}
	return ""
}

// maxTrials is far above what anybody can wait for.
const maxTrials = 10_000

func (c *Config) check() error {
	switch {
	case c.Version == 0:
		return errors.New("version is missing. Write: version: 1")
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
		err := r.check()
		for _, v := range r.Choice { // a trial draws only one of them
			err = cmp.Or(err, c.checkChoice(key, v))
		}
		if err != nil {
			return fmt.Errorf("search: %s: %w", key, err)
		}
	}
	_, err := c.trial(0)
	return err
}

// checkChoice is an error if a key cannot have the value.
func (c *Config) checkChoice(key string, v any) error {
	var err error
	if key == "arch" {
		preset, _ := trainer.Recipe(fmt.Sprint(v), c.Target)
		_, err = model.Preset(preset)
	} else if shapes[key] != nil {
		_, err = number(v)
	} else {
		_, err = c.withOptions(map[string]any{key: v})
	}
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
		return o, err
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

func number(value any) (v float64, err error) {
	if _, err := fmt.Sscan(fmt.Sprint(value), &v); err != nil {
		return 0, fmt.Errorf("%v is no number", value)
	}
	return v, nil
}

func reshape(spec *model.Spec, change func(*model.Spec, *model.Layer, float64), value any) error {
	v, err := number(value)
	if err != nil {
		return err
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
