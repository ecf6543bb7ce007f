package graph

import (
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"slices"
	"sync/atomic"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// layer is one differentiable operation whose passes are written by hand. It may keep what its backward pass needs
// between the two calls.
type layer interface {
	// forward fills out from the inputs. It must not keep out: gorgonia may reuse it.
	forward(in []slot, out []float32)
	// backward fills grads, one for each input (nil for codes, labels and weights), from the gradient of the output.
	backward(in []slot, dout []float32, grads [][]float32)
}

// slot is the contents of one input: floats, codes or indices.
type slot struct {
	f []float32
	c []uint16
	i []int
}

func slotOf(v G.Value) slot {
	switch d := v.Data().(type) {
	case []float32:
		return slot{f: d}
	case float32:
		return slot{f: []float32{d}}
	case []uint16:
		return slot{c: d}
	case []int:
		return slot{i: d}
	}
	return slot{}
}

// uniqueOp is an operation with a name of its own: gorgonia merges nodes whose operations have the same hash.
type uniqueOp string

func (o uniqueOp) String() string        { return string(o) }
func (o uniqueOp) WriteHash(h hash.Hash) { io.WriteString(h, string(o)) }
func (o uniqueOp) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}
func (o uniqueOp) ReturnsPtr() bool     { return true }
func (o uniqueOp) CallsExtern() bool    { return false }
func (o uniqueOp) OverwritesInput() int { return -1 }

// fused puts a layer into gorgonia's graph. Of its gradient, one node runs the whole backward pass and yields the
// gradient of the first differentiable input; each further input has a node that hands out what the pass has filled.
type fused struct {
	uniqueOp
	layer layer
	types []hm.Type
	out   hm.Type
	shape tensor.Shape
	value G.Value // the output, reused every run
	buf   []float32
	scal  *G.F32
	diff  []bool

	inputs G.Nodes
	grads  []*tensor.Dense
	flat   [][]float32
}

var instances atomic.Int64

// apply adds layer l to the graph of its inputs. A nil shape makes the output a scalar.
func apply(name string, l layer, shape tensor.Shape, inputs ...*G.Node) (*G.Node, error) {
	unique := uniqueOp(fmt.Sprintf("%s#%d", name, instances.Add(1)))
	o := &fused{uniqueOp: unique, layer: l, shape: shape, inputs: slices.Clone(inputs)}
	for _, n := range inputs {
		o.types = append(o.types, n.Type())
		float := n.Dtype() == tensor.Float32
		o.diff = append(o.diff, float)
		if !float {
			o.grads, o.flat = append(o.grads, nil), append(o.flat, nil)
			continue
		}
		t := tensor.New(tensor.WithShape(n.Shape()...), tensor.Of(tensor.Float32))
		o.grads, o.flat = append(o.grads, t), append(o.flat, t.Data().([]float32))
	}
	if shape == nil {
		o.out, o.shape, o.buf, o.scal = G.Float32, tensor.ScalarShape(), floats(1), G.NewF32(0)
		o.value = o.scal
	} else {
		t := tensor.New(tensor.WithShape(shape...), tensor.Of(tensor.Float32))
		o.out, o.value, o.buf = G.TensorType{Dims: shape.Dims(), Of: tensor.Float32}, t, t.Data().([]float32)
	}
	n, err := G.ApplyOp(o, inputs...)
	if err != nil {
		return nil, fmt.Errorf("graph: %s: %w", name, err)
	}
	return n, nil
}

// Arity, Type and the methods below make fused a gorgonia.SDOp.
func (o *fused) Arity() int { return len(o.types) }

// Type builds a fresh function type each time: gorgonia returns it to a pool.
func (o *fused) Type() hm.Type { return hm.NewFnType(append(slices.Clone(o.types), o.out)...) }

func (o *fused) InferShape(...G.DimSizer) (tensor.Shape, error) { return o.shape.Clone(), nil }

func (o *fused) Do(values ...G.Value) (G.Value, error) {
	o.layer.forward(slots(values), o.buf)
	if o.scal != nil {
		*o.scal = G.F32(o.buf[0])
	}
	return o.value, nil
}

func (o *fused) DiffWRT(int) []bool { return o.diff }

// SymDiff gives the gradient's nodes.
func (o *fused) SymDiff(inputs G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	out := make(G.Nodes, len(inputs))
	var first *G.Node
	for i, d := range o.diff {
		if !d {
			continue
		}
		var err error
		if first == nil {
			// The backward pass reads the inputs again: as children their registers stay alive.
			out[i], err = G.ApplyOp(&fusedGrad{o.gradient("Grad", i)}, append(slices.Clone(inputs), grad)...)
			first = out[i]
		} else {
			out[i], err = G.ApplyOp(&fusedTake{o.gradient("Take", i), first.Type()}, first)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// gradient is the gradient of a layer's i-th input.
type gradient struct {
	uniqueOp
	o *fused
	i int
}

func (o *fused) gradient(kind string, i int) gradient {
	return gradient{uniqueOp(fmt.Sprintf("%s%s.%d", o, kind, i)), o, i}
}

func (g *gradient) InferShape(...G.DimSizer) (tensor.Shape, error) {
	return g.o.grads[g.i].Shape().Clone(), nil
}

// fusedGrad runs a layer's backward pass.
type fusedGrad struct{ gradient }

func (g *fusedGrad) Arity() int { return len(g.o.types) + 1 }
func (g *fusedGrad) Type() hm.Type {
	return hm.NewFnType(append(slices.Clone(g.o.types), g.o.out, g.o.types[g.i])...)
}
func (g *fusedGrad) Do(values ...G.Value) (G.Value, error) {
	n := len(values) - 1
	g.o.layer.backward(slots(values[:n]), slotOf(values[n]).f, g.o.flat)
	return g.o.grads[g.i], nil
}

// fusedTake hands out a gradient that fusedGrad, its only child, has filled.
type fusedTake struct {
	gradient
	first hm.Type
}

func (g *fusedTake) Arity() int                     { return 1 }
func (g *fusedTake) Type() hm.Type                  { return hm.NewFnType(g.first, g.o.types[g.i]) }
func (g *fusedTake) Do(...G.Value) (G.Value, error) { return g.o.grads[g.i], nil }

func slots(values []G.Value) []slot {
	out := make([]slot, len(values))
	for i, v := range values {
		out[i] = slotOf(v)
	}
	return out
}

var _ G.SDOp = (*fused)(nil)
