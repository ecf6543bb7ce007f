// Package importer reads models that other tools saved, as a Spec and its weights. What it reads it can train on,
// evaluate, export again and serve like any other model.
//
// Keras' HDF5 files are understood as Keras 1, 2 and 3 write them with model.save("x.h5"): the architecture in the root's
// attribute model_config, the weights below /model_weights.
package importer

import (
	"encoding/json"
	"errors"
	"fmt"
)

// kerasLayer is one layer of a Keras configuration.
type kerasLayer struct {
	Class  string
	Name   string
	Config settings
	Inputs []string // names of the layers it reads
}

// settings are a layer's arguments.
type settings map[string]json.RawMessage

// kerasModel is model_config.
type kerasModel struct {
	Name   string
	Layers []kerasLayer
	Output string
}

// rawLayer is a layer as JSON has it.
type rawLayer struct {
	Class   string            `json:"class_name"`
	Name    string            `json:"name"`
	Config  settings          `json:"config"`
	Inbound []json.RawMessage `json:"inbound_nodes"`
}

// parseConfig reads a model_config of any Keras version.
func parseConfig(text string) (*kerasModel, error) {
	var top struct {
		Class  string          `json:"class_name"`
		Config json.RawMessage `json:"config"`
	}
	if err := json.Unmarshal([]byte(text), &top); err != nil {
		return nil, fmt.Errorf("model_config: %w", err)
	}
	var m *kerasModel
	var err error
	switch top.Class {
	case "Sequential":
		m, err = parseSequential(top.Config)
	case "Model", "Functional":
		m, err = parseFunctional(top.Config)
	default:
		return nil, fmt.Errorf("model_config: a model of class %q is not read, only Sequential and Functional", top.Class)
	}
	if err != nil {
		return nil, fmt.Errorf("model_config: %w", err)
	}
	return m, nil
}

// parseSequential reads a list of layers, which Keras 1 writes bare and later versions put below "layers".
func parseSequential(data json.RawMessage) (*kerasModel, error) {
	var c struct {
		Name   string     `json:"name"`
		Layers []rawLayer `json:"layers"`
	}
	if err := json.Unmarshal(data, &c.Layers); err != nil {
		if err := json.Unmarshal(data, &c); err != nil {
			return nil, err
		}
	}
	m := &kerasModel{Name: c.Name}
	for _, raw := range c.Layers {
		l := raw.layer()
		if len(m.Layers) == 0 && l.Class != "InputLayer" {
			m.Layers = append(m.Layers, kerasLayer{Class: "InputLayer", Name: l.Name + "_input", Config: l.Config})
		}
		if n := len(m.Layers); n > 0 {
			l.Inputs = []string{m.Layers[n-1].Name}
		}
		m.Layers = append(m.Layers, l)
		m.Output = l.Name
	}
	if len(m.Layers) == 0 {
		return nil, errors.New("no layers")
	}
	return m, nil
}

// layer takes what all versions have; the name may be in the configuration alone.
func (r *rawLayer) layer() kerasLayer {
	l := kerasLayer{Class: r.Class, Name: r.Name, Config: r.Config}
	if l.Name == "" {
		l.Name = l.Config.text("name")
	}
	return l
}

// parseFunctional reads a graph with one input and one output.
func parseFunctional(data json.RawMessage) (*kerasModel, error) {
	var c struct {
		Name   string          `json:"name"`
		Layers []rawLayer      `json:"layers"`
		Output json.RawMessage `json:"output_layers"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, err
	}
	m := &kerasModel{Name: c.Name}
	for _, raw := range c.Layers {
		l := raw.layer()
		if len(raw.Inbound) > 1 {
			return nil, fmt.Errorf("layer %s is used %d times; shared layers are not read", l.Name, len(raw.Inbound))
		}
		if len(raw.Inbound) == 1 {
			var v any
			if err := json.Unmarshal(raw.Inbound[0], &v); err != nil {
				return nil, err
			}
			l.Inputs = sources(v, nil)
		}
		m.Layers = append(m.Layers, l)
	}
	var out any
	if err := json.Unmarshal(c.Output, &out); err != nil {
		return nil, fmt.Errorf("output_layers: %w", err)
	}
	ends := sources([]any{out}, nil)
	if s, ok := firstText(out); ok { // Keras 3 writes ["name", 0, 0] for one output
		ends = []string{s}
	}
	if len(ends) != 1 {
		return nil, fmt.Errorf("%d outputs; only models with one are read", len(ends))
	}
	m.Output = ends[0]
	return m, nil
}

// firstText is the name in ["name", 0, 0].
func firstText(v any) (string, bool) {
	list, ok := v.([]any)
	if !ok || len(list) < 3 {
		return "", false
	}
	s, ok := list[0].(string)
	return s, ok
}

// sources collects the layers that an inbound node names, in order: Keras 2 writes [["a", 0, 0, {}], …], Keras 3 tensors
// with a keras_history of ["a", 0, 0].
func sources(v any, out []string) []string {
	switch v := v.(type) {
	case []any:
		if s, ok := firstText(v); ok {
			return append(out, s)
		}
		for _, x := range v {
			out = sources(x, out)
		}
	case map[string]any:
		if s, ok := firstText(v["keras_history"]); ok {
			return append(out, s)
		}
		for _, key := range []string{"args", "config", "inputs"} {
			if x, ok := v[key]; ok {
				out = sources(x, out)
			}
		}
	}
	return out
}

// text is a string setting, "" when there is none.
func (s settings) text(names ...string) (v string) {
	s.first(&v, names)
	return v
}

// number is an integer setting, which may be written as a list of one; fallback when there is none.
func (s settings) number(fallback int, names ...string) int {
	v := fallback
	if !s.first(&v, names) {
		var list []int
		if s.first(&list, names) && len(list) == 1 {
			v = list[0]
		}
	}
	return v
}

func (s settings) float(fallback float64, names ...string) float64 {
	v := fallback
	s.first(&v, names)
	return v
}

func (s settings) flag(fallback bool, name string) bool {
	v := fallback
	s.first(&v, []string{name})
	return v
}

// square is a setting of both axes of a picture, which must be equal; fallback when there is none.
func (s settings) square(fallback int, name string) (int, error) {
	var list []int
	if s.first(&list, []string{name}) && len(list) == 2 {
		if list[0] != list[1] {
			return 0, fmt.Errorf("%s of %d and %d are not read, only equal ones", name, list[0], list[1])
		}
		return list[0], nil
	}
	return s.number(fallback, name), nil
}

func (s settings) has(name string) bool {
	raw, ok := s[name]
	return ok && string(raw) != "null"
}

// first decodes the first of the names that is set and not null.
func (s settings) first(into any, names []string) bool {
	for _, n := range names {
		if raw, ok := s[n]; ok && string(raw) != "null" {
			return json.Unmarshal(raw, into) == nil
		}
	}
	return false
}
