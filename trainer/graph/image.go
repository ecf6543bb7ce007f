package graph

import (
	"fmt"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/kernels"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// image is the codes as numbers: codes [batch·window] to [batch·height·width, 1].
type image struct{ *step }

func (l *image) forward(in []slot, out []float32) {
	for i, c := range in[0].c {
		out[i] = float32(c)
	}
}

func (l *image) backward([]slot, []float32, [][]float32) {}

// conv2D is a valid convolution over pictures: inputs x [batch·height·width, in], W [kernel·kernel·in, filters],
// b [filters]; output [batch·height'·width', filters].
type conv2D struct {
	*step
	batch      int
	shape      []int // of a name: [height, width, in]
	kernel     int
	pixels     int // of a name's output
	depth      int // kernel·kernel·in
	filters    int
	activation string
	y, dz      []float32   // [batch·pixels, filters]
	patches    [][]float32 // a worker's, of one name: [pixels, depth]
	dw, db     [][]float32 // a worker's parts
}

func newConv2D(s *step, batch int, n model.Node, shape []int) *conv2D {
	c := &conv2D{step: s, batch: batch, shape: shape, kernel: n.Layer.Kernel, pixels: n.Shape[0] * n.Shape[1],
		filters: n.Layer.Filters, activation: n.Layer.Activation}
	c.depth = c.kernel * c.kernel * shape[2]
	c.y, c.dz = floats(batch*c.pixels*c.filters), floats(batch*c.pixels*c.filters)
	c.patches, c.dw, c.db = s.perWorker(c.pixels*c.depth), s.perWorker(c.depth*c.filters), s.perWorker(c.filters)
	return c
}

func (c *conv2D) size() int { return c.shape[0] * c.shape[1] * c.shape[2] }

func (c *conv2D) forward(in []slot, out []float32) {
	x, w, bias := in[0].f, in[1].f, in[2].f
	c.split(c.batch, func(worker, lo, hi int) {
		p := c.patches[worker]
		for b := lo; b < hi; b++ {
			y := nth(c.y, b, c.pixels*c.filters)
			for at := 0; at < len(y); at += c.filters {
				copy(y[at:], bias)
			}
			model.Patches(p, nth(x, b, c.size()), c.shape, c.kernel)
			kernels.Gemm(c.pixels, c.filters, c.depth, rows(p, 0, c.depth), rows(w, 0, c.filters), rows(y, 0, c.filters), true)
			activate(y, c.filters, c.activation)
		}
		copy(out[lo*c.pixels*c.filters:hi*c.pixels*c.filters], c.y[lo*c.pixels*c.filters:])
	})
}

func (c *conv2D) backward(in []slot, dout []float32, grads [][]float32) {
	x, w := in[0].f, in[1].f
	clearAll(c.dw)
	clearAll(c.db)
	c.split(c.batch, func(worker, lo, hi int) {
		p, width := c.patches[worker], c.pixels*c.filters
		for b := lo; b < hi; b++ {
			dz := nth(c.dz, b, width)
			activateGrad(dz, nth(c.y, b, width), nth(dout, b, width), c.filters, c.activation)
			for at := 0; at < width; at += c.filters {
				kernels.Add(c.db[worker], dz[at:at+c.filters])
			}
			model.Patches(p, nth(x, b, c.size()), c.shape, c.kernel)
			kernels.Gemm(c.depth, c.filters, c.pixels, rows(p, 0, c.depth).T(), rows(dz, 0, c.filters),
				rows(c.dw[worker], 0, c.filters), true)
			kernels.Gemm(c.pixels, c.depth, c.filters, rows(dz, 0, c.filters), rows(w, 0, c.filters).T(), rows(p, 0, c.depth),
				false)
			c.gather(nth(grads[0], b, c.size()), p)
		}
	})
	c.sumParts(grads[1], c.dw)
	c.sumParts(grads[2], c.db)
}

// gather adds the gradients of patches up where they came from: model.Patches the other way.
func (c *conv2D) gather(dx, patches []float32) {
	clear(dx)
	run, at := c.kernel*c.shape[2], 0
	for y := range c.shape[0] - c.kernel + 1 {
		for col := range c.shape[1] - c.kernel + 1 {
			for k := range c.kernel {
				kernels.Add(dx[((y+k)*c.shape[1]+col)*c.shape[2]:][:run], patches[at:at+run])
				at += run
			}
		}
	}
}

// maxPool2D takes the maximum over squares: x [batch·height·width, features] to [batch·height'·width', features]. The
// first of equal values has the gradient.
type maxPool2D struct {
	*step
	batch, pool int
	shape, out  []int // of a name: [height, width, features]
	arg         []int32
}

func (l *maxPool2D) forward(in []slot, out []float32) {
	size, pixels, features := l.shape[0]*l.shape[1]*l.shape[2], l.out[0]*l.out[1], l.shape[2]
	l.split(l.batch, func(_, lo, hi int) {
		for b := lo; b < hi; b++ {
			x := nth(in[0].f, b, size)
			for p := range pixels {
				from := (p/l.out[1]*l.pool*l.shape[1] + p%l.out[1]*l.pool) * features
				at := (b*pixels + p) * features
				y, arg := out[at:at+features], l.arg[at:at+features]
				copy(y, x[from:])
				for k := range l.pool * l.pool {
					corner := from + (k/l.pool*l.shape[1]+k%l.pool)*features
					for f, v := range x[corner : corner+features] {
						if k == 0 || v > y[f] {
							y[f], arg[f] = v, int32(corner+f)
						}
					}
				}
			}
		}
	})
}

func (l *maxPool2D) backward(_ []slot, dout []float32, grads [][]float32) {
	size, width := l.shape[0]*l.shape[1]*l.shape[2], l.out[0]*l.out[1]*l.shape[2]
	l.split(l.batch, func(_, lo, hi int) {
		for b := lo; b < hi; b++ {
			dx := nth(grads[0], b, size)
			clear(dx)
			for i, g := range nth(dout, b, width) {
				dx[l.arg[b*width+i]] += g
			}
		}
	})
}

// picture lowers the layers over pictures.
func (b *builder) picture(n model.Node, in *G.Node) (*G.Node, error) {
	out := tensor.Shape{b.batch * n.Shape[0] * n.Shape[1], n.Shape[2]}
	switch n.Kind {
	case model.KindImage:
		return apply(n.Name, &image{b.step}, out, b.codesNode)
	case model.KindConv2D:
		return apply(n.Name, newConv2D(b.step, b.batch, n, b.inShape(n)), out, in, b.par(n, 0), b.par(n, 1))
	case model.KindMaxPool2D:
		l := &maxPool2D{step: b.step, batch: b.batch, pool: n.Layer.Pool, shape: b.inShape(n), out: n.Shape,
			arg: make([]int32, out.TotalSize())}
		return apply(n.Name, l, out, in)
	}
	return nil, fmt.Errorf("kind %q is no picture", n.Kind)
}
