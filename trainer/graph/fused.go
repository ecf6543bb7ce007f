package graph

import (
	"fmt"
	"slices"

	"github.com/degas-dns/degas/model"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// fusedLowering builds the graph from layers with hand-written passes, folding the embedding into its readers.
type fusedLowering struct {
	*builder
	codes *G.Node
}

func newFused(b *builder) lowering {
	f := &fusedLowering{builder: b}
	value := tensor.New(tensor.WithShape(len(b.codes)), tensor.WithBacking(b.codes))
	f.codes = G.NewVector(b.graph, tensor.Uint16, G.WithShape(len(b.codes)), G.WithName("codes"), G.WithValue(value))
	b.feed = func([]uint16) {} // the node is a view of the session's codes
	return f
}

func (f *fusedLowering) loss(logits, labels, weights *G.Node) (*G.Node, error) {
	outputs := f.spec.Outputs()
	return apply("crossEntropy", &crossEntropy{outputs: outputs, smooth: f.smooth, grad: make([]float32, f.batch*outputs)}, nil, logits, labels, weights)
}

func (f *fusedLowering) node(n model.Node, in []*G.Node) (*G.Node, error) {
	switch n.Kind {
	case model.KindEmbedding:
		if f.folds(n) {
			return f.par(n, 0), nil // its readers take the table
		}
		return apply(n.Name, &embedding{dim: n.Layer.Dim}, tensor.Shape{len(f.codes.Value().Data().([]uint16)), n.Layer.Dim}, f.par(n, 0), f.codes)
	case model.KindConv1D:
		return f.conv(n, in[0])
	case model.KindLSTM:
		return f.lstm(n, in[0])
	case model.KindImage, model.KindConv2D, model.KindMaxPool2D:
		return f.picture(n, in[0])
	case model.KindThresholdedReLU:
		if f.pooledNext(n) {
			return in[0], nil // the pooling does it
		}
		return apply(n.Name, newThreshold(f.step, n, in[0]), in[0].Shape().Clone(), in[0])
	case model.KindMaxPool, model.KindGlobalMaxPool:
		shape := f.inShape(n)
		outTime, pool, before := poolWindows(n, shape[0])
		l := newMaxPool(f.step, f.batch, shape[0], outTime, pool, before, shape[1], f.spans(n))
		if from := f.byName[n.Inputs[0]]; from.Kind == model.KindThresholdedReLU && f.pooledNext(from) {
			l.withThreshold(float32(from.Layer.Theta))
		}
		return apply(n.Name, l, tensor.Shape{f.batch * outTime, shape[1]}, in[0])
	case model.KindFlatten:
		return G.Reshape(in[0], tensor.Shape{f.batch, n.Shape[0]})
	case model.KindDropout:
		return apply(n.Name, &dropout{step: f.step, rate: n.Layer.Rate, name: n.Name}, in[0].Shape().Clone(), in[0])
	case model.KindDense:
		act := n.Layer.Activation
		if f.isHead(n) {
			act = model.Linear
		}
		l := newDense(f.step, f.batch, f.inShape(n)[0], n.Layer.Units, act)
		return apply(n.Name, l, tensor.Shape{f.batch, n.Layer.Units}, in[0], f.par(n, 0), f.par(n, 1))
	case model.KindConcatenate:
		l := &concat{step: f.step, batch: f.batch, width: n.Shape[0]}
		for _, name := range n.Inputs {
			l.widths = append(l.widths, f.byName[name].Shape[0])
		}
		return apply(n.Name, l, tensor.Shape{f.batch, l.width}, in...)
	}
	return nil, fmt.Errorf("kind %q cannot be trained here", n.Kind)
}

// pooledNext reports whether a ThresholdedReLU is read by a maximum alone, which then does both.
func (f *fusedLowering) pooledNext(n model.Node) bool {
	for _, m := range f.nodes {
		if slices.Contains(m.Inputs, n.Name) {
			return f.users[n.Name] == 1 && (m.Kind == model.KindMaxPool || m.Kind == model.KindGlobalMaxPool)
		}
	}
	return false
}

// folds reports whether every reader of the embedding takes its table rather than its rows.
func (f *fusedLowering) folds(e model.Node) bool {
	for _, n := range f.nodes {
		if slices.Contains(n.Inputs, e.Name) && n.Kind != model.KindConv1D && n.Kind != model.KindLSTM {
			return false
		}
	}
	return true
}

// folded reports whether n reads the embedding's table.
func (f *fusedLowering) folded(n model.Node) bool { return f.readsEmbedding(n) && f.folds(f.nodes[1]) }

func (f *fusedLowering) conv(n model.Node, in *G.Node) (*G.Node, error) {
	shape, table := f.inShape(n), f.nodes[1].Layer
	kernel, bias := f.par(n, 0), f.par(n, 1)
	if !f.folded(n) {
		l := newConv(f.step, f.batch, n, shape[0], shape[1], f.spans(n))
		return apply(n.Name, l, tensor.Shape{f.batch * n.Shape[0], n.Shape[1]}, in, kernel, bias)
	}
	if pool, ok := f.globalMax(n); ok {
		l := newEmbedConvMax(f.step, f.batch, &f.spec.Encoder, table.Rows, table.Dim, n.Layer.Kernel, n.Layer.Filters)
		out, err := apply(n.Name, l, tensor.Shape{f.batch, n.Layer.Filters}, in, kernel, bias, f.codes)
		f.out[pool] = out
		return out, err
	}
	l := newEmbedConv(f.step, f.batch, n, shape[0], table.Rows, table.Dim, f.spans(n))
	return apply(n.Name, l, tensor.Shape{f.batch * n.Shape[0], n.Shape[1]}, in, kernel, bias, f.codes)
}

// globalMax finds the global maximum that can be fused with a convolution: its only reader, behind a ReLU, without
// padding columns.
func (f *fusedLowering) globalMax(n model.Node) (name string, ok bool) {
	if n.Layer.Activation != model.ReLU || n.Layer.Padding == model.Same || f.users[n.Name] != 1 {
		return "", false
	}
	for _, m := range f.nodes {
		if m.Kind == model.KindGlobalMaxPool && m.Inputs[0] == n.Name {
			return m.Name, true
		}
	}
	return "", false
}

func (f *fusedLowering) lstm(n model.Node, in *G.Node) (*G.Node, error) {
	shape := f.inShape(n)
	one := func(name string, first int, reverse bool) (*G.Node, error) {
		l := newLSTM(f.step, f.batch, shape[0], shape[1], n.Layer.Units, reverse)
		inputs := []*G.Node{in, f.par(n, first), f.par(n, first+1), f.par(n, first+2)}
		if f.folded(n) {
			l.fromEmbedding(f.nodes[1].Layer.Rows, &f.spec.Encoder)
			inputs = append(inputs, f.codes)
		}
		return apply(name, l, tensor.Shape{f.batch, n.Layer.Units}, inputs...)
	}
	forward, err := one(n.Name, 0, false)
	if err != nil || !n.Layer.Bidirectional {
		return forward, err
	}
	backward, err := one(n.Name+"/backward", 3, true)
	if err != nil {
		return nil, err
	}
	u := n.Layer.Units
	return apply(n.Name+"/concat", &concat{step: f.step, batch: f.batch, width: 2 * u, widths: []int{u, u}}, tensor.Shape{f.batch, 2 * u}, forward, backward)
}

// poolWindows gives the number of windows of a pooling, their length, and how far the first begins before the input.
func poolWindows(n model.Node, length int) (windows, pool, before int) {
	if n.Kind == model.KindGlobalMaxPool {
		return 1, length, 0
	}
	if n.Layer.Padding == model.Same {
		before, _ = model.PoolPadding(length, n.Layer.Pool)
	}
	return n.Shape[0], n.Layer.Pool, before
}

func newThreshold(s *step, n model.Node, in *G.Node) *threshold {
	shape := in.Shape()
	return &threshold{step: s, batch: shape[0], width: shape.TotalSize() / shape[0], theta: float32(n.Layer.Theta)}
}
