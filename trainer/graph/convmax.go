package graph

import (
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/kernels"
)

// embedConvMax is an embedding, a valid convolution, ReLU and a maximum over time as one layer: inputs E [codes, dim],
// W [kernel·dim, filters], b [filters] and the codes [batch·window]; output [batch, filters].
//
// Only the winning position of a filter has a gradient. Windows that lie wholly in padding are equal, so one of them is
// enough.
type embedConvMax struct {
	charTable
	batch, window int
	pad           uint16
	left          bool
	arg           []int32   // [batch, filters]
	y             []float32 // output, [batch, filters]
	masked        []float32 // gradient behind the ReLU, [batch, filters]
}

func newEmbedConvMax(s *step, batch int, enc *model.Encoder, codes, dim, kernel, filters int) *embedConvMax {
	return &embedConvMax{charTable: newCharTable(s, codes, dim, kernel, filters), batch: batch, window: enc.Window,
		pad: uint16(enc.Pad), left: enc.PadSide == model.Left,
		arg: make([]int32, batch*filters), y: floats(batch * filters), masked: floats(batch * filters)}
}

func (c *embedConvMax) forward(in []slot, out []float32) {
	c.fold(in[0].f, in[1].f)
	bias, codes := in[2].f, in[3].c
	c.split(c.batch, func(_, lo, hi int) {
		for b := lo; b < hi; b++ {
			y := nth(c.y, b, c.filters)
			name := nth(codes, b, c.window)
			walk, from := model.TrimPadding(name, model.Characters(name, c.pad, c.left), c.kernel, c.left)
			kernels.ConvMax(c.values, c.kernel, c.filters, walk, from, y, nth(c.arg, b, c.filters))
			kernels.Add(y, bias)
			kernels.ReLU(y)
		}
		copy(out[lo*c.filters:hi*c.filters], c.y[lo*c.filters:])
	})
}

func (c *embedConvMax) backward(in []slot, dout []float32, grads [][]float32) {
	codes := in[3].c
	c.split(c.batch, func(w, lo, hi int) {
		clear(c.parts[w])
		for b := lo; b < hi; b++ {
			d := nth(c.masked, b, c.filters)
			activateGrad(d, nth(c.y, b, c.filters), nth(dout, b, c.filters), c.filters, model.ReLU)
			kernels.ConvMaxGrad(c.parts[w], c.kernel, c.filters, nth(codes, b, c.window),
				nth(c.arg, b, c.filters), d)
		}
	})
	columnSums(grads[2], c.masked)
	c.unfold(in[0].f, in[1].f, grads[0], grads[1])
}
