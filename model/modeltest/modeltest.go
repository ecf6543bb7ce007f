// Package modeltest makes random Specs, weights and names for the tests of engines, exporters and the model itself.
package modeltest

import (
	"errors"
	"math/rand/v2"
	"strings"

	"github.com/degas-dns/degas/model"
)

// Spec draws a small valid Spec: any mix of the layers degas knows, odd widths included.
func Spec(rng *rand.Rand) model.Spec {
	for {
		s := draw(rng)
		if s.Validate() == nil {
			return s
		}
	}
}

// Small is a small untrained model whose scores are about a half: a threshold of 0.01 makes every name malicious, and
// one of 0.99 none. change, if not nil, changes its Spec.
func Small(threshold float64, change func(*model.Spec)) *model.Model {
	enc := Encoder(32)
	s := model.Spec{Version: model.SpecVersion, Name: "small", Encoder: enc, Labels: model.BinaryLabels,
		Layers: []model.Layer{{Kind: model.KindEmbedding, Rows: enc.Codes(), Dim: 2}, {Kind: model.KindLSTM, Units: 2},
			{Kind: model.KindDense, Units: 1, Activation: model.Sigmoid}}}
	if change != nil {
		change(&s)
	}
	m := &model.Model{Spec: s, Weights: Weights(&s, rand.New(rand.NewPCG(1, 2))), Threshold: threshold}
	for _, t := range m.Weights {
		for i := range t.Data {
			t.Data[i] /= 10
		}
	}
	return m
}

// Encoder is that of degas' own presets with another window.
func Encoder(window int) model.Encoder {
	enc, err := model.NamedEncoder("names")
	if err != nil {
		panic("modeltest: " + err.Error())
	}
	enc.Window = window
	return enc
}

// WithoutDropout sets all dropout rates in spec, whose layers must be the caller's own, to zero and returns it. Engines
// that draw their own masks can then be compared.
func WithoutDropout(spec model.Spec) model.Spec {
	drop(spec.Layers)
	return spec
}

func drop(layers []model.Layer) {
	for i := range layers {
		layers[i].Rate = 0
		for _, b := range layers[i].Branches {
			drop(b)
		}
	}
}

func draw(rng *rand.Rand) model.Spec {
	enc := Encoder(5 + rng.IntN(20))
	if rng.IntN(3) == 0 {
		enc.PadSide = model.Right
	}
	if rng.IntN(3) == 0 {
		enc.Keep = model.First
	}
	enc.Reverse = rng.IntN(4) == 0
	s := model.Spec{Version: model.SpecVersion, Name: "random", Encoder: enc, Labels: model.BinaryLabels}
	s.Layers = []model.Layer{{Kind: model.KindEmbedding, Rows: enc.Codes() + rng.IntN(3), Dim: 1 + rng.IntN(9)}}
	switch rng.IntN(5) {
	case 0, 1:
		s.Layers = append(s.Layers, tower(rng)...)
	case 2:
		height, width := 2+rng.IntN(4), 2+rng.IntN(5)
		s.Encoder.Window = height * width
		s.Layers = append([]model.Layer{{Kind: model.KindImage, Height: height, Width: width}}, picture(rng)...)
	default:
		var branches [][]model.Layer
		for range 2 + rng.IntN(3) {
			branches = append(branches, tower(rng))
		}
		s.Layers = append(s.Layers, model.Layer{Kind: model.KindParallel, Branches: branches})
	}
	for range rng.IntN(3) {
		dense := model.Layer{Kind: model.KindDense, Units: 1 + rng.IntN(9)}
		dense.Activation = pick(rng, "", model.ReLU, model.Tanh, model.Sigmoid)
		s.Layers = append(s.Layers, dense)
	}
	if rng.IntN(2) == 0 {
		s.Layers = append(s.Layers, model.Layer{Kind: model.KindDropout, Rate: 0.5})
	}
	s.Layers = append(s.Layers, model.Layer{Kind: model.KindDense})
	labels := []string{"benign", "dga", "tunnel", "other"}[:2+rng.IntN(3)]
	return s.WithLabels(labels)
}

// tower turns a sequence into a vector.
func tower(rng *rand.Rand) []model.Layer {
	var out []model.Layer
	for range rng.IntN(3) {
		switch rng.IntN(4) {
		case 0:
			pool := model.Layer{Kind: model.KindMaxPool, Pool: 1 + rng.IntN(3)}
			pool.Padding = pick(rng, model.Same, model.Valid)
			out = append(out, pool)
		case 1:
			out = append(out, model.Layer{Kind: model.KindThresholdedReLU, Theta: 1e-6})
		case 2:
			if rng.IntN(2) == 0 {
				out = append(out, model.Layer{Kind: model.KindLSTM, Units: 1 + rng.IntN(6), Bidirectional: rng.IntN(2) == 0,
					ReturnSequences: true})
			}
		}
		out = append(out, conv(rng))
	}
	switch rng.IntN(4) {
	case 0:
		lstm := model.Layer{Kind: model.KindLSTM, Units: 1 + rng.IntN(6), Bidirectional: rng.IntN(2) == 0}
		lstm.RecurrentActivation = pick(rng, "", "", model.Clip)
		if rng.IntN(3) == 0 {
			lstm.ReturnSequences = true
			out = append(out, lstm)
			lstm.ReturnSequences = false
		}
		return append(out, lstm)
	case 1:
		return append(out, model.Layer{Kind: model.KindFlatten})
	case 2:
		return append(out, model.Layer{Kind: model.KindGlobalMaxPool})
	}
	return append(out, conv(rng), model.Layer{Kind: model.KindGlobalMaxPool})
}

// picture turns a picture into a vector.
func picture(rng *rand.Rand) []model.Layer {
	var out []model.Layer
	for range 1 + rng.IntN(2) {
		conv := model.Layer{Kind: model.KindConv2D, Filters: 1 + rng.IntN(9), Kernel: 1 + rng.IntN(3)}
		conv.Activation = pick(rng, "", model.ReLU, model.Tanh)
		out = append(out, conv)
		if rng.IntN(2) == 0 {
			out = append(out, model.Layer{Kind: model.KindMaxPool2D, Pool: 1 + rng.IntN(2)})
		}
		if rng.IntN(4) == 0 {
			out = append(out, model.Layer{Kind: model.KindThresholdedReLU, Theta: 0.1})
		}
	}
	return append(out, model.Layer{Kind: model.KindFlatten})
}

func conv(rng *rand.Rand) model.Layer {
	return model.Layer{Kind: model.KindConv1D, Filters: 1 + rng.IntN(9), Kernel: 1 + rng.IntN(5),
		Padding: pick(rng, model.Same, model.Valid), Activation: pick(rng, "", model.ReLU, model.ReLU, model.Tanh)}
}

func pick(rng *rand.Rand, of ...string) string { return of[rng.IntN(len(of))] }

// Weights draws weights large enough that scores spread over the whole range.
func Weights(spec *model.Spec, rng *rand.Rand) model.Weights {
	params, err := spec.Params()
	w, wrong := model.Initial(spec, rng.Uint64())
	if err := errors.Join(err, wrong); err != nil {
		panic("modeltest: " + err.Error())
	}
	for _, p := range params {
		t := w[p.Name]
		for i := range t.Data {
			switch {
			case strings.HasSuffix(p.Name, "/bias"):
				t.Data[i] += float32(rng.NormFloat64()) * 0.3
			case p.Name == "embedding/embeddings":
				t.Data[i] = float32(rng.NormFloat64())
			default:
				t.Data[i] *= 1.5
			}
		}
	}
	return w
}

// Names draws n names of 0 to twice the window characters, some with bytes outside any alphabet.
func Names(rng *rand.Rand, n, window int) []string {
	const bytes = model.NameAlphabet + model.NameAlphabet + "ABC+=?\xff"
	out := make([]string, n)
	for i := range out {
		b := make([]byte, rng.IntN(2*window))
		for j := range b {
			b[j] = bytes[rng.IntN(len(bytes))]
		}
		out[i] = string(b)
	}
	return out
}

// Codes encodes names, [n, window].
func Codes(spec *model.Spec, names []string) []uint16 {
	c := spec.Encoder.Coder()
	out := make([]uint16, len(names)*c.Window())
	for i, n := range names {
		c.Encode(out[i*c.Window():(i+1)*c.Window()], n)
	}
	return out
}
