package model

import "github.com/degas-dns/degas/internal/registry"

// preset is a Spec that a user can name, with one line about it.
type preset struct {
	spec  func() Spec
	about string
}

// presets holds them. The file of each preset registers it.
var presets = registry.New[preset]("preset")

// Presets lists the names of the presets in alphabetical order.
func Presets() []string { return presets.Names() }

// Preset returns a fresh Spec by name.
func Preset(name string) (Spec, error) {
	p, err := presets.Lookup(name)
	if err != nil {
		return Spec{}, err
	}
	return p.spec(), nil
}

// AboutPreset says in one line what a preset is.
func AboutPreset(name string) (string, error) {
	p, err := presets.Lookup(name)
	return p.about, err
}

// binarySpec makes the Spec of a preset that tells benign names from all others.
func binarySpec(name string, enc Encoder, layers ...Layer) Spec {
	return Spec{Version: SpecVersion, Name: name, Encoder: enc, Labels: BinaryLabels, Layers: layers}
}

// namesEmbedding is the first layer of degas' own presets: 128 values for each code.
func namesEmbedding() Layer {
	enc := nameEncoder()
	return Layer{Kind: KindEmbedding, Rows: enc.Codes(), Dim: 128}
}

// BinaryLabels are the labels of a model that tells benign names from all others. The slice must not be changed.
var BinaryLabels = []string{"benign", "malicious"}

// nameEncoder is the encoder of degas' own presets. It pads on the left, so that a recurrent layer ends on the name
// itself, and keeps the end of names of more than 64 characters.
func nameEncoder() Encoder {
	return Encoder{Alphabet: NameAlphabet, Base: 2, Unknown: 1, Window: 64, PadSide: Left, Keep: Last, Lower: true}
}
