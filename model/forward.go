package model

import (
	"fmt"
	"math"
)

// Forward is the plain pass that every engine and exporter is checked against: one name at a time, nothing folded, sums
// in float64. codes is [n, window]; it returns logits, the head before its sigmoid or softmax, [n, Outputs()].
func Forward(spec *Spec, w Weights, codes []uint16) ([]float32, error) {
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
	rows := nodes[1].Layer.Rows
	for i, c := range codes {
		if int(c) >= rows {
			return nil, fmt.Errorf("forward: code %d at %d is outside the embedding's %d rows", c, i, rows)
		}
	}
	var out []float32
	for lo := 0; lo < len(codes); lo += window {
		out = append(out, forwardOne(nodes, w, codes[lo:lo+window])...)
	}
	return out, nil
}

// forwardOne runs one name; values holds each node's output.
func forwardOne(nodes []Node, w Weights, codes []uint16) []float32 {
	values := map[string][]float32{}
	shapes := map[string][]int{}
	var last []float32
	for i, n := range nodes {
		shapes[n.Name] = n.Shape
		if n.Kind == KindInput {
			continue
		}
		in := make([][]float32, len(n.Inputs))
		for j, name := range n.Inputs {
			in[j] = values[name]
		}
		head := i == len(nodes)-1
		last = apply(n, w, codes, in, shapes[n.Inputs[0]], head)
		values[n.Name] = last
	}
	return last
}

func apply(n Node, w Weights, codes []uint16, in [][]float32, shape []int, head bool) []float32 {
	param := func(i int) *Tensor { return w[n.Params[i].Name] }
	switch n.Kind {
	case KindEmbedding:
		return plainEmbedding(param(0), codes)
	case KindConv1D:
		return activate(plainConv(in[0], shape, param(0), param(1), n.Layer.Padding == Same), n.Layer.Activation)
	case KindThresholdedReLU:
		return plainThreshold(in[0], float32(n.Layer.Theta))
	case KindMaxPool:
		return plainPool(in[0], shape, n.Shape[0], n.Layer.Pool)
	case KindGlobalMaxPool:
		return plainPool(in[0], shape, 1, shape[0])
	case KindLSTM:
		h := plainLSTM(in[0], shape, param(0), param(1), param(2), false)
		if n.Layer.Bidirectional {
			h = append(h, plainLSTM(in[0], shape, param(3), param(4), param(5), true)...)
		}
		return h
	case KindDense:
		y := plainDense(in[0], param(0), param(1))
		if head {
			return y
		}
		return activate(y, n.Layer.Activation)
	case KindConcatenate:
		var y []float32
		for _, x := range in {
			y = append(y, x...)
		}
		return y
	}
	return in[0] // dropout and flatten change nothing here
}

func plainEmbedding(table *Tensor, codes []uint16) []float32 {
	dim := table.Shape[1]
	var y []float32
	for _, c := range codes {
		y = append(y, table.Data[int(c)*dim:int(c+1)*dim]...)
	}
	return y
}

func plainConv(x []float32, shape []int, kernel, bias *Tensor, same bool) []float32 {
	size, in, filters := kernel.Shape[0], kernel.Shape[1], kernel.Shape[2]
	left, right := 0, 0
	if same {
		left, right = SamePadding(size)
	}
	time := shape[0] + left + right - size + 1
	y := make([]float32, time*filters)
	for t := range time {
		for f := range filters {
			sum := float64(bias.Data[f])
			for j := range size {
				at := t + j - left
				if at < 0 || at >= shape[0] {
					continue
				}
				for c := range in {
					sum += float64(x[at*in+c]) * float64(kernel.Data[(j*in+c)*filters+f])
				}
			}
			y[t*filters+f] = float32(sum)
		}
	}
	return y
}

func plainThreshold(x []float32, theta float32) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		if v > theta {
			y[i] = v
		}
	}
	return y
}

// plainPool takes the maximum over windows of pool steps; the last window may be short, as Same padding makes it.
func plainPool(x []float32, shape []int, time, pool int) []float32 {
	features := shape[1]
	y := make([]float32, time*features)
	for t := range time {
		for f := range features {
			best := float32(math.Inf(-1))
			for s := t * pool; s < min((t+1)*pool, shape[0]); s++ {
				best = max(best, x[s*features+f])
			}
			y[t*features+f] = best
		}
	}
	return y
}

func plainLSTM(x []float32, shape []int, kernel, recurrent, bias *Tensor, backward bool) []float32 {
	time, in, units := shape[0], shape[1], recurrent.Shape[0]
	h, c := make([]float64, units), make([]float64, units)
	z := make([]float64, 4*units)
	logistic := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	for s := range time {
		t := s
		if backward {
			t = time - 1 - s
		}
		for q := range z {
			z[q] = float64(bias.Data[q])
		}
		for i := range in {
			for q := range z {
				z[q] += float64(x[t*in+i]) * float64(kernel.Data[i*4*units+q])
			}
		}
		for i := range units {
			for q := range z {
				z[q] += h[i] * float64(recurrent.Data[i*4*units+q])
			}
		}
		for q := range units {
			c[q] = logistic(z[units+q])*c[q] + logistic(z[q])*math.Tanh(z[2*units+q])
			h[q] = logistic(z[3*units+q]) * math.Tanh(c[q])
		}
	}
	y := make([]float32, units)
	for i, v := range h {
		y[i] = float32(v)
	}
	return y
}

func plainDense(x []float32, kernel, bias *Tensor) []float32 {
	units := kernel.Shape[1]
	y := make([]float32, units)
	for u := range units {
		sum := float64(bias.Data[u])
		for i, v := range x {
			sum += float64(v) * float64(kernel.Data[i*units+u])
		}
		y[u] = float32(sum)
	}
	return y
}

func activate(x []float32, activation string) []float32 {
	switch activation {
	case ReLU:
		for i, v := range x {
			x[i] = max(v, 0)
		}
	case Tanh:
		for i, v := range x {
			x[i] = float32(math.Tanh(float64(v)))
		}
	case Sigmoid:
		for i, v := range x {
			x[i] = float32(1 / (1 + math.Exp(-float64(v))))
		}
	case Softmax:
		softmaxRows(x, len(x))
	}
	return x
}
