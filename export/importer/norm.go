package importer

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/degas-dns/degas/export/internal/h5"
	"github.com/degas-dns/degas/model"
)

// affine is what a trained BatchNormalization does: scale·x + shift for each feature.
type affine struct{ scale, shift []float64 }

// readNorms reads the variables of every BatchNormalization.
func (m *kerasModel) readNorms(group *h5.Object) error {
	for i := range m.Layers {
		l := &m.Layers[i]
		if l.Class != "BatchNormalization" {
			continue
		}
		var err error
		if l.norm, err = l.affine(group); err != nil {
			return fmt.Errorf("layer %s: %w", l.Name, err)
		}
	}
	return nil
}

// affine reads l's variables: gamma and beta, each of which may be left out, mean and variance.
func (l *kerasLayer) affine(group *h5.Object) (*affine, error) {
	c := l.Config
	epsilon, mode := get(c, 1e-3, "epsilon"), c.number(0, "mode") // Keras 1 has modes
	var wanted []string
	if get(c, true, "scale") {
		wanted = append(wanted, "gamma")
	}
	if get(c, true, "center") {
		wanted = append(wanted, "beta")
	}
	wanted = append(wanted, "mean", "variance")
	if err := c.err(); err != nil {
		return nil, err
	}
	if mode != 0 {
		return nil, fmt.Errorf("mode %d is not read, only 0", mode)
	}
	g, names, err := l.variables(group)
	if err != nil {
		return nil, err
	}
	if len(names) != len(wanted) {
		return nil, fmt.Errorf("has %d variables, a BatchNormalization of these settings has %d", len(names), len(wanted))
	}
	var size int
	values := map[string][]float32{}
	for i, name := range wanted {
		shape, v, err := readVariable(g, names[i])
		if err != nil {
			return nil, err
		}
		if size = len(v); len(shape) != 1 || size != len(values[wanted[0]]) && i > 0 {
			return nil, fmt.Errorf("%s has shape %v, which is not one value for each feature", names[i], shape)
		}
		values[name] = v
	}
	out := &affine{scale: make([]float64, size), shift: make([]float64, size)}
	for i := range size {
		out.scale[i] = 1 / math.Sqrt(float64(values["variance"][i])+epsilon)
		if gamma := values["gamma"]; gamma != nil {
			out.scale[i] *= float64(gamma[i])
		}
		out.shift[i] = -float64(values["mean"][i]) * out.scale[i]
		if beta := values["beta"]; beta != nil {
			out.shift[i] += float64(beta[i])
		}
	}
	return out, nil
}

// appendNorm makes a BatchNormalization part of the layer before it, if that is linear and l alone reads it. If not, it
// becomes a layer of its own that makes each feature of itself alone.
func appendNorm(chain []placed, l *kerasLayer, alone bool) ([]placed, error) {
	axes, n := axesOf(chain), len(chain)
	if axis := l.Config.number(-1, "axis"); axis != -1 && axis != axes {
		return nil, fmt.Errorf("axis %d is not read, only the last", axis)
	}
	if n > 0 && alone && chain[n-1].linear() {
		chain[n-1].norms = append(slices.Clone(chain[n-1].norms), l)
		return chain, nil
	}
	if n > 0 && onlyEmbedded(chain) && chain[0].from.masks {
		return nil, errors.New("over an embedding with mask_zero is only read if no other layer reads that")
	}
	own := model.Layer{Kind: model.KindDense, Units: len(l.norm.scale)}
	switch axes {
	case 2:
		own = model.Layer{Kind: model.KindConv1D, Filters: own.Units, Kernel: 1, Padding: model.Valid}
	case 3:
		own = model.Layer{Kind: model.KindConv2D, Filters: own.Units, Kernel: 1}
	}
	if own.Filters+own.Units > maxNorm {
		return nil, fmt.Errorf("over %d features is only read behind a linear layer", len(l.norm.scale))
	}
	return append(chain, placed{Layer: own, from: l}), nil
}

// maxNorm bounds the features of a BatchNormalization that becomes a layer of its own, whose kernel is a square.
const maxNorm = 4096

// onlyEmbedded reports whether a chain gives the embedding's values.
func onlyEmbedded(chain []placed) bool {
	return !slices.ContainsFunc(chain, func(p placed) bool {
		return p.Kind != model.KindEmbedding && p.Kind != model.KindDropout
	})
}

// linear reports whether what p gives is a sum of products with its first parameter.
func (p *placed) linear() bool {
	switch p.Kind {
	case model.KindEmbedding:
		return true
	case model.KindDense, model.KindConv1D, model.KindConv2D:
		return p.Activation == ""
	}
	return false
}

// axesOf is the number of axes of what a chain gives: of a vector, a sequence or a picture, which the input alone can
// be.
func axesOf(chain []placed) int {
	for _, p := range slices.Backward(chain) {
		switch p.Kind {
		case model.KindDropout, model.KindThresholdedReLU:
			continue
		case model.KindEmbedding, model.KindConv1D, model.KindMaxPool:
			return 2
		case model.KindConv2D, model.KindMaxPool2D:
			return 3
		case model.KindLSTM, model.KindGRU:
			if p.ReturnSequences {
				return 2
			}
		}
		return 1
	}
	return 3
}

// fold makes a part of a linear layer's parameters, of which the last axis has the features.
func (a *affine) fold(n model.Node, w model.Weights) error {
	size := len(a.scale)
	for i, p := range n.Params {
		t := w[p.Name]
		if got := t.Shape[len(t.Shape)-1]; got != size {
			return fmt.Errorf("is over %d features, the layer before it gives %d", size, got)
		}
		for k, v := range t.Data {
			x := a.scale[k%size] * float64(v)
			if i == len(n.Params)-1 { // the bias, or the only table
				x += a.shift[k%size]
			}
			t.Data[k] = float32(x)
		}
	}
	return nil
}

// square sets the parameters of n, a linear layer, so that it does what a does.
func (a *affine) square(n model.Node, w model.Weights) {
	size := len(a.scale)
	ones := slices.Repeat([]int{1}, len(n.Params[0].Shape)-2)
	kernel, bias := model.NewTensor(append(ones, size, size)...), model.NewTensor(size)
	for i := range size {
		kernel.Data[i*size+i], bias.Data[i] = float32(a.scale[i]), float32(a.shift[i])
	}
	w[n.Params[0].Name], w[n.Params[1].Name] = kernel, bias
}
