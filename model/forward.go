package model

import (
	"fmt"
	"math"
	"slices"
)

// exactTensor is a parameter in float64.
type exactTensor struct {
	Shape []int
	Data  []float64
}

// Exact holds a model's parameters in float64, by name, for ForwardExact.
type Exact map[string][]float64

// Exact copies w to float64.
func (w Weights) Exact() Exact {
	out := Exact{}
	for name, t := range w {
		v := make([]float64, len(t.Data))
		for i, x := range t.Data {
			v[i] = float64(x)
		}
		out[name] = v
	}
	return out
}

// Forward is the plain pass that every engine and exporter is checked against: one name at a time, nothing folded, all
// in float64. codes is [n, window]. The result is the logits, [n, Outputs()]: the head before its sigmoid or softmax.
func Forward(spec *Spec, w Weights, codes []uint16) ([]float64, error) {
	nodes, err := spec.Graph()
	if err != nil {
		return nil, err
	}
	if err := w.Check(spec); err != nil {
		return nil, err
	}
	window := spec.Encoder.Window
	if len(codes)%window != 0 {
		return nil, fmt.Errorf("forward: %d codes are no multiple of the window %d", len(codes), window)
	}
	if first := nodes[1]; first.Kind == KindEmbedding {
		for i, c := range codes {
			if int(c) >= first.Layer.Rows {
				return nil, fmt.Errorf("forward: code %d at %d is outside the embedding's %d rows", c, i, first.Layer.Rows)
			}
		}
	}
	return ForwardExact(nodes, w.Exact(), codes), nil
}

// ForwardExact is Forward for parameters in float64 and nodes already laid out. It checks nothing. Tests compare
// gradients with finite differences of it.
func ForwardExact(nodes []Node, w Exact, codes []uint16) []float64 {
	window := nodes[0].Shape[0]
	var out []float64
	for lo := 0; lo < len(codes); lo += window {
		out = append(out, forwardOne(nodes, w, codes[lo:lo+window])...)
	}
	return out
}

// forwardOne runs one name.
func forwardOne(nodes []Node, w Exact, codes []uint16) []float64 {
	values := map[string][]float64{}
	shapes := map[string][]int{nodes[0].Name: nodes[0].Shape}
	var last []float64
	for i, n := range nodes[1:] {
		var in [][]float64
		for _, name := range n.Inputs {
			in = append(in, values[name])
		}
		last = apply(n, w, codes, in, shapes[n.Inputs[0]], i == len(nodes)-2)
		values[n.Name], shapes[n.Name] = last, n.Shape
	}
	return last
}

// apply computes node n for one name from its inputs, the first of which has the given shape. The head gives logits.
func apply(n Node, w Exact, codes []uint16, in [][]float64, shape []int, head bool) []float64 {
	param := func(i int) exactTensor { return exactTensor{n.Params[i].Shape, w[n.Params[i].Name]} }
	l := n.Layer
	switch n.Kind {
	case KindEmbedding:
		return plainEmbedding(param(0), codes)
	case KindImage:
		y := make([]float64, len(codes))
		for i, c := range codes {
			y[i] = float64(c)
		}
		return y
	case KindConv1D, KindConv2D, KindDense:
		y := plainConv(in[0], shape, n.Shape, param(0), param(1), l.Padding == Same)
		if !head {
			exactActivate(y, l.Activation)
		}
		return y
	case KindThresholdedReLU:
		return plainThreshold(in[0], l.Theta)
	case KindMaxPool:
		before := 0
		if l.Padding == Same {
			before, _ = PoolPadding(shape[0], l.Pool)
		}
		return plainPool(in[0], shape, n.Shape, l.Pool, before)
	case KindMaxPool2D:
		return plainPool(in[0], shape, n.Shape, l.Pool, 0)
	case KindGlobalMaxPool:
		return plainPool(in[0], shape, []int{1, n.Shape[0]}, shape[0], 0)
	case KindLSTM, KindGRU:
		run := plainLSTM
		if n.Kind == KindGRU {
			run = plainGRU
		}
		h := run(l, in[0], shape, param(0), param(1), param(2), false)
		if l.Bidirectional {
			back := run(l, in[0], shape, param(3), param(4), param(5), true)
			for t := range h {
				h[t] = append(h[t], back[t]...)
			}
		}
		return slices.Concat(h...)
	case KindConcatenate:
		return slices.Concat(in...)
	}
	return in[0] // dropout and flatten change nothing here
}

// asPicture reads a shape as [height, width, features]: a sequence is one step high, a vector one pixel.
func asPicture(shape []int) (height, width, features int) {
	s := append([]int{1, 1}, shape...)[len(shape)-1:]
	return s[0], s[1], s[2]
}

func plainEmbedding(table exactTensor, codes []uint16) []float64 {
	dim := table.Shape[1]
	var y []float64
	for _, c := range codes {
		y = append(y, table.Data[int(c)*dim:int(c+1)*dim]...)
	}
	return y
}

// plainConv is a convolution of a picture or a sequence, or a dense layer, which is one of a single pixel. Same padding
// is that of sequences.
func plainConv(x []float64, inShape, outShape []int, kernel, bias exactTensor, same bool) []float64 {
	height, width, in := asPicture(inShape)
	rows, columns, filters := asPicture(outShape)
	high, wide, _ := asPicture(kernel.Shape[:len(kernel.Shape)-1])
	left := 0
	if same {
		left, _ = SamePadding(wide)
	}
	y := make([]float64, 0, rows*columns*filters)
	for at := range rows * columns {
		for f := range filters {
			sum := bias.Data[f]
			for k := range high * wide {
				r, c := at/columns+k/wide, at%columns+k%wide-left
				if r >= height || c < 0 || c >= width {
					continue
				}
				for d := range in {
					sum += x[(r*width+c)*in+d] * kernel.Data[(k*in+d)*filters+f]
				}
			}
			y = append(y, sum)
		}
	}
	return y
}

func plainThreshold(x []float64, theta float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		if v > theta {
			y[i] = v
		}
	}
	return y
}

// plainPool takes the maximum over windows of pool steps, or of pool·pool pixels. The first window of a sequence begins
// before steps ahead of it. Values outside the input do not count.
func plainPool(x []float64, inShape, outShape []int, pool, before int) []float64 {
	height, width, features := asPicture(inShape)
	rows, columns, _ := asPicture(outShape)
	high := min(pool, height)
	if len(inShape) == 2 {
		high = 1
	}
	y := make([]float64, 0, rows*columns*features)
	for at := range rows * columns {
		for f := range features {
			best := math.Inf(-1)
			for r := at / columns * high; r < (at/columns+1)*high; r++ {
				from := at%columns*pool - before
				for c := max(0, from); c < min(from+pool, width); c++ {
					best = max(best, x[(r*width+c)*features+f])
				}
			}
			y = append(y, best)
		}
	}
	return y
}

// plainLSTM gives the output at each step of x, or only the last.
func plainLSTM(l Layer, x []float64, shape []int, kernel, recurrent, bias exactTensor, backward bool) [][]float64 {
	time, in, units := shape[0], shape[1], recurrent.Shape[0]
	h, c := make([]float64, units), make([]float64, units)
	z, all := make([]float64, 4*units), make([][]float64, time)
	gate := l.plainGate()
	for s := range time {
		t := s
		if backward {
			t = time - 1 - s
		}
		copy(z, bias.Data)
		for i := range in {
			for q := range z {
				z[q] += x[t*in+i] * kernel.Data[i*4*units+q]
			}
		}
		for i := range units {
			for q := range z {
				z[q] += h[i] * recurrent.Data[i*4*units+q]
			}
		}
		for q := range units {
			c[q] = gate(z[units+q])*c[q] + gate(z[q])*math.Tanh(z[2*units+q])
			h[q] = gate(z[3*units+q]) * math.Tanh(c[q])
		}
		all[t] = slices.Clone(h)
	}
	if !l.ReturnSequences {
		return [][]float64{h}
	}
	return all
}

// plainGate is the activation of a recurrent layer's gates.
func (l *Layer) plainGate() func(float64) float64 {
	if l.RecurrentActivation == Clip {
		return func(v float64) float64 { return min(max(v, 0), 1) }
	}
	return func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
}

// plainGRU is plainLSTM for a gru.
func plainGRU(l Layer, x []float64, shape []int, kernel, recurrent, bias exactTensor, backward bool) [][]float64 {
	time, in, units := shape[0], shape[1], recurrent.Shape[0]
	h, all, gate := make([]float64, units), make([][]float64, time), l.plainGate()
	second := make([]float64, 3*units) // the state's bias
	copy(second, bias.Data[3*units:])
	// product is column q of v times a matrix, and a bias.
	product := func(v []float64, matrix exactTensor, bias []float64, q int) float64 {
		sum := bias[q]
		for i, a := range v {
			sum += a * matrix.Data[i*3*units+q]
		}
		return sum
	}
	for s := range time {
		t := s
		if backward {
			t = time - 1 - s
		}
		xt, z, state, next := x[t*in:(t+1)*in], make([]float64, units), make([]float64, units), make([]float64, units)
		reset := make([]float64, units)
		for q := range units {
			z[q] = gate(product(xt, kernel, bias.Data, q) + product(h, recurrent, second, q))
			reset[q] = gate(product(xt, kernel, bias.Data, units+q) + product(h, recurrent, second, units+q))
			state[q] = reset[q] * h[q]
		}
		for q := range units {
			candidate := product(xt, kernel, bias.Data, 2*units+q)
			if l.ResetAfter {
				candidate += reset[q] * product(h, recurrent, second, 2*units+q)
			} else {
				candidate += product(state, recurrent, second, 2*units+q)
			}
			next[q] = z[q]*h[q] + (1-z[q])*math.Tanh(candidate)
		}
		h, all[t] = next, next
	}
	if !l.ReturnSequences {
		return [][]float64{h}
	}
	return all
}

// exactActivate applies an activation in place.
func exactActivate(x []float64, activation string) {
	switch activation {
	case ReLU:
		for i, v := range x {
			x[i] = max(v, 0)
		}
	case Tanh:
		for i, v := range x {
			x[i] = math.Tanh(v)
		}
	case Sigmoid:
		for i, v := range x {
			x[i] = 1 / (1 + math.Exp(-v))
		}
	case Softmax:
		var sum float64
		top := slices.Max(x)
		for i, v := range x {
			x[i] = math.Exp(v - top)
			sum += x[i]
		}
		for i := range x {
			x[i] /= sum
		}
	}
}
