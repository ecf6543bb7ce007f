package savedmodel

import (
	"fmt"

	"github.com/degas-dns/degas/model"
)

// unrolledGRU spells out every step of one direction of a GRU over x, [time, batch, features], for which TensorFlow has
// no fused kernel with Keras' biases. It returns the output of each step, [batch, units].
func (b *builder) unrolledGRU(n model.Node, name string, first int, x, zeros string, steps int) []string {
	units := n.Layer.Units
	recurrent, bias := b.m.Weights[n.Params[first+1].Name], b.m.Weights[n.Params[first+2].Name]
	inputBias := b.floats(name+"/input_bias", []int{3 * units}, bias.Data[:3*units])
	var own []float32 // the candidates' part of the recurrent kernel
	for r := range units {
		own = append(own, recurrent.Data[r*3*units+2*units:][:units]...)
	}
	h, all := zeros, make([]string, steps)
	for t := range steps {
		at := fmt.Sprintf("%s/step_%d/", name, t)
		add := func(part, a, b2 string) string { return b.op("AddV2", at+part, ofFloats, a, b2) }
		multiply := func(part, a, b2 string) string { return b.op("Mul", at+part, ofFloats, a, b2) }
		split := func(part, y string) string {
			return b.op("Split", at+part, attributes{"num_split": 3, "T": typeFloat}, b.number(1), y)
		}
		y := b.op("MatMul", at+"input", ofFloats, b.gather(at+"x", x, b.number(t), typeFloat), b.param(n, first))
		fromInput := split("input_parts", b.op("BiasAdd", at+"input_bias", ofFloats, y, inputBias))
		y = b.op("MatMul", at+"state", ofFloats, h, b.param(n, first+1))
		if n.Layer.ResetAfter {
			second := b.floats(name+"/state_bias", []int{3 * units}, bias.Data[3*units:])
			y = b.op("BiasAdd", at+"state_bias", ofFloats, y, second)
		}
		fromState := split("state_parts", y)
		update := b.gate(n, at+"update", add("update_sum", fromInput, fromState))
		reset := b.gate(n, at+"reset", add("reset_sum", fromInput+":1", fromState+":1"))
		var candidate string
		if n.Layer.ResetAfter {
			candidate = multiply("kept", reset, fromState+":2")
		} else {
			candidate = b.op("MatMul", at+"kept", ofFloats, multiply("reset_state", reset, h),
				b.floats(name+"/candidates", []int{units, units}, own))
		}
		candidate = b.op("Tanh", at+"candidate", ofFloats, add("candidate_sum", fromInput+":2", candidate))
		old := multiply("old", update, b.op("Sub", at+"difference", ofFloats, h, candidate))
		h = add("hidden", candidate, old)
		all[t] = h
	}
	return all
}

// gate is the activation of a recurrent layer's gate.
func (b *builder) gate(n model.Node, name, x string) string {
	if n.Layer.RecurrentActivation == model.Clip {
		return b.op("ClipByValue", name, ofFloats, x, b.scalar("const/0.0", 0), b.scalar("const/1.0", 1))
	}
	return b.op("Sigmoid", name, ofFloats, x)
}
