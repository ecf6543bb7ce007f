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

// ReadConfig reads a pipeline and checks all that it says by itself: an error names the line, and what is known where a
// name is not. Keys that are left out have the defaults of the commands. What must be there is for [Config.CheckFiles].
func ReadConfig(path string) (*Config, error) {
	data, err := userfile.Read(path, userfile.Config)
	if err != nil {
		return nil, err
	}
	c, err := parse(data)
	var at fieldError
	if errors.As(err, &at) {
		err = fmt.Errorf("%s%w", yamlfile.Place(data, at.key), err)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return c, nil
}

func parse(data []byte) (*Config, error) {
	var present map[string]any
	if err := yamlfile.Decode(data, &present); err != nil {
		return nil, err
	}
	if present["search"] != nil {
		return nil, errors.New("it has a search: this is a config of degas tune. Try: degas tune")
	}
	for section, v := range present {
		if v == nil {
			return nil, fieldError{section, fmt.Errorf("is empty. Try: %s: {} for the defaults, or leave it out", section)}
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
		if from, _ := train["from"].(string); from != "" { // its architecture is not known yet
			preset, c.Train.Options = arch, trainer.DefaultOptions()
		} else {
			preset, c.Train.Options = trainer.Recipe(cmp.Or(arch, trainer.Auto), target)
		}
	}
	if err := yamlfile.Decode(data, c, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%w%s", err, suggest(err))
	}
	if c.Train != nil {
		c.Train.Arch = preset
	}
	return c, c.check()
}

var unknownField = regexp.MustCompile(`unknown field "([^"]+)"`)

// suggest says where the unknown key of a strict decoding error belongs, or names the known one nearest to it.
func suggest(err error) string {
	m := unknownField.FindStringSubmatch(err.Error())
	if m == nil {
		return ""
	}
	if slices.Contains(trainer.OptionNames(), m[1]) {
		return fmt.Sprintf(". It belongs in train's options: {%s: …}", m[1])
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
