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
	run                                           func(name int) model.Span // equal rows of the output
	db                                            [][]float32               // a worker's part of the bias' gradient
	y, dz                                         []float32                 // [batch·outTime, filters]
}

func newConvShape(s *step, batch int, n model.Node, inTime int, run func(int) model.Span) convShape {
	c := convShape{step: s, batch: batch, inTime: inTime, outTime: n.Shape[0], kernel: n.Layer.Kernel,
		filters: n.Layer.Filters, activation: n.Layer.Activation, run: run}
	if n.Layer.Padding == model.Same {
		c.left, _ = model.SamePadding(c.kernel)
	}
	size := batch * c.outTime * c.filters
	if c.dz, c.db = floats(size), s.perWorker(c.filters); !c.linear() {
		c.y = floats(size)
	}
	return c
}

// reach is the output rows of a segment that offset j reaches without leaving the input.
func (c *convShape) reach(j int, s model.Span) (from, to int) {
	return max(s.Lo, c.left-j), min(s.Hi, c.inTime+c.left-j)
}

// ofName is what x, y or dz, has of name b.
func (c *convShape) ofName(x []float32, b int) []float32 { return nth(x, b, c.outTime*c.filters) }

// linear says that the output is needed for nothing afterwards.
func (c *convShape) linear() bool { return c.activation == "" || c.activation == model.Linear }

// target is where name b's output is computed: kept for the way back, or out itself where that does not need it.
func (c *convShape) target(b int, out []float32) []float32 {
	if c.linear() {
		return c.ofName(out, b)
	}
	return c.ofName(c.y, b)
}

// finish applies the activation to what was computed of name b, repeats equal rows and hands the result out.
func (c *convShape) finish(b int, out []float32) {
	y, run := c.target(b, out), c.run(b)
	if !c.linear() {
		for _, s := range run.Segments(c.outTime) {
			activate(y[s.Lo*c.filters:s.Hi*c.filters], c.filters, c.activation)
		}
	}
	run.Repeat(y, c.filters)
	if !c.linear() {
		copy(c.ofName(out, b), y)
	}
}

// begin takes name b's gradient behind the activation into dz, equal rows summed into their first, and adds it to the
// bias' gradient of a worker.
func (c *convShape) begin(worker, b int, dout []float32) (dz []float32, run model.Span) {
	dz, run = c.ofName(c.dz, b), c.run(b)
	if dy := c.ofName(dout, b); c.linear() {
		for _, s := range run.Segments(c.outTime) {
			copy(dz[s.Lo*c.filters:s.Hi*c.filters], dy[s.Lo*c.filters:s.Hi*c.filters])
		}
		for t := run.Lo + 1; t < run.Hi && run.Shared(); t++ {
			kernels.Add(nth(dz, run.Lo, c.filters), nth(dy, t, c.filters))
		}
	} else {
		activateGrad(dz, c.ofName(c.y, b), dy, c.filters, c.activation)
		gatherRow(dz, run, c.filters)
	}
	for _, s := range run.Segments(c.outTime) {
		for t := s.Lo; t < s.Hi; t++ {
			kernels.Add(c.db[worker], nth(dz, t, c.filters))
		}
	}
	return dz, run
}

// embedConv is an embedding and a convolution by table look-up: inputs E [codes, dim], W [kernel·dim, filters],
// b [filters] and codes [batch·window]; output [batch·outTime, filters].
type embedConv struct {
	convShape
	table charTable
}

func newEmbedConv(s *step, batch int, n model.Node, inTime, codes, dim int, run func(int) model.Span) *embedConv {
	return &embedConv{newConvShape(s, batch, n, inTime, run), newCharTable(s, codes, dim, n.Layer.Kernel, n.Layer.Filters)}
}

func (c *embedConv) forward(in []slot, out []float32) {
	c.table.fold(in[0].f, in[1].f)
	bias, codes := in[2].f, in[3].c
	c.split(c.batch, func(_, lo, hi int) {
		for b := lo; b < hi; b++ {
			name, y := nth(codes, b, c.inTime), c.target(b, out)
			for _, s := range c.run(b).Segments(c.outTime) {
				for t := s.Lo; t < s.Hi; t++ {
					row := nth(y, t, c.filters)
					copy(row, bias)
					for j := max(0, c.left-t); j < min(c.kernel, c.inTime+c.left-t); j++ {
						kernels.Add(row, c.table.row(c.table.values, name[t+j-c.left], j))
					}
				}
			}
			c.finish(b, out)
		}
	})
}

func (c *embedConv) backward(in []slot, dout []float32, grads [][]float32) {
	codes := in[3].c
	clearAll(c.db)
	c.split(c.batch, func(w, lo, hi int) {
		clear(c.table.parts[w])
		for b := lo; b < hi; b++ {
			name := nth(codes, b, c.inTime)
			dz, run := c.begin(w, b, dout)
			for _, s := range run.Segments(c.outTime) {
				for t := s.Lo; t < s.Hi; t++ {
					for j := max(0, c.left-t); j < min(c.kernel, c.inTime+c.left-t); j++ {
						kernels.Add(c.table.row(c.table.parts[w], name[t+j-c.left], j), nth(dz, t, c.filters))
					}
				}
			}
		}
	})
	c.sumParts(grads[2], c.db)
	c.table.unfold(in[0].f, in[1].f, grads[0], grads[1])
}

// conv is a convolution: inputs x [batch·inTime, in], W [kernel·in, filters], b [filters]; output
// [batch·outTime, filters].
type conv struct {
	convShape
	in              int
	parts           [][]float32      // of W's gradient
	packed, packedT []kernels.Packed // W at each offset, and its transpose: every name is multiplied by them
	gathered        []gathered       // a worker's
}

// gathered are rows of several names, for one product with all of them: a product for each name would read and write
// the whole of W's gradient.
type gathered struct {
	patches []float32 // [gatheredRows, kernel·in]: what an output row sees
	dz      []float32 // [gatheredRows, filters]
	n       int
}

const gatheredRows = 96

func newConv(s *step, batch int, n model.Node, inTime, in int, run func(int) model.Span) *conv {
	c := &conv{convShape: newConvShape(s, batch, n, inTime, run), in: in}
	c.parts = s.perWorker(c.kernel * in * c.filters)
	c.packed, c.packedT = make([]kernels.Packed, c.kernel), make([]kernels.Packed, c.kernel)
	for range s.workers {
		c.gathered = append(c.gathered, gathered{patches: floats(gatheredRows * c.kernel * in),
			dz: floats(gatheredRows * c.filters)})
	}
	return c
}

// gather takes output row t of name b and adds what is gathered to W's gradient once there is no room for another.
func (c *conv) gather(g *gathered, x []float32, b, t int, dz, dw []float32) {
	width := c.kernel * c.in
	patch := nth(g.patches, g.n, width)
	for j := range c.kernel {
		if at := t + j - c.left; at >= 0 && at < c.inTime {
			copy(nth(patch, j, c.in), x[(b*c.inTime+at)*c.in:])
		} else {
			clear(nth(patch, j, c.in))
		}
	}
	copy(nth(g.dz, g.n, c.filters), dz)
	if g.n++; g.n == gatheredRows {
		c.addGathered(g, dw)
	}
}

func (c *conv) addGathered(g *gathered, dw []float32) {
	if width := c.kernel * c.in; g.n > 0 {
		kernels.Gemm(width, c.filters, g.n, rows(g.patches, 0, width).T(), rows(g.dz, 0, c.filters), rows(dw, 0, c.filters),
			true)
		g.n = 0
	}
}

func (c *conv) forward(in []slot, out []float32) {
	x, w, bias := in[0].f, in[1].f, in[2].f
	for j := range c.kernel {
		c.packed[j].Pack(c.in, c.filters, rows(w, j*c.in, c.filters))
	}
	c.split(c.batch, func(_, lo, hi int) {
		for b := lo; b < hi; b++ {
			y := c.target(b, out)
			for _, s := range c.run(b).Segments(c.outTime) {
				for t := s.Lo; t < s.Hi; t++ {
					copy(nth(y, t, c.filters), bias)
				}
				for j := range c.kernel {
					if from, to := c.reach(j, s); from < to {
						kernels.GemmPacked(to-from, rows(x, b*c.inTime+from+j-c.left, c.in), &c.packed[j], rows(y, from, c.filters), true)
					}
				}
			}
			c.finish(b, out)
		}
	})
}

func (c *conv) backward(in []slot, dout []float32, grads [][]float32) {
	x, w, dx := in[0].f, in[1].f, grads[0]
	for j := range c.kernel {
		c.packedT[j].Pack(c.filters, c.in, rows(w, j*c.in, c.filters).T())
	}
	clearAll(c.db)
	c.split(c.batch, func(worker, lo, hi int) {
		dw, g := c.parts[worker], &c.gathered[worker]
		clear(dw)
		clear(dx[lo*c.inTime*c.in : hi*c.inTime*c.in])
		for b := lo; b < hi; b++ {
			dz, run := c.begin(worker, b, dout)
			for _, s := range run.Segments(c.outTime) {
				for j := range c.kernel {
					from, to := c.reach(j, s)
					if from >= to {
						continue
					}
					row := b*c.inTime + from + j - c.left
					kernels.GemmPacked(to-from, rows(dz, from, c.filters), &c.packedT[j], rows(dx, row, c.in), true)
				}
				for t := s.Lo; t < s.Hi; t++ {
					c.gather(g, x, b, t, nth(dz, t, c.filters), dw)
				}
			}
		}
		c.addGathered(g, dw)
	})
	c.sumParts(grads[1], c.parts)
	c.sumParts(grads[2], c.db)
}
