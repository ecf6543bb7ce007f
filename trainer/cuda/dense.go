package cuda

import (
	"fmt"
	"slices"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

// Activations as the kernels number them.
const (
	linear = iota
	relu
	tanh
	sigmoid
)

func activation(name string) (int, error) {
	if name == "" {
		return linear, nil
	}
	number := slices.Index([]string{model.Linear, model.ReLU, model.Tanh, model.Sigmoid}, name)
	if number < 0 {
		return 0, fmt.Errorf("no CUDA kernel does the activation %q", name)
	}
	return number, nil
}

// dense is x·W + b and an activation, x [rows, in] with rows a multiple of the batch.
type dense struct {
	*network
	x, y       *value
	in         device.Address // x's data unless it has been laid out anew
	din        device.Address
	w, b       param
	rows, wide int // x's
	units      int
	act        int
}

// narrowUnits is the units below which a warp takes a row rather than a tile: most of a tile would be empty.
const narrowUnits = 4

func newDense(n *network, x, y *value, w, b param, activation int) *dense {
	wide, units := w.Size()/b.Size(), b.Size()
	rows := n.batch * y.size() / units
	n.wantSplit(wide, units, rows)
	n.wantScratch(sumShares * wide * min(units, narrowUnits))
	n.wantScratch(sumShares * units)
	return &dense{network: n, x: x, y: y, in: x.data, din: x.grad, w: w, b: b, rows: rows, wide: wide, units: units,
		act: activation}
}

func (l *dense) forward(bool) {
	if l.units < narrowUnits {
		l.launch("narrow", device.Dim{X: (l.rows + 7) / 8}, device.Dim{X: 256}, 0, l.y.data, l.in, l.w.data, l.b.data, l.rows,
			l.wide, l.units, l.act)
		return
	}
	l.gemm(l.precision, product{a: rowMajor(l.in, l.wide), b: rowMajor(l.w.data, l.units), weights: true,
		c: rowMajor(l.y.data, l.units), m: l.rows, n: l.units, k: l.wide, bias: l.b.data, activation: l.act})
}

func (l *dense) backward() {
	l.activationBack(l.y.grad, l.y.data, l.units, l.act, l.b.grad, l.rows, l.units)
	if l.units < narrowUnits {
		l.narrowBack()
		return
	}
	d := rowMajor(l.y.grad, l.units)
	l.gemmSplit(l.precision, product{a: rowMajor(l.in, l.wide).T(), b: d, c: rowMajor(l.w.grad, l.units), m: l.wide,
		n: l.units, k: l.rows})
	l.gemm(l.precision, product{a: d, b: rowMajor(l.w.data, l.units).T(), weights: true, c: rowMajor(l.din, l.wide),
		m: l.rows, n: l.wide, k: l.units})
}

func (l *dense) narrowBack() {
	shares := min(sumShares, l.rows)
	l.launch("narrow_weights", device.Dim{X: (l.wide + 31) / 32, Y: l.units, Z: shares}, device.Dim{X: 32, Y: 8}, 0,
		l.scratchAt, l.in, l.y.grad, l.rows, l.wide, l.units)
	l.addParts(l.w.grad, l.scratchAt, l.wide*l.units, shares, false)
	l.each("narrow_inputs", l.rows*l.wide, l.din, l.y.grad, l.w.data, l.rows, l.wide, l.units)
}

// conv is a convolution over a sequence x [batch, time, channels]: a dense layer on the windows it reads.
type conv struct {
	*dense
	time, steps, kernel, before, channels int
}

func newConv(n *network, x, y *value, w, b param, before, activation int) *conv {
	c := &conv{dense: newDense(n, x, y, w, b, activation), time: x.shape[0], steps: y.shape[0], kernel: w.Shape[0],
		before: before, channels: x.shape[1]}
	size := n.batch * c.steps * c.kernel * c.channels
	c.in, c.din = n.alloc(size), n.alloc(size)
	return c
}

func (c *conv) forward(training bool) {
	c.each("windows", c.batch*c.steps*c.kernel*c.channels, c.in, c.x.data, c.batch, c.time, c.steps, c.kernel, c.before,
		c.channels)
	c.dense.forward(training)
}

func (c *conv) backward() {
	c.dense.backward()
	c.each("windows_grad", c.batch*c.time*c.channels, c.x.grad, c.din, c.batch, c.time, c.steps, c.kernel, c.before,
		c.channels)
}
