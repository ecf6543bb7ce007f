package savedmodel

import (
	"fmt"
	"slices"

	"github.com/degas-dns/degas/internal/protowire"
	"github.com/degas-dns/degas/model"
)

// recurrent adds a GRU, or an LSTM by BlockLSTMV2, TensorFlow's fused kernel, one for each direction. Its gate order
// i, c, f, o is Keras' i, f, c, o under other letters (the documentation says IFCO), with no forget bias added: version
// 1 of the operation differs in both.
func (b *builder) recurrent(n model.Node, in value) string {
	perm := b.int32s("const/perm_1_0_2", 1, 0, 2)
	x := b.op("Transpose", n.Name+"/time_major", attributes{"T": typeFloat, "Tperm": typeInt32}, in.tensor, perm)
	zeros := b.zeros(n, x)
	if !n.Layer.Bidirectional {
		return b.recurrentOutput(n, b.direction(n, n.Name, 0, x, zeros, in.shape[0]))
	}
	backward := b.direction(n, n.Name+"/backward", 3, b.reversed(n.Name+"/reversed", x), zeros, in.shape[0])
	if n.Layer.ReturnSequences {
		backward = b.reversed(n.Name+"/restored", backward)
	}
	forward := b.direction(n, n.Name+"/forward", 0, x, zeros, in.shape[0])
	return b.recurrentOutput(n, b.concat(n.Name+"/concat", len(n.Shape), forward, backward))
}

// recurrentOutput turns outputs of all steps, [time, batch, units], into [batch, time, units], and lets [batch, units]
// be.
func (b *builder) recurrentOutput(n model.Node, y string) string {
	if !n.Layer.ReturnSequences {
		return y
	}
	return b.op("Transpose", n.Name+"/batch_major", attributes{"T": typeFloat, "Tperm": typeInt32},
		y, b.int32s("const/perm_1_0_2", 1, 0, 2))
}

// reversed turns x, [time, …], round in time.
func (b *builder) reversed(name, x string) string {
	return b.op("ReverseV2", name, attributes{"T": typeFloat, "Tidx": typeInt32}, x, b.int32s("const/axes_0", 0))
}

// direction runs over x, [time, batch, features], with the parameters from number first on and returns the last output,
// [batch, units], or all, [time, batch, units].
func (b *builder) direction(n model.Node, name string, first int, x, zeros string, steps int) string {
	if n.Kind == model.KindGRU {
		return b.outputOf(n, name, b.unrolledGRU(n, name, first, x, zeros, steps))
	}
	kernel, recurrent := b.m.Weights[n.Params[first].Name], b.m.Weights[n.Params[first+1].Name]
	units := n.Layer.Units
	weights := b.floats(name+"/w", []int{kernel.Shape[0] + units, 4 * units},
		slices.Concat(kernel.Data, recurrent.Data))
	if n.Layer.RecurrentActivation == model.Clip {
		return b.outputOf(n, name, b.unrolled(n, name, x, zeros, weights, b.param(n, first+2), steps))
	}
	peephole := b.floats(n.Name+"/no_peephole", []int{units}, make([]float32, units))
	length := b.constant(n.Name+"/steps", tensor{kind: typeInt64, raw: protowire.Raw(int64(steps))})
	block := b.op("BlockLSTMV2", name+"/BlockLSTMV2",
		attributes{"T": typeFloat, "cell_clip": float32(0), "use_peephole": false},
		length, x, zeros, zeros, weights, peephole, peephole, peephole, b.param(n, first+2))
	const hidden = ":6" // the output at each step, [time, batch, units]
	if n.Layer.ReturnSequences {
		return block + hidden
	}
	return b.gather(name+"/last", block+hidden, b.number(steps-1), typeFloat)
}

// outputOf gives the last of all steps' outputs or all of them, [time, batch, units].
func (b *builder) outputOf(n model.Node, name string, all []string) string {
	if !n.Layer.ReturnSequences {
		return all[len(all)-1]
	}
	return b.op("Pack", name+"/all", attributes{"N": len(all), "T": typeFloat, "axis": 0}, all...)
}

// unrolled spells out every step of a direction whose gates are clipped, which BlockLSTMV2 cannot do. It returns the
// output of each step, [batch, units].
func (b *builder) unrolled(n model.Node, name, x, zeros, weights, bias string, steps int) []string {
	h, c, all := zeros, zeros, make([]string, steps)
	for t := range steps {
		at := fmt.Sprintf("%s/step_%d/", name, t)
		read := b.concat(at+"concat", 1, b.gather(at+"x", x, b.number(t), typeFloat), h)
		z := b.op("MatMul", at+"MatMul", ofFloats, read, weights)
		z = b.op("BiasAdd", at+"BiasAdd", ofFloats, z, bias)
		z = b.op("Split", at+"Split", attributes{"num_split": 4, "T": typeFloat}, b.number(1), z)
		gate := func(name, part string) string { return b.gate(n, at+name, z+part) }
		kept := b.op("Mul", at+"kept", ofFloats, gate("forget", ":1"), c)
		added := b.op("Mul", at+"added", ofFloats, gate("input", ""), b.op("Tanh", at+"candidate", ofFloats, z+":2"))
		c = b.op("AddV2", at+"cell", ofFloats, kept, added)
		h = b.op("Mul", at+"hidden", ofFloats, gate("output", ":3"), b.op("Tanh", at+"tanh", ofFloats, c))
		all[t] = h
	}
	return all
}

// zeros is the state to start from, [batch, units].
func (b *builder) zeros(n model.Node, x string) string {
	shape := b.op("Shape", n.Name+"/Shape", attributes{"T": typeFloat, "out_type": typeInt32}, x)
	batch := b.gather(n.Name+"/batch", shape, b.number(1), typeInt32)
	dims := b.op("Pack", n.Name+"/state", attributes{"N": 2, "T": typeInt32, "axis": 0}, batch, b.number(n.Layer.Units))
	return b.op("Fill", n.Name+"/zeros", attributes{"T": typeFloat, "index_type": typeInt32},
		dims, b.scalar("const/0.0", 0))
}
