package onnx

import (
	"slices"

	"github.com/degas-dns/degas/model"
)

// convKernel turns Keras' [kernel, in, filters] into ONNX' [filters, in, kernel], where kernel may be several axes.
func convKernel(t *model.Tensor) (shape []int, data []float32) {
	axes := len(t.Shape) - 2
	in, filters := t.Shape[axes], t.Shape[axes+1]
	size := len(t.Data) / (in * filters)
	data = make([]float32, len(t.Data))
	for k := range size {
		for i := range in {
			for f := range filters {
				data[(f*in+i)*size+k] = t.Data[(k*in+i)*filters+f]
			}
		}
	}
	return append([]int{filters, in}, t.Shape[:axes]...), data
}

// The matrices of a recurrent layer in ONNX' order: i, o, f, c of an LSTM, from Keras' i, f, c, o, and z, r, h of a
// GRU.
var lstmGates, gruGates = []int{0, 3, 1, 2}, []int{0, 1, 2}

// recurrent adds one ONNX LSTM or GRU for a node: W [directions, gates·units, in], R [directions, gates·units, units]
// and B [directions, 2·gates·units], the input's biases followed by the recurrent ones, which only some GRUs have in
// Keras.
func (b *builder) recurrent(n model.Node) {
	directions, direction := 1, "forward"
	if n.Layer.Bidirectional {
		directions, direction = 2, "bidirectional"
	}
	op, gates, activations := "LSTM", lstmGates, []string{"HardSigmoid", "Tanh", "Tanh"}
	units, in := n.Layer.Units, n.Params[0].Shape[0]
	attributes := []attribute{intAttr("hidden_size", units), stringAttr("direction", direction)}
	if n.Kind == model.KindGRU {
		op, gates, activations = "GRU", gruGates, activations[:2]
		if n.Layer.ResetAfter {
			attributes = append(attributes, intAttr("linear_before_reset", 1))
		}
	}
	width := len(gates) * units
	var kernel, recurrent, bias []float32
	for d := range directions {
		kernel = append(kernel, gateRows(b.weights[n.Params[3*d].Name], gates)...)
		recurrent = append(recurrent, gateRows(b.weights[n.Params[3*d+1].Name], gates)...)
		both := append(slices.Clone(b.weights[n.Params[3*d+2].Name].Data), make([]float32, width)...)
		for _, values := range [][]float32{both[:width], both[width : 2*width]} {
			for _, g := range gates {
				bias = append(bias, values[g*units:(g+1)*units]...)
			}
		}
	}
	inputs := []string{b.get(n.Inputs[0], timeMajor),
		b.floats(n.Name+"/W", []int{directions, width, in}, kernel),
		b.floats(n.Name+"/R", []int{directions, width, units}, recurrent),
		b.floats(n.Name+"/B", []int{directions, 2 * width}, bias)}
	if n.Layer.RecurrentActivation == model.Clip { // a HardSigmoid is alpha·x + beta between 0 and 1
		attributes = append(attributes,
			stringsAttr("activations", slices.Repeat(activations, directions)...),
			floatsAttr("activation_alpha", slices.Repeat([]float32{1}, directions)...),
			floatsAttr("activation_beta", slices.Repeat([]float32{0}, directions)...))
	}
	if n.Layer.ReturnSequences { // output 0 is [time, directions, batch, units]
		all := b.op(op, n.Name+"/all", inputs, 0, attributes...)
		all = b.op("Transpose", n.Name+"/states", []string{all}, 0, intsAttr("perm", 0, 2, 1, 3))
		shape := b.int64s(n.Name+"/shape", 0, 0, int64(n.Shape[1])) // 0 takes the input's
		b.set(n, b.op("Reshape", n.Name, []string{all, shape}, 0), timeMajor)
		return
	}
	// Output 1 is the last state of each direction, [directions, batch, units].
	last := b.op(op, n.Name+"/last", inputs, 1, attributes...)
	last = b.op("Transpose", n.Name+"/states", []string{last}, 0, intsAttr("perm", 1, 0, 2))
	b.set(n, b.flatten(n.Name, last), flat)
}

// gateRows turns Keras' [in, gates·units] into ONNX' [gates·units, in], with the gates in another order.
func gateRows(t *model.Tensor, gates []int) []float32 {
	in, width := t.Shape[0], t.Shape[1]
	units := width / len(gates)
	out := make([]float32, 0, len(t.Data))
	for _, g := range gates {
		for u := g * units; u < (g+1)*units; u++ {
			for i := range in {
				out = append(out, t.Data[i*width+u])
			}
		}
	}
	return out
}
