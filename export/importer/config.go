// Package importer reads models of other tools as a Spec and its weights: HDF5 files that Keras 1, 2 and 3 write with
// model.save("x.h5"). They hold the architecture in the root's attribute model_config and the weights below
// /model_weights.
package importer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// kerasLayer is one layer of a Keras configuration.
type kerasLayer struct {
	Class  string
	Name   string
	Config settings
	Inputs []string // names of the layers it reads
	hard   bool     // the gates are hard sigmoids, as convert finds
	cuDNN  bool     // it is a CuDNNLSTM, whose variables have another layout, as convert finds
	masks  bool     // it is an Embedding with mask_zero, as convert finds
	norm   *affine  // of a BatchNormalization, as readNorms finds
}

// settings are a layer's arguments. wrong keeps the first one that was asked for and has an unknown form. Otherwise it
// would silently become its default.
type settings struct {
	values map[string]json.RawMessage
	wrong  *error // nil where there are no values; shared by copies
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *settings) UnmarshalJSON(data []byte) error {
	s.wrong = new(error)
	return json.Unmarshal(data, &s.values)
}

// err is about the first setting that was asked for and could not be read.
func (s settings) err() error {
	if s.wrong == nil {
		return nil
	}
	return *s.wrong
}

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

// layer returns what all versions of Keras write. Some write the name only into the configuration.
func (r *rawLayer) layer() kerasLayer {
	return kerasLayer{Class: r.Class, Name: cmp.Or(r.Name, r.Config.text("name")), Config: r.Config}
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
			var err error
			if l.Inputs, err = parseSources(raw.Inbound[0]); err != nil {
				return nil, fmt.Errorf("layer %s: inbound_nodes: %w", l.Name, err)
			}
		}
		m.Layers = append(m.Layers, l)
	}
	ends, err := parseSources(c.Output) // [["name", 0, 0]]; Keras 3 writes ["name", 0, 0] for one output
	if err != nil {
		return nil, fmt.Errorf("output_layers: %w", err)
	}
	if len(ends) != 1 {
		return nil, fmt.Errorf("%d outputs; only models with one are read", len(ends))
	}
	m.Output = ends[0]
	return m, nil
}

// tensor returns the layer in ["name", 0, 0], which may go on with the arguments of its call. Only a layer's first
// output is read: others are states, or belong to a layer that is used twice.
func tensor(v any) (layer string, ok bool, err error) {
	list, ok := v.([]any)
	if !ok || len(list) < 3 {
		return "", false, nil
	}
	if layer, ok = list[0].(string); !ok {
		return "", false, nil
	}
	if list[1] != 0.0 || list[2] != 0.0 {
		return "", true, fmt.Errorf("output %v of call %v of layer %s is not read, only the first of each",
			list[2], list[1], layer)
	}
	if len(list) > 3 {
		err = plainCall(list[3])
	}
	return layer, true, err
}

// plainCall refuses arguments of a layer's call that change what it does.
func plainCall(v any) error {
	arguments, _ := v.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(arguments)) {
		if x := arguments[name]; x != nil && (name != "training" || x != false) {
			return fmt.Errorf("a call with %s is not read", name)
		}
	}
	return nil
}

func parseSources(raw json.RawMessage) ([]string, error) {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	return sources(v, nil)
}

// sources adds the layers that an inbound node names, in order. Keras 2 writes [["a", 0, 0, {}], …]. Keras 3 writes
// tensors with a keras_history of ["a", 0, 0] in "args", beside "kwargs".
func sources(v any, out []string) ([]string, error) {
	var err error
	switch v := v.(type) {
	case []any:
		if s, ok, err := tensor(v); ok {
			return append(out, s), err
		}
		for _, x := range v {
			if out, err = sources(x, out); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		if s, ok, err := tensor(v["keras_history"]); ok {
			return append(out, s), err
		}
		for _, key := range []string{"args", "config", "inputs"} {
			if out, err = sources(v[key], out); err != nil {
				return nil, err
			}
		}
		return out, plainCall(v["kwargs"])
	}
	return out, nil
}

// get decodes the first of the names that is set; fallback if none is.
func get[T any](s settings, fallback T, names ...string) T {
	s.first(&fallback, names)
	return fallback
}

func (s settings) text(names ...string) string { return get(s, "", names...) }

// number is an integer setting, or a list of one, and fallback if there is none.
func (s settings) number(fallback int, names ...string) int {
	v := oneOrMore{fallback}
	if name := s.first(&v, names); len(v) != 1 {
		s.refuse(name)
		return fallback
	}
	return v[0]
}

type oneOrMore []int

// UnmarshalJSON implements json.Unmarshaler.
func (o *oneOrMore) UnmarshalJSON(data []byte) error {
	var one int
	if json.Unmarshal(data, &one) == nil {
		*o = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(data, (*[]int)(o))
}

// square is a setting of both axes of a picture, which must be equal, and fallback if there is none.
func (s settings) square(fallback int, name string) (int, error) {
	v := oneOrMore{fallback}
	s.first(&v, []string{name})
	switch {
	case len(v) == 2 && v[0] != v[1]:
		return 0, fmt.Errorf("%s of %d and %d are not read, only equal ones", name, v[0], v[1])
	case len(v) < 1 || len(v) > 2:
		s.refuse(name)
		return fallback, nil
	}
	return v[0], nil
}

func (s settings) has(name string) bool {
	raw, ok := s.values[name]
	return ok && string(raw) != "null"
}

// first decodes the first of the names that is set and not null, and returns that name, "" if there is none.
func (s settings) first(into any, names []string) string {
	i := slices.IndexFunc(names, s.has)
	if i < 0 {
		return ""
	}
	if json.Unmarshal(s.values[names[i]], into) != nil {
		s.refuse(names[i])
	}
	return names[i]
}

// refuse remembers the first setting with an unknown form.
func (s settings) refuse(name string) {
	if s.wrong != nil && *s.wrong == nil {
		*s.wrong = fmt.Errorf("%s %.80s is not read", name, s.values[name])
	}
}
