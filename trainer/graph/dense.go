package graph

import (
	"math"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/kernels"
)

// dense is y = activation(x·W + b): inputs x [batch, in], W [in, units], b [units]; output [batch, units].
type dense struct {
	*step
	batch, in, units int
	activation       string
	y, dz            []float32 // [batch, units]
}

func newDense(s *step, batch, in, units int, activation string) *dense {
	return &dense{step: s, batch: batch, in: in, units: units, activation: activation,
		y: floats(batch * units), dz: floats(batch * units)}
}

// columnsEach is the units a worker must get at least for a layer to be split over its units rather than over the
// batch: each worker then packs its own columns of W instead of all.
const columnsEach = 64

func (d *dense) forward(in []slot, out []float32) {
	x, w, bias := in[0].f, in[1].f, in[2].f
	work := func(top, bottom, lo, hi int) {
		for b := top; b < bottom; b++ {
			copy(d.y[b*d.units+lo:b*d.units+hi], bias[lo:hi])
		}
		kernels.Gemm(bottom-top, hi-lo, d.in, rows(x, top, d.in), columns(w, lo, d.units),
			columns(d.y[top*d.units:], lo, d.units), true)
		for b := top; b < bottom; b++ {
			y := d.y[b*d.units+lo : b*d.units+hi]
			activate(y, hi-lo, d.activation)
			copy(out[b*d.units+lo:], y)
		}
	}
	if d.units >= columnsEach*d.workers && d.activation != model.Softmax {
		d.split(d.units, func(_, lo, hi int) { work(0, d.batch, lo, hi) })
		return
	}
	d.split(d.batch, func(_, lo, hi int) { work(lo, hi, 0, d.units) })
}

func (d *dense) backward(in []slot, dout []float32, grads [][]float32) {
	x, w := in[0].f, in[1].f
	dx, dw, db := grads[0], grads[1], grads[2]
	d.split(d.batch, func(_, lo, hi int) {
		at, end := lo*d.units, hi*d.units
		activateGrad(d.dz[at:end], d.y[at:end], dout[at:end], d.units, d.activation)
	})
	columnSums(db, d.dz)
	// Split over the inputs, not over the batch: no sums of parts are needed, and W is packed once.
	d.split(d.in, func(_, lo, hi int) {
		kernels.Gemm(d.batch, hi-lo, d.units, rows(d.dz, 0, d.units), rows(w, lo, d.units).T(), columns(dx, lo, d.in), false)
		kernels.Gemm(hi-lo, d.units, d.batch, columns(x, lo, d.in).T(), rows(d.dz, 0, d.units), rows(dw, lo, d.units), false)
	})
}

// nth is the i-th run of width values of x.
func nth[T any](x []T, i, width int) []T { return x[i*width : (i+1)*width] }

// rows views data as a matrix of width columns from row lo on.
func rows(data []float32, lo, width int) kernels.Matrix {
	return kernels.Matrix{Data: data[lo*width:], Stride: width}
}

// columns views a matrix of width columns from column lo on.
func columns(data []float32, lo, width int) kernels.Matrix {
	return kernels.Matrix{Data: data[lo:], Stride: width}
}

// columnSums sets sum to the sum of x's rows.
func columnSums(sum, x []float32) {
	clear(sum)
	for at := 0; at < len(x); at += len(sum) {
		kernels.Add(sum, x[at:at+len(sum)])
	}
}

// activate applies an activation in place; rows of width values matter to softmax alone.
func activate(x []float32, width int, activation string) {
	switch activation {
	case model.ReLU:
		kernels.ReLU(x)
	case model.Tanh:
		for i, v := range x {
			x[i] = kernels.Tanh(v)
		}
	case model.Sigmoid:
		for i, v := range x {
			x[i] = kernels.Logistic(v)
		}
	case model.Softmax:
		for at := 0; at < len(x); at += width {
			softmax(x[at : at+width])
		}
	}
}

func softmax(x []float32) {
	top := x[0]
	for _, v := range x {
		top = max(top, v)
	}
	var sum float64
	for i, v := range x {
		e := math.Exp(float64(v - top))
		x[i] = float32(e)
		sum += e
	}
	for i := range x {
		x[i] = float32(float64(x[i]) / sum)
	}
}

// activateGrad turns the gradient of an activation's output y into that of its input.
func activateGrad(dz, y, dy []float32, width int, activation string) {
	switch activation {
	case model.ReLU:
		dz, dy = dz[:len(y)], dy[:len(y)]
		for i, v := range y { // y is never negative: its bits, negated, have the sign set unless it is 0
			dz[i] = masked(dy[i], uint32(int32(-math.Float32bits(v))>>31))
		}
	case model.Tanh:
		for i, v := range y {
			dz[i] = dy[i] * (1 - v*v)
		}
	case model.Sigmoid:
		for i, v := range y {
			dz[i] = dy[i] * v * (1 - v)
		}
	case model.Softmax:
		for at := 0; at < len(y); at += width {
			var dot float32
			for i := at; i < at+width; i++ {
				dot += y[i] * dy[i]
			}
			for i := at; i < at+width; i++ {
				dz[i] = y[i] * (dy[i] - dot)
			}
		}
	default:
		copy(dz, dy)
	}
}
