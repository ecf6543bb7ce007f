package graph

import (
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/kernels"
)

// embedConvMax is an embedding, a valid convolution, ReLU and a maximum over time as one layer: inputs E [codes, dim],
// W [kernel·dim, filters], b [filters] and the codes [batch·window]; output [batch, filters].
//
// A linear map of a table row is a row of another table, so T_j = E·W_j is computed once and each position costs kernel
// row additions. Only the winning position of a filter has a gradient. Windows that lie wholly in padding are equal, so
// one of them is enough.
type embedConvMax struct {
	*step
	batch, window, codes, dim, kernel, filters int
	pad                                        uint16
	left                                       bool
	table                                      []float32 // [codes, kernel·filters]
	grad                                       []float32 // of table
	parts                                      [][]float32
	arg                                        []int32   // [batch, filters]
	y                                          []float32 // output, [batch, filters]
	masked                                     []float32 // gradient behind the ReLU, [batch, filters]
}

func newEmbedConvMax(s *step, batch int, enc *model.Encoder, codes, dim, kernel, filters int) *embedConvMax {
	size := codes * kernel * filters
	return &embedConvMax{step: s, batch: batch, window: enc.Window, codes: codes, dim: dim, kernel: kernel, filters: filters,
		pad: uint16(enc.Pad), left: enc.PadSide == model.Left,
		table: make([]float32, size), grad: make([]float32, size), parts: s.perWorker(size),
		arg: make([]int32, batch*filters), y: make([]float32, batch*filters), masked: make([]float32, batch*filters)}
}

func (c *embedConvMax) forward(in []slot, out []float32) {
	fold(c.table, in[0].f, in[1].f, c.codes, c.dim, c.kernel, c.filters)
	bias, codes := in[2].f, in[3].c
	c.split(c.batch, func(_, lo, hi int) {
		for b := lo; b < hi; b++ {
			y := c.y[b*c.filters : (b+1)*c.filters]
			name := codes[b*c.window : (b+1)*c.window]
			walk, from := model.TrimPadding(name, model.Characters(name, c.pad, c.left), c.kernel, c.left)
			kernels.ConvMax(c.table, c.kernel, c.filters, walk, from, y, c.arg[b*c.filters:(b+1)*c.filters])
			kernels.Add(y, bias)
			kernels.ReLU(y)
		}
		copy(out[lo*c.filters:hi*c.filters], c.y[lo*c.filters:])
	})
}

func (c *embedConvMax) backward(in []slot, dout []float32, grads [][]float32) {
	codes := in[3].c
	clearAll(c.parts)
	c.split(c.batch, func(w, lo, hi int) {
		for b := lo; b < hi; b++ {
			d := c.masked[b*c.filters : (b+1)*c.filters]
			activateGrad(d, c.y[b*c.filters:(b+1)*c.filters], dout[b*c.filters:(b+1)*c.filters], c.filters, model.ReLU)
			kernels.ConvMaxGrad(c.parts[w], c.kernel, c.filters, codes[b*c.window:(b+1)*c.window], c.arg[b*c.filters:(b+1)*c.filters], d)
		}
	})
	sumParts(c.grad, c.parts)
	columnSums(grads[2], c.masked)
	unfold(c.grad, in[0].f, in[1].f, grads[0], grads[1], c.codes, c.dim, c.kernel, c.filters)
}

// fold computes the table T_j = E·W_j: [codes, kernel·filters].
func fold(table, e, w []float32, codes, dim, kernel, filters int) {
	for j := range kernel {
		kernels.Gemm(codes, filters, dim, rows(e, 0, dim), rows(w, j*dim, filters),
			kernels.Matrix{Data: table[j*filters:], Stride: kernel * filters}, false)
	}
}

// unfold takes a table's gradient back to the embedding's and the kernel's: dW_j = Eᵀ·dT_j, dE = Σ dT_j·W_jᵀ.
func unfold(grad, e, w, de, dw []float32, codes, dim, kernel, filters int) {
	for j := range kernel {
		dt := kernels.Matrix{Data: grad[j*filters:], Stride: kernel * filters}
		kernels.Gemm(dim, filters, codes, rows(e, 0, dim).T(), dt, rows(dw, j*dim, filters), false)
		kernels.Gemm(codes, dim, filters, dt, rows(w, j*dim, filters).T(), rows(de, 0, dim), j > 0)
	}
}

// sumParts sets sum to the workers' parts added in order.
func sumParts(sum []float32, parts [][]float32) {
	copy(sum, parts[0])
	for _, p := range parts[1:] {
		kernels.Add(sum, p)
	}
}
