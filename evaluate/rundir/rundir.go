// Package rundir reads what a run's directory says about the run: how it was trained, its epochs, what was done to its
// model afterwards, and what protocols found. train-model writes most of it; the two packages share files, not code.
package rundir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/internal/yamlfile"
	"github.com/degas-dns/degas/model"
)

// ProtocolDir is where a run keeps what protocols found, a JSON file each.
const ProtocolDir = "protocols"

// Run is a run directory with its configuration and model.
type Run struct {
	Dir    string
	Config Config
	Model  *model.Model
	// OwnSpec is set where the run keeps an architecture that is no preset, whatever it is called.
	OwnSpec bool
}

// Config is what an evaluation reads of a run's config.yaml.
type Config struct {
	Arch        string        `yaml:"arch"`
	From        string        `yaml:"from"` // the run or model whose weights the training began with
	FromDataset string        `yaml:"from_dataset"`
	Target      string        `yaml:"target"`
	Engine      string        `yaml:"engine"`
	Data        string        `yaml:"data"`
	Fingerprint string        `yaml:"fingerprint"`
	Degas       string        `yaml:"degas"`
	Machine     string        `yaml:"machine"`
	Options     yaml.MapSlice `yaml:"options"` // in the order of the file, which is train-model's
}

// Open reads the configuration and the model of the run in dir. For model.BuiltinName it returns the built-in model as
// a run of which nothing else is known.
func Open(dir string) (*Run, error) {
	if dir == model.BuiltinName {
		return openBuiltin()
	}
	r := &Run{Dir: filepath.Clean(dir)}
	if r.Dir == model.BuiltinName {
		r.Dir = "." + string(filepath.Separator) + r.Dir
	}
	path := filepath.Join(dir, "config.yaml")
	data, err := userfile.Read(path, userfile.Text)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is no run: %w. Try: %s", dir, err, instead(dir))
	} else if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, fmt.Errorf("read %s: it is empty. Try: degas train-model for a new run", path)
	}
	if err := yamlfile.Decode(data, &r.Config); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	_, err = os.Stat(r.SpecFile())
	r.OwnSpec = err == nil
	r.Model, err = model.Load(r.modelDir())
	return r, err
}

// OpenModel is Open, which also takes a version directory of export-model: it is a run of which nothing else is known.
func OpenModel(dir string) (*Run, error) {
	r, err := Open(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	m, noModel := model.Load(dir)
	if noModel != nil {
		return nil, err
	}
	return ofModel(filepath.Clean(dir), m), nil
}

// ofModel is a run of which only the model is known. It is measured where train-model finds its data.
func ofModel(dir string, m *model.Model) *Run {
	c := Config{Arch: m.Spec.Name, Target: "family", Data: "data/processed",
		Degas: strings.TrimPrefix(m.Producer, "degas ")}
	switch other := func(label string) bool { return !slices.Contains(datasets.ClassNames(), label) }; {
	case slices.Equal(m.Spec.Labels, model.BinaryLabels):
		c.Target = "binary"
	case !slices.ContainsFunc(m.Spec.Labels, other):
		c.Target = "class"
	}
	return &Run{Dir: dir, Config: c, Model: m}
}

func openBuiltin() (*Run, error) {
	m, err := model.Builtin()
	if err != nil {
		return nil, err
	}
	return ofModel(model.BuiltinName, m), nil
}

func (r *Run) builtin() bool { return r.Dir == model.BuiltinName }

// Name is what the run is called.
func (r *Run) Name() string { return filepath.Base(r.Dir) }

// SpecFile is where a run keeps an architecture that is no preset.
func (r *Run) SpecFile() string { return filepath.Join(r.Dir, "spec.json") }

func (r *Run) modelDir() string { return filepath.Join(r.Dir, "model") }

// SaveModel writes r.Model to the run.
func (r *Run) SaveModel() error { return r.Model.Save(r.modelDir()) }

// Arch is the architecture's name for a reader.
func (r *Run) Arch() string {
	if r.OwnSpec {
		return r.Config.Arch + ", changed (spec.json)"
	}
	return r.Config.Arch
}

// Option returns the named training option, nil if zero or missing.
func (r *Run) Option(name string) any {
	v := r.Config.Options.ToMap()[name]
	if fmt.Sprint(v) == "0" {
		return nil
	}
	return v
}

// Seed is the run's; 0 for an imported model.
func (r *Run) Seed() uint64 {
	seed, _ := r.Option("seed").(uint64)
	return seed
}

// BeganElsewhere reports whether the training began with weights that may have seen names of another split of the data
// set with a fingerprint.
func (r *Run) BeganElsewhere(fingerprint string) bool {
	c := r.Config
	return c.From != "" && c.Fingerprint != "" && c.FromDataset != fingerprint
}

// Generalisations reads what protocols found for the run on the data set with a fingerprint.
func (r *Run) Generalisations(fingerprint string) ([]metrics.Generalisation, error) {
	if r.builtin() {
		return nil, nil
	}
	dir := filepath.Join(r.Dir, ProtocolDir)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []metrics.Generalisation
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if filepath.Ext(path) != ".json" {
			continue
		}
		data, err := userfile.Read(path, userfile.Text)
		if err != nil {
			return nil, err
		}
		var g metrics.Generalisation
		if err := json.Unmarshal(data, &g); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if g.Fingerprint == fingerprint {
			out = append(out, g)
		}
	}
	return out, nil
}

// instead is what to do with a directory that is no run.
func instead(dir string) string {
	has := func(path string) bool { _, err := os.Stat(path); return err == nil }
	outer, keras := filepath.Dir(filepath.Clean(dir)), filepath.Join(dir, "model.h5")
	switch {
	case !has(filepath.Join(dir, model.SpecFile)):
		return "degas train-model for a new one, or degas runs, which lists those that there are"
	case has(filepath.Join(outer, "config.yaml")):
		return outer + ", the run that this model is of"
	case has(keras):
		return "degas import-model " + keras + ", which makes a run of this export"
	}
	return "the run that this export was made of; without it, export-model with --format h5 and import-model make one"
}
