package trainer

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/degas-dns/degas/internal/bytesize"
	"github.com/degas-dns/degas/internal/yamlfile"
)

// Options are the knobs of a training. The YAML names are those of a run's config.yaml.
type Options struct {
	// Epochs is the most passes over the training names.
	Epochs int `yaml:"epochs" json:"epochs"`
	// BatchSize is names a step.
	BatchSize int `yaml:"batch_size" json:"batch_size"`
	// Patience stops training after that many epochs without a lower validation loss; 0 never stops early.
	Patience int `yaml:"patience" json:"patience"`
	// Optimizer is "adam" or "rmsprop"; "" is adam.
	Optimizer string `yaml:"optimizer" json:"optimizer"`
	// LearningRate is the first step size.
	LearningRate float64 `yaml:"learning_rate" json:"learning_rate"`
	// PlateauPatience is the number of epochs without a lower validation loss after which the schedule plateau multiplies
	// the rate by PlateauFactor; 0 never does.
	PlateauPatience int `yaml:"plateau_patience" json:"plateau_patience"`
	// PlateauFactor is what the schedule plateau multiplies the rate by, above 0 and at most 1.
	PlateauFactor float64 `yaml:"plateau_factor" json:"plateau_factor"`
	// MinRate is the rate below which the schedule plateau does not go.
	MinRate float64 `yaml:"min_rate" json:"min_rate"`
	// Schedule is "plateau", as PlateauPatience says, or "cosine": up to LearningRate over the first fiftieth of all
	// steps, then down to nothing along a half cosine by the last epoch (Loshchilov and Hutter, arXiv:1608.03983). "" is
	// plateau.
	Schedule string `yaml:"schedule,omitempty" json:"schedule,omitempty"`
	// WeightDecay is AdamW's, 0 to 1.
	WeightDecay float64 `yaml:"weight_decay" json:"weight_decay,omitempty"`
	// LabelSmoothing is the share of a target that all labels divide between them, [0, 1).
	LabelSmoothing float64 `yaml:"label_smoothing" json:"label_smoothing,omitempty"`
	// Names is the most training names, drawn evenly from the split by the seed; 0 takes all. Validation uses all of its
	// own.
	Names int `yaml:"names,omitempty" json:"names,omitempty"`
	// Augment is the share of training names that get a host such as www put before them, different ones every epoch.
	Augment float64 `yaml:"augment" json:"augment,omitempty"`
	// Invent is the share of malicious training names that invented ones take the place of, others every epoch.
	Invent float64 `yaml:"invent" json:"invent,omitempty"`
	// Blend is the share in the model of one more epoch, in which four of five malicious names are invented: the weights
	// lie between those before that epoch and those after it. 0 does without.
	Blend float64 `yaml:"blend" json:"blend,omitempty"`
	// Average is the decay a step of a running mean of the weights, which is validated and kept in place of the last ones;
	// 0 keeps those.
	Average float64 `yaml:"average" json:"average,omitempty"`
	// Teacher is the directory of a model of the same labels to learn from: what it makes of a name is most of the name's
	// target. "" learns from labels alone.
	Teacher string `yaml:"teacher,omitempty" json:"teacher,omitempty"`
	// Focus is a source whose training names count in full, such as console, the decisions of people: Names never leaves
	// them out, and a Teacher has no say about them. "" is none.
	Focus string `yaml:"focus,omitempty" json:"focus,omitempty"`
	// FocusShare is the share of an epoch that the names of Focus have, which come again and again if they are fewer, [0,
	// 1). 0 takes each once.
	FocusShare float64 `yaml:"focus_share,omitempty" json:"focus_share,omitempty"`
	// Seed draws initial weights, the order of names and dropout masks.
	Seed uint64 `yaml:"seed" json:"seed"`
	// ClassWeight is "none", "balanced", weights inverse to a label's share of the training names, or "family", by the
	// inverse root of a family's share of its label.
	ClassWeight string `yaml:"class_weight" json:"class_weight"`
	// Precision is that of matrix products: "fp32", "tf32" or "bf16". "" is the engine's own: fp32 on the CPU, bf16 on
	// CUDA.
	Precision string `yaml:"precision,omitempty" json:"precision,omitempty"`
	// Memory bounds what names take of memory, such as 512MiB or 2GiB, which is "". If the training and validation names
	// take more, training names are read from disk in every epoch, in another order, and validation uses as many names,
	// drawn by the seed, as fit into a quarter. "0" holds all names in memory, however many.
	Memory string `yaml:"memory,omitempty" json:"memory,omitempty"`
	// Workers splits a batch; 0 means one a core. A result depends on it in its last digits.
	Workers int `yaml:"workers" json:"workers"`
}

// OptionNames lists the YAML names of Options; train-model's flags have hyphens in place of the underscores.
func OptionNames() []string {
	var out []string
	for f := range reflect.TypeFor[Options]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		out = append(out, name)
	}
	return out
}

// With gives the options with some replaced by their YAML names. It does not check what they say: Resolve does.
func (o Options) With(values map[string]any) (Options, error) {
	data, err := yamlfile.Encode(values)
	if err != nil {
		return o, err
	}
	if err := yamlfile.Decode(data, &o, yaml.Strict()); err != nil {
		return o, errors.New(lineNumber.ReplaceAllString(err.Error(), "")) // of a text that nobody wrote
	}
	return o, nil
}

var lineNumber = regexp.MustCompile(`^line \d+: `)

// taught is the share that a teacher's probabilities have in a target; the label has the rest.
const taught = 0.75

// Schedules of the learning rate.
const (
	SchedulePlateau = "plateau"
	ScheduleCosine  = "cosine"
)

// Optimisers, with the defaults of Keras.
const (
	OptimizerAdam    = "adam"
	OptimizerRMSProp = "rmsprop"
)

// DefaultOptions are what train-model uses unless told otherwise.
func DefaultOptions() Options {
	return Options{Epochs: 100, BatchSize: 256, Patience: 5, Optimizer: OptimizerAdam, LearningRate: 1e-3,
		PlateauPatience: 2, PlateauFactor: 0.5, MinRate: 1e-5, Seed: 1, ClassWeight: WeightNone}
}

// Auto is the architecture that trains best on public data within minutes, and its recipe. docs/notebook/road.md tells
// what was tried on the way.
const Auto = "auto"

// autoPreset is what Auto means in this version.
const autoPreset = "hybrid"

// Recipe gives an architecture's preset and the options it trains best with for a target: DefaultOptions but for Auto
// and its preset.
func Recipe(arch, target string) (preset string, o Options) {
	o = DefaultOptions()
	if arch != Auto && arch != autoPreset {
		return arch, o
	}
	o.Epochs, o.BatchSize, o.LearningRate = 7, 512, 2e-3
	o.Schedule, o.WeightDecay, o.Augment = ScheduleCosine, 0.02, 0.15
	if target != TargetFamily {
		o.Epochs, o.Invent, o.Blend = 6, 0.2, 0.5 // the blend is of a seventh
	}
	return autoPreset, o
}

// Resolve fills in what depends on the machine and reports a value out of range, by its flag's name.
func (o *Options) Resolve() error {
	o.Workers = cmp.Or(o.Workers, runtime.GOMAXPROCS(0))
	o.Optimizer = cmp.Or(o.Optimizer, OptimizerAdam) // runs of earlier versions have neither
	o.Schedule = cmp.Or(o.Schedule, SchedulePlateau)
	for _, c := range []struct {
		flag, value string
		known       []string
	}{
		{"precision", o.Precision, []string{"", PrecisionFP32, PrecisionTF32, PrecisionBF16}},
		{"optimizer", o.Optimizer, []string{OptimizerAdam, OptimizerRMSProp}},
		{"schedule", o.Schedule, []string{SchedulePlateau, ScheduleCosine}},
		{"class-weight", o.ClassWeight, []string{WeightNone, WeightBalanced, WeightFamily}},
	} {
		if !slices.Contains(c.known, c.value) {
			last := len(c.known) - 1
			known := strings.TrimPrefix(strings.Join(c.known[:last], ", "), ", ")
			return fmt.Errorf("%s %q: must be %s or %s", c.flag, c.value, known, c.known[last])
		}
	}
	o.Memory = cmp.Or(o.Memory, DefaultMemory)
	if n, err := bytesize.Parse(o.Memory); o.Memory != "0" && (err != nil || n < leastMemory) {
		return fmt.Errorf("memory %q: must be a size of at least %dMiB, such as 512MiB or 2GiB, or 0 to hold all names in "+
			"memory", o.Memory, leastMemory>>20)
	}
	for _, share := range []struct {
		flag  string
		value float64
	}{{"weight-decay", o.WeightDecay}, {"augment", o.Augment}, {"invent", o.Invent}, {"blend", o.Blend}} {
		if !(share.value >= 0 && share.value <= 1) {
			return fmt.Errorf("%s %g: must be 0 to 1", share.flag, share.value)
		}
	}
	switch {
	case o.Epochs < 1:
		return fmt.Errorf("epochs %d: must be at least 1", o.Epochs)
	case o.BatchSize < 1 || o.BatchSize > 1<<16:
		return fmt.Errorf("batch-size %d: must be 1 to %d", o.BatchSize, 1<<16)
	case o.Names < 0:
		return fmt.Errorf("names %d: must not be negative", o.Names)
	case o.Patience < 0:
		return fmt.Errorf("patience %d: must not be negative", o.Patience)
	case !(o.LearningRate > 0 && o.LearningRate <= 1):
		return fmt.Errorf("learning-rate %g: must be above 0 and at most 1", o.LearningRate)
	case o.PlateauPatience < 0 || !(o.PlateauFactor > 0 && o.PlateauFactor <= 1):
		return fmt.Errorf("plateau patience %d, factor %g: patience must not be negative, the factor above 0 and at most 1",
			o.PlateauPatience, o.PlateauFactor)
	case o.WeightDecay > 0 && o.Optimizer != OptimizerAdam:
		return fmt.Errorf("weight-decay %g: only the optimizer %s has it", o.WeightDecay, OptimizerAdam)
	case !(o.LabelSmoothing >= 0 && o.LabelSmoothing < 1):
		return fmt.Errorf("label-smoothing %g: must be at least 0 and below 1", o.LabelSmoothing)
	case !(o.FocusShare >= 0 && o.FocusShare < 1):
		return fmt.Errorf("focus-share %g: must be at least 0 and below 1", o.FocusShare)
	case o.FocusShare > 0 && o.Focus == "":
		return fmt.Errorf("focus-share %g: it needs a focus, such as console", o.FocusShare)
	case !(o.Average >= 0 && o.Average < 1):
		return fmt.Errorf("average %g: must be at least 0 and below 1", o.Average)
	case o.Workers < 1 || o.Workers > 1024:
		return fmt.Errorf("workers %d: must be 1 to 1024", o.Workers)
	}
	return nil
}

// DefaultMemory is train-model's, which process-data has too: 70 million names fit into it.
const DefaultMemory = "2GiB"

// leastMemory is the least bytes that Options.Memory may be.
const leastMemory = 1 << 20

// bound is Memory in bytes, 0 for none.
func (o *Options) bound() int64 {
	n, _ := bytesize.Parse(o.Memory) // Resolve has read it
	return n
}

// Fits reports an option that a target cannot have.
func (o *Options) Fits(target string) error {
	if target == TargetFamily && o.Invent+o.Blend > 0 {
		return fmt.Errorf("invent %g, blend %g: an invented name has no family. Try: --invent 0 --blend 0, "+
			"or another --target", o.Invent, o.Blend)
	}
	return nil
}

// unflagged are options that only a pipeline's file can set.
var unflagged = []string{"plateau_patience", "plateau_factor", "min_rate"}

// Flags are train-model's flags that make o of base: a flag and a value for each option that differs.
func (o Options) Flags(base Options) []string {
	var out []string
	mine, theirs := reflect.ValueOf(o), reflect.ValueOf(base)
	for i, name := range OptionNames() {
		v := mine.Field(i).Interface()
		if v != theirs.Field(i).Interface() && !slices.Contains(unflagged, name) {
			out = append(out, "--"+strings.ReplaceAll(name, "_", "-"), fmt.Sprint(v))
		}
	}
	return out
}
