// Package exporttest makes the models that the tests of every format export.
package exporttest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
)

// Case is a model to export.
type Case struct {
	Name  string
	Model *model.Model
}

// Cases are all presets, each with both kinds of head, hand-made Specs for what is hard to hit by chance, and random
// ones.
func Cases(t testing.TB, rng *rand.Rand, random int) []Case {
	t.Helper()
	var out []Case
	add := func(name string, s model.Spec) {
		if err := s.Validate(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		m := &model.Model{Spec: s, Weights: modeltest.Weights(&s, rng), Threshold: 0.5, Dataset: "test", Producer: "test"}
		if err := spread(m, rng); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, Case{name, m})
	}
	for _, name := range model.Presets() {
		s, err := model.Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		add(name, s)
		add(name+"-softmax", s.WithLabels([]string{"benign", "dga", "tunnel"}))
	}
	add("branches", Branches())
	for _, side := range []string{model.Left, model.Right} {
		for _, keep := range []string{model.First, model.Last} {
			s := Branches()
			s.Encoder.PadSide, s.Encoder.Keep, s.Encoder.Lower = side, keep, false
			s.Layers[len(s.Layers)-1] = model.Layer{Kind: model.KindDense, Units: 2, Activation: model.Softmax}
			add(side+"-"+keep, s)
			s.Encoder.Reverse = true
			add(side+"-"+keep+"-reverse", s)
		}
	}
	add("gru", GRUs(false))
	for i := range random {
		add(fmt.Sprintf("random-%02d", i), modeltest.Spec(rng))
	}
	return out
}

// First is the first layer of m that learns and its first tensor.
func First(t testing.TB, m *model.Model) (layer string, tensor *model.Tensor) {
	t.Helper()
	list, err := m.Spec.Graph()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range list {
		if len(n.Params) > 0 {
			return n.Name, m.Weights[n.Params[0].Name]
		}
	}
	t.Fatal("nothing to learn")
	return "", nil
}

// Branches is a Spec whose branches have unequal depths and equal shapes, the order of which only Keras' own rule gets
// right, with every activation, paddings of even and odd kernels and LSTMs of both activations.
func Branches() model.Spec {
	enc := modeltest.Encoder(20)
	conv := func(kernel int, padding, activation string) model.Layer {
		return model.Layer{Kind: model.KindConv1D, Filters: 6, Kernel: kernel, Padding: padding, Activation: activation}
	}
	top := model.Layer{Kind: model.KindGlobalMaxPool}
	dense := func(activation string) model.Layer {
		return model.Layer{Kind: model.KindDense, Units: 6, Activation: activation}
	}
	lstm := model.Layer{Kind: model.KindLSTM, Units: 6, RecurrentActivation: model.Clip}
	both := model.Layer{Kind: model.KindLSTM, Units: 6, Bidirectional: true}
	hard, all, hardAll := both, both, lstm
	hard.RecurrentActivation = model.Clip
	all.ReturnSequences, hardAll.ReturnSequences = true, true
	pool := func(size int, padding string) model.Layer {
		return model.Layer{Kind: model.KindMaxPool, Pool: size, Padding: padding}
	}
	flatten := model.Layer{Kind: model.KindFlatten}
	s := model.Spec{Version: model.SpecVersion, Name: "branches/of unequal depth", Encoder: enc}
	s.Labels, s.Layers = model.BinaryLabels, []model.Layer{
		{Kind: model.KindEmbedding, Rows: enc.Codes(), Dim: 6},
		{Kind: model.KindParallel, Branches: [][]model.Layer{
			{conv(3, model.Same, model.Tanh), top},
			{conv(3, model.Same, ""), {Kind: model.KindThresholdedReLU, Theta: 0.25}, top},
			{conv(3, model.Same, model.ReLU), conv(3, model.Same, model.ReLU), top},
			{pool(3, model.Valid), conv(4, model.Same, model.ReLU), flatten, dense(model.Softmax)},
			{lstm},
			{pool(2, model.Same), {Kind: model.KindDropout, Rate: 0.2}, both},
			{hard, {Kind: model.KindThresholdedReLU}, dense(model.Sigmoid)},
			{all, hardAll, top},
		}},
		flatten,
		dense(model.Tanh),
		{Kind: model.KindDense, Units: 1, Activation: model.Sigmoid},
	}
	return s
}

// GRUs is a Spec of GRUs upon GRUs, of both activations. No engine trains them, so no random Spec has one.
func GRUs(resetAfter bool) model.Spec {
	enc := modeltest.Encoder(20)
	gru := model.Layer{Kind: model.KindGRU, Units: 6, ReturnSequences: true, ResetAfter: resetAfter}
	both, last := gru, gru
	both.Bidirectional, both.RecurrentActivation = true, model.Clip
	last.ReturnSequences = false
	return model.Spec{Version: model.SpecVersion, Name: "gru", Encoder: enc, Labels: model.BinaryLabels,
		Layers: []model.Layer{
			{Kind: model.KindEmbedding, Rows: enc.Codes(), Dim: 6}, gru, both, last,
			{Kind: model.KindDense, Units: 1, Activation: model.Sigmoid},
		}}
}

// Untrained is a model of a Spec with the weights that training would begin from.
func Untrained(t testing.TB, spec model.Spec) *model.Model {
	t.Helper()
	w, err := model.Initial(&spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	return &model.Model{Spec: spec, Weights: w, Threshold: 0.5}
}

// spread scales and shifts the head so that probabilities of random names lie all over 0 to 1 rather than about one
// value: differences between runtimes then show, and labels vary.
func spread(m *model.Model, rng *rand.Rand) error {
	c, err := model.NewClassifier(m)
	if err != nil {
		return err
	}
	const count = 64
	p := make([]float32, count*c.Width())
	names := modeltest.Names(rng, count, m.Spec.Encoder.Window)
	if err := c.ProbabilitiesFolded(context.Background(), names, p); err != nil {
		return err
	}
	list, err := m.Spec.Graph()
	if err != nil {
		return err
	}
	head := list[len(list)-1]
	kernel, bias := m.Weights[head.Params[0].Name], m.Weights[head.Params[1].Name]
	for u := range bias.Data {
		mean, deviation := moments(logits(p, c.Width(), u, head.Layer.Activation == model.Sigmoid))
		// More than tenfold would blow the rounding of the layers before up as well.
		scale := float32(min(10, 2/max(deviation, 1e-6)))
		bias.Data[u] = (bias.Data[u] - float32(mean)) * scale
		for i := u; i < len(kernel.Data); i += len(bias.Data) {
			kernel.Data[i] *= scale
		}
	}
	return nil
}

// logits recovers unit u of the head from probabilities, [n, width]; a softmax's up to a constant.
func logits(p []float32, width, u int, sigmoid bool) []float64 {
	var out []float64
	for lo := 0; lo < len(p); lo += width {
		row := p[lo : lo+width]
		if sigmoid {
			out = append(out, math.Log(float64(row[1])+1e-9)-math.Log(float64(row[0])+1e-9))
			continue
		}
		out = append(out, math.Log(float64(row[u])+1e-9))
	}
	return out
}

func moments(x []float64) (mean, deviation float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		deviation += (v - mean) * (v - mean) / float64(len(x))
	}
	return mean, math.Sqrt(deviation)
}
