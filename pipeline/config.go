package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/degas-dns/degas/internal/nearest"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/internal/yamlfile"
	"github.com/degas-dns/degas/trainer"
)

// Config is a pipeline as written in configs/*.yaml. A stage whose section is missing does not run. Paths are relative
// to the working directory, as on the command line.
type Config struct {
	Version  int             `yaml:"version"`
	Name     string          `yaml:"name"` // names the state file, .degas/<name>.json
	Download *DownloadConfig `yaml:"download"`
	Process  *ProcessConfig  `yaml:"process"`
	Train    *TrainConfig    `yaml:"train"`
	Evaluate *EvaluateConfig `yaml:"evaluate"`
	Export   *ExportConfig   `yaml:"export"`
}

// DownloadConfig is the download-data stage.
type DownloadConfig struct {
	Sources []string `yaml:"sources" json:"sources"`
	From    string   `yaml:"from" json:"from"` // a directory to take files from instead of the network
	To      string   `yaml:"to" json:"to"`
}

// ProcessConfig is the process-data stage.
type ProcessConfig struct {
	In         string   `yaml:"in" json:"in"`
	Out        string   `yaml:"out" json:"out"`
	Seed       uint64   `yaml:"seed" json:"seed"`
	Validation float64  `yaml:"validation" json:"validation"`
	Test       float64  `yaml:"test" json:"test"`
	Split      string   `yaml:"split" json:"split"`
	Holdout    []string `yaml:"holdout_families" json:"holdout_families"`
	Exclude    []string `yaml:"exclude" json:"exclude,omitempty"` // sources
	MaxBad     float64  `yaml:"max_bad" json:"max_bad"`
	Balance    string   `yaml:"balance" json:"balance,omitempty"`       // "", binary or class
	CapFamily  int64    `yaml:"cap_family" json:"cap_family,omitempty"` // training names a family, 0 for all
}

// TrainConfig is the train-model stage. Options has the defaults of train-model.
type TrainConfig struct {
	Data    string          `yaml:"data" json:"data"`
	Run     string          `yaml:"run" json:"run"` // directory
	Arch    string          `yaml:"arch" json:"arch"`
	Target  string          `yaml:"target" json:"target"`
	Engine  string          `yaml:"engine" json:"engine"`
	Options trainer.Options `yaml:"options" json:"options"`
}

// EvaluateConfig is the evaluate-model stage.
type EvaluateConfig struct {
	Run  string `yaml:"run" json:"run"`
	Data string `yaml:"data" json:"data"`
	Out  string `yaml:"out" json:"out"`
}

// ExportConfig is the export-model stage.
type ExportConfig struct {
	Run     string   `yaml:"run" json:"run"`
	To      string   `yaml:"to" json:"to"`
	Formats []string `yaml:"formats" json:"formats"`
}

// ReadConfig reads a pipeline. An unknown key is an error that names its line and the nearest known key. Keys that are
// left out have the defaults of the commands.
func ReadConfig(path string) (*Config, error) {
	data, err := userfile.Read(path, userfile.Config)
	if err != nil {
		return nil, err
	}
	var present map[string]any
	if err := yamlfile.Decode(data, &present); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	for section, v := range present {
		if v == nil {
			return nil, fmt.Errorf("read %s: %[2]s: is empty. Try: %[2]s: {} for the defaults, or leave it out",
				path, section)
		}
	}
	c := &Config{}
	if _, ok := present["process"]; ok {
		c.Process = &ProcessConfig{Validation: 0.1, Test: 0.1, Seed: 1, MaxBad: 0.01}
	}
	var preset string
	if section, ok := present["train"]; ok { // architecture and target decide about the other defaults
		train, _ := section.(map[string]any)
		arch, _ := train["arch"].(string)
		target, _ := train["target"].(string)
		c.Train = &TrainConfig{}
		preset, c.Train.Options = trainer.Recipe(cmp.Or(arch, trainer.Auto), target)
	}
	if err := yamlfile.Decode(data, c, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("read %s: %w%s", path, err, suggest(err))
	}
	if c.Train != nil {
		c.Train.Arch = preset
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return c, nil
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func (c *Config) check() error {
	if c.Version != 1 {
		return fmt.Errorf("version %d, this degas reads 1", c.Version)
	}
	if !nameForm.MatchString(c.Name) {
		return fmt.Errorf("name %q: use letters, digits, '.', '_' and '-'", c.Name)
	}
	if c.Download == nil && c.Process == nil && c.Train == nil && c.Evaluate == nil && c.Export == nil {
		return errors.New("has no stage: give download, process, train, evaluate or export")
	}
	return c.defaults()
}

// defaults fills in paths from the stage before, or from the commands' defaults.
func (c *Config) defaults() error {
	raw, processed, run := "data/raw", "data/processed", ""
	if d := c.Download; d != nil {
		raw = first(&d.To, raw)
	}
	if p := c.Process; p != nil {
		first(&p.In, raw)
		processed = first(&p.Out, processed)
		if _, err := p.options().Plan(); err != nil {
			return fmt.Errorf("process: %w", err)
		}
	}
	if t := c.Train; t != nil {
		first(&t.Data, processed)
		run = first(&t.Run, "runs/"+c.Name)
		first(&t.Target, trainer.TargetBinary)
		first(&t.Engine, trainer.EngineAuto)
		asked := t.Options.Workers // what is not asked for is no parameter: machines differ in their cores
		if err := t.Options.Resolve(); err != nil {
			return fmt.Errorf("train: %w", err)
		}
		t.Options.Workers = asked
	}
	if e := c.Evaluate; e != nil {
		if first(&e.Run, run) == "" {
			return errors.New("evaluate: give run, or a train stage before it")
		}
		first(&e.Data, processed)
		first(&e.Out, e.Run+"/evaluation")
	}
	if e := c.Export; e != nil {
		if first(&e.Run, run) == "" {
			return errors.New("export: give run, or a train stage before it")
		}
		first(&e.To, "models/"+c.Name+"/1")
	}
	return nil
}

// first sets an empty field to its default and returns the field.
func first(field *string, def string) string {
	if *field == "" {
		*field = def
	}
	return *field
}

var unknownField = regexp.MustCompile(`unknown field "([^"]+)"`)

// suggest names the known key nearest to the unknown one of a strict decoding error.
func suggest(err error) string {
	m := unknownField.FindStringSubmatch(err.Error())
	if m == nil {
		return ""
	}
	if best := nearest.Of(m[1], keys(reflect.TypeFor[Config](), nil)); best != "" {
		return fmt.Sprintf(". Did you mean %q?", best)
	}
	return ""
}

// keys collects the YAML keys of a struct and of the structs in it.
func keys(t reflect.Type, out []string) []string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return out
	}
	for f := range t.Fields() {
		if k, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); k != "" && !slices.Contains(out, k) {
			out = append(out, k)
		}
		out = keys(f.Type, out)
	}
	return out
}
