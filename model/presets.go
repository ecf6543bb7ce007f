package model

import (
	"fmt"
	"slices"
	"strings"
)

// presets holds the Specs a user can name; each file of a preset adds its own.
var presets = map[string]func() Spec{}

// RegisterPreset makes a Spec known under name. It panics on a second registration: a programmer's error.
func RegisterPreset(name string, spec func() Spec) {
	if _, dup := presets[name]; dup {
		panic("model: preset " + name + " registered twice")
	}
	presets[name] = spec
}

// Presets lists the known presets, sorted.
func Presets() []string {
	var out []string
	for n := range presets {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// Preset returns a fresh Spec by name.
func Preset(name string) (Spec, error) {
	f, ok := presets[name]
	if !ok {
		return Spec{}, fmt.Errorf("model: unknown preset %q, known are %s", name, strings.Join(Presets(), ", "))
	}
	return f(), nil
}

// BinaryLabels are the labels of a model that tells benign names from all others.
var BinaryLabels = []string{"benign", "malicious"}

// nameEncoder is the encoder of degas' own presets: 64 characters, padded on the left so that a recurrent layer ends on
// the name itself, keeping the end of longer names.
func nameEncoder() Encoder {
	return Encoder{Alphabet: NameAlphabet, Base: 2, Pad: 0, Unknown: 1, Window: 64, PadSide: Left, Keep: Last, Lower: true}
}
