package graph

import (
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/kernels"
)

// convShape is what both convolutions share: output row t meets input row t+j-left at offset j of the kernel.
type convShape struct {
	*step
	batch, inTime, outTime, kernel, filters, left int
	activation                                    string
	y, dz                                         []float32 // [batch·outTime, filters]
}

func newConvShape(s *step, batch int, n model.Node, inTime int) convShape {
	c := convShape{step: s, batch: batch, inTime: inTime, outTime: n.Shape[0], kernel: n.Layer.Kernel, filters: n.Layer.Filters, activation: n.Layer.Activation}
	if n.Layer.Padding == model.Same {
		c.left, _ = model.SamePadding(c.kernel)
	}
	size := batch * c.outTime * c.filters
	c.y, c.dz = make([]float32, size), make([]float32, size)
	return c
}

// span is the output rows that offset j reaches without leaving the input.
func (c *convShape) span(j int) (from, to int) {
	return max(0, c.left-j), min(c.outTime, c.inTime+c.left-j)
}

// embedConv is an embedding and a convolution by table look-up: inputs E [codes, dim], W [kernel·dim, filters],
// b [filters] and codes [batch·window]; output [batch·outTime, filters].
type embedConv struct {
	convShape
	codes, dim  int
	table, grad []float32 // [codes, kernel·filters]
	parts       [][]float32
}

func newEmbedConv(s *step, batch int, n model.Node, inTime, codes, dim int) *embedConv {
	c := &embedConv{convShape: newConvShape(s, batch, n, inTime), codes: codes, dim: dim}
	size := codes * c.kernel * c.filters
	c.table, c.grad, c.parts = make([]float32, size), make([]float32, size), s.perWorker(size)
	return c
}

func (c *embedConv) forward(in []slot, out []float32) {
	fold(c.table, in[0].f, in[1].f, c.codes, c.dim, c.kernel, c.filters)
	bias, codes := in[2].f, in[3].c
	c.split(c.batch, func(_, lo, hi int) {
		for b := lo; b < hi; b++ {
			name := codes[b*c.inTime : (b+1)*c.inTime]
			for t := range c.outTime {
				y := c.y[(b*c.outTime+t)*c.filters:][:c.filters]
				copy(y, bias)
				for j := max(0, c.left-t); j < min(c.kernel, c.inTime+c.left-t); j++ {
					kernels.Add(y, c.row(c.table, name[t+j-c.left], j))
				}
			}
		}
		at, end := lo*c.outTime*c.filters, hi*c.outTime*c.filters
		activate(c.y[at:end], c.filters, c.activation)
		copy(out[at:end], c.y[at:end])
	})
}

func (c *embedConv) backward(in []slot, dout []float32, grads [][]float32) {
	codes := in[3].c
	clearAll(c.parts)
	c.split(c.batch, func(w, lo, hi int) {
		at, end := lo*c.outTime*c.filters, hi*c.outTime*c.filters
		activateGrad(c.dz[at:end], c.y[at:end], dout[at:end], c.filters, c.activation)
		for b := lo; b < hi; b++ {
			name := codes[b*c.inTime : (b+1)*c.inTime]
			for t := range c.outTime {
				dz := c.dz[(b*c.outTime+t)*c.filters:][:c.filters]
				for j := max(0, c.left-t); j < min(c.kernel, c.inTime+c.left-t); j++ {
					kernels.Add(c.row(c.parts[w], name[t+j-c.left], j), dz)
				}
			}
		}
	})
	sumParts(c.grad, c.parts)
	columnSums(grads[2], c.dz)
	unfold(c.grad, in[0].f, in[1].f, grads[0], grads[1], c.codes, c.dim, c.kernel, c.filters)
}

// row is what code contributes at offset j of the kernel.
func (c *embedConv) row(table []float32, code uint16, j int) []float32 {
	return table[(int(code)*c.kernel+j)*c.filters:][:c.filters]
}

// conv is a convolution: inputs x [batch·inTime, in], W [kernel·in, filters], b [filters]; output
// [batch·outTime, filters].
type conv struct {
	convShape
	in              int
	parts           [][]float32      // of W's gradient
	packed, packedT []kernels.Packed // W at each offset, and its transpose: every sample is multiplied by them
}

func newConv(s *step, batch int, n model.Node, inTime, in int) *conv {
	c := &conv{convShape: newConvShape(s, batch, n, inTime), in: in}
	c.parts = s.perWorker(c.kernel * in * c.filters)
	c.packed, c.packedT = make([]kernels.Packed, c.kernel), make([]kernels.Packed, c.kernel)
	return c
}

func (c *conv) forward(in []slot, out []float32) {
	x, w, bias := in[0].f, in[1].f, in[2].f
	for j := range c.kernel {
		c.packed[j].Pack(c.in, c.filters, rows(w, j*c.in, c.filters))
	}
	c.split(c.batch, func(_, lo, hi int) {
		for b := lo; b < hi; b++ {
			y := c.y[b*c.outTime*c.filters:][:c.outTime*c.filters]
			for at := 0; at < len(y); at += c.filters {
				copy(y[at:], bias)
			}
			for j := range c.kernel {
				if from, to := c.span(j); from < to {
					kernels.GemmPacked(to-from, rows(x, b*c.inTime+from+j-c.left, c.in), &c.packed[j], rows(y, from, c.filters), true)
				}
			}
		}
		at, end := lo*c.outTime*c.filters, hi*c.outTime*c.filters
		activate(c.y[at:end], c.filters, c.activation)
		copy(out[at:end], c.y[at:end])
	})
}

func (c *conv) backward(in []slot, dout []float32, grads [][]float32) {
	x, w, dx := in[0].f, in[1].f, grads[0]
	for j := range c.kernel {
		c.packedT[j].Pack(c.filters, c.in, rows(w, j*c.in, c.filters).T())
	}
	clearAll(c.parts)
	c.split(c.batch, func(worker, lo, hi int) {
		dw := c.parts[worker]
		at, end := lo*c.outTime*c.filters, hi*c.outTime*c.filters
		activateGrad(c.dz[at:end], c.y[at:end], dout[at:end], c.filters, c.activation)
		clear(dx[lo*c.inTime*c.in : hi*c.inTime*c.in])
		for b := lo; b < hi; b++ {
			for j := range c.kernel {
				from, to := c.span(j)
				if from >= to {
					continue
				}
				row := b*c.inTime + from + j - c.left
				dz := rows(c.dz, b*c.outTime+from, c.filters)
				kernels.GemmPacked(to-from, dz, &c.packedT[j], rows(dx, row, c.in), true)
				kernels.Gemm(c.in, c.filters, to-from, rows(x, row, c.in).T(), dz, rows(dw, j*c.in, c.filters), true)
			}
		}
	})
	sumParts(grads[1], c.parts)
	columnSums(grads[2], c.dz)
}
