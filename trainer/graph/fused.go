package graph

import (
	"fmt"
	"slices"

	"github.com/degas-dns/degas/model"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// crossEntropy is the weighted mean loss of logits [batch, outputs].
func (b *builder) crossEntropy(logits *G.Node) (*G.Node, error) {
	outputs := b.spec.Outputs()
	l := &crossEntropy{outputs: outputs, goal: &b.goal, grad: floats(b.batch * outputs)}
	labels, weights := input(b, "labels", tensor.Int, b.labels), input(b, "weights", tensor.Float32, b.weights)
	return apply("crossEntropy", l, nil, logits, labels, weights)
}

// layer lowers a node to layers whose passes are written by hand. It folds the embedding into its readers.
func (b *builder) layer(n model.Node, in []*G.Node) (*G.Node, error) {
	switch n.Kind {
	case model.KindEmbedding:
		if b.folds(n) {
			return b.par(n, 0), nil // its readers take the table
		}
		return apply(n.Name, &embedding{dim: n.Layer.Dim}, tensor.Shape{len(b.codes), n.Layer.Dim}, b.par(n, 0), b.codesNode)
	case model.KindConv1D:
		return b.conv(n, in[0])
	case model.KindLSTM:
		return b.lstm(n, in[0])
	case model.KindImage, model.KindConv2D, model.KindMaxPool2D:
		return b.picture(n, in[0])
	case model.KindThresholdedReLU:
		if b.pooledNext(n) {
			return in[0], nil // the pooling does it
		}
		return apply(n.Name, newThreshold(b.step, n, in[0]), in[0].Shape().Clone(), in[0])
	case model.KindMaxPool, model.KindGlobalMaxPool:
		shape := b.inShape(n)
		outTime, pool, before := poolWindows(n, shape[0])
		l := newMaxPool(b.step, b.batch, shape[0], outTime, pool, before, shape[1], b.spans(n))
		if from := b.byName[n.Inputs[0]]; from.Kind == model.KindThresholdedReLU && b.pooledNext(from) {
			l.withThreshold(float32(from.Layer.Theta))
		}
		return apply(n.Name, l, tensor.Shape{b.batch * outTime, shape[1]}, in[0])
	case model.KindFlatten:
		return G.Reshape(in[0], tensor.Shape{b.batch, n.Shape[0]})
	case model.KindDropout:
		return apply(n.Name, &dropout{step: b.step, rate: n.Layer.Rate, name: n.Name}, in[0].Shape().Clone(), in[0])
	case model.KindDense:
		act := n.Layer.Activation
		if b.isHead(n) {
			act = model.Linear
		}
		l := newDense(b.step, b.batch, b.inShape(n)[0], n.Layer.Units, act)
		return apply(n.Name, l, tensor.Shape{b.batch, n.Layer.Units}, in[0], b.par(n, 0), b.par(n, 1))
	case model.KindConcatenate:
		l := &concat{step: b.step, batch: b.batch, width: n.Shape[0]}
		for _, name := range n.Inputs {
			l.widths = append(l.widths, b.byName[name].Shape[0])
		}
		return apply(n.Name, l, tensor.Shape{b.batch, l.width}, in...)
	}
	return nil, fmt.Errorf("kind %q cannot be trained here", n.Kind)
}

// pooledNext reports whether a ThresholdedReLU is read by a maximum alone, which then does both.
func (b *builder) pooledNext(n model.Node) bool {
	m, ok := b.soleReader(n)
	return ok && (m.Kind == model.KindMaxPool || m.Kind == model.KindGlobalMaxPool)
}

// soleReader is the node that alone reads n.
func (b *builder) soleReader(n model.Node) (reader model.Node, ok bool) {
	at := slices.IndexFunc(b.nodes, func(m model.Node) bool { return slices.Contains(m.Inputs, n.Name) })
	if at < 0 || b.readers[n.Name] != 1 {
		return reader, false
	}
	return b.nodes[at], true
}

// folds reports whether every reader of the embedding takes its table rather than its rows.
func (b *builder) folds(e model.Node) bool {
	for _, n := range b.nodes {
		if slices.Contains(n.Inputs, e.Name) && n.Kind != model.KindConv1D && n.Kind != model.KindLSTM {
			return false
		}
	}
	return true
}

// folded reports whether n reads the embedding's table.
func (b *builder) folded(n model.Node) bool { return b.readsEmbedding(n) && b.folds(b.nodes[1]) }

func (b *builder) conv(n model.Node, in *G.Node) (*G.Node, error) {
	shape, table := b.inShape(n), b.nodes[1].Layer
	kernel, bias := b.par(n, 0), b.par(n, 1)
	if !b.folded(n) {
		l := newConv(b.step, b.batch, n, shape[0], shape[1], b.spans(n))
		return apply(n.Name, l, tensor.Shape{b.batch * n.Shape[0], n.Shape[1]}, in, kernel, bias)
	}
	if pool, ok := b.globalMax(n); ok {
		l := newEmbedConvMax(b.step, b.batch, &b.spec.Encoder, table.Rows, table.Dim, n.Layer.Kernel, n.Layer.Filters)
		out, err := apply(n.Name, l, tensor.Shape{b.batch, n.Layer.Filters}, in, kernel, bias, b.codesNode)
		b.out[pool] = out
		return out, err
	}
	l := newEmbedConv(b.step, b.batch, n, shape[0], table.Rows, table.Dim, b.spans(n))
	return apply(n.Name, l, tensor.Shape{b.batch * n.Shape[0], n.Shape[1]}, in, kernel, bias, b.codesNode)
}

// globalMax finds the global maximum that can be fused with a convolution: its only reader, behind a ReLU, without
// padding columns.
func (b *builder) globalMax(n model.Node) (name string, ok bool) {
	m, ok := b.soleReader(n)
	return m.Name, ok && m.Kind == model.KindGlobalMaxPool && n.Layer.Activation == model.ReLU &&
		n.Layer.Padding != model.Same
}

func (b *builder) lstm(n model.Node, in *G.Node) (*G.Node, error) {
	shape, outputs := b.inShape(n), b.batch
	if n.Layer.ReturnSequences {
		outputs *= shape[0]
	}
	one := func(name string, first int, reverse bool) (*G.Node, error) {
		l := newLSTM(b.step, b.batch, shape[0], shape[1], n.Layer, reverse)
		inputs := []*G.Node{in, b.par(n, first), b.par(n, first+1), b.par(n, first+2)}
		if b.folded(n) {
			l.fromEmbedding(b.nodes[1].Layer.Rows, &b.spec.Encoder)
			inputs = append(inputs, b.codesNode)
		}
		return apply(name, l, tensor.Shape{outputs, n.Layer.Units}, inputs...)
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
	return apply(n.Name+"/concat", &concat{step: b.step, batch: outputs, width: 2 * u, widths: []int{u, u}},
		tensor.Shape{outputs, 2 * u}, forward, backward)
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
