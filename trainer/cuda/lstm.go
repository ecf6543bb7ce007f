package cuda

import (
	"fmt"

	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

// maxUnits is what a block of lstm_forward_fp32 has registers for: 4 groups of names, a thread each a unit.
const maxUnits = 128

// names is how many a block of the LSTM's kernels walks.
const names = 32

// lstm runs one direction of an LSTM and gives its last output. The input half is a table: of codes where it reads the
// embedding, else of positions.
type lstm struct {
	*network
	y           *value
	fold        *fold  // the input half over an embedding
	input       *dense // and over any other sequence
	u, b        param
	time, units int
	reverse     bool
	table       device.Address // [rows or batch·time, 4·units]
	walk        walk
}

// walk is how an LSTM goes through the steps, after its table is filled and before that is taken back.
type walk interface {
	forward(codes device.Address, training bool)
	// backward computes the gradients of the recurrent matrix and of the table.
	backward()
}

func newLSTM(n *network, x, y *value, w, u, b param, time int, reverse bool) (*lstm, error) {
	l := &lstm{network: n, y: y, u: u, b: b, time: time, units: u.Shape[0], reverse: reverse}
	gates := 4 * l.units
	if l.units > maxUnits {
		return nil, fmt.Errorf("%d units: at most %d", l.units, maxUnits)
	}
	cells := n.batch * time
	var dz device.Address // the gradient of a table of positions
	if x == nil {
		f, err := newFold(n, w, 1, 1, gates)
		if err != nil {
			return nil, err
		}
		l.fold, l.table = f, f.table
	} else {
		l.table = n.alloc(cells * gates)
	}
	if n.precision == trainer.PrecisionBF16 && (l.units == 32 || l.units == 64 || l.units == 128) {
		if most := 1 << 33 / (l.units * time) / names * names; n.batch > most { // its kernels count places in 32 bits
			return nil, fmt.Errorf("batches of %d names: at most %d", n.batch, most)
		}
		l.walk, dz = newTensorWalk(l), l.table // the table is read no more by then
	} else {
		p := newPlainWalk(l)
		l.walk, dz = p, p.z
	}
	if x != nil {
		l.input = newDense(n, x, &value{shape: []int{time, gates}, data: l.table, grad: dz}, w, b, linear)
	}
	n.wantScratch(sumShares * gates)
	return l, nil
}

// grid is that of the walking kernels.
func (l *lstm) grid() device.Dim { return device.Dim{X: (l.batch + names - 1) / names} }

func (l *lstm) forward(training bool) {
	if l.fold != nil {
		l.fold.fill(l.b.data)
		l.walk.forward(l.codes, training)
		return
	}
	l.input.forward(training)
	l.walk.forward(0, training) // rows are found by position
}

func (l *lstm) backward() {
	l.walk.backward()
	if l.fold != nil {
		l.columnSums(l.b.grad, l.fold.grad, l.rows, 4*l.units)
		l.fold.unfold()
		return
	}
	l.input.backward()
}

type plainWalk struct {
	*lstm
	z       device.Address // [batch, time, 4·units]: gates, then their gradients
	hBefore device.Address // [batch, time, units]
	cBefore device.Address
	turned  device.Address // the recurrent matrix transposed
}

func newPlainWalk(l *lstm) *plainWalk {
	gates, cells := 4*l.units, l.batch*l.time
	if l.fold != nil {
		l.fold.wantWalk()
	}
	l.wantSplit(l.units, gates, cells)
	return &plainWalk{lstm: l, z: l.alloc(cells * gates), hBefore: l.alloc(cells * l.units),
		cBefore: l.alloc(cells * l.units), turned: l.alloc(l.units * gates)}
}

func (w *plainWalk) block() device.Dim { return device.Dim{X: (w.units + 31) / 32 * 32, Y: 4} }

func (w *plainWalk) forward(codes device.Address, training bool) {
	w.launch("lstm_forward_fp32", w.grid(), w.block(), 4*names*w.units,
		w.z, w.hBefore, w.cBefore, w.y.data, w.table, w.u.data, codes, w.batch, w.time, w.units, w.reverse, training)
}

func (w *plainWalk) backward() {
	gates, cells := 4*w.units, w.batch*w.time
	w.each("transpose", w.units*gates, w.turned, w.u.data, w.units, gates)
	w.launch("lstm_backward_fp32", w.grid(), w.block(), 4*names*gates, w.z, w.cBefore, w.y.grad, w.turned, w.batch, w.time,
		w.units, w.reverse)
	w.gemmSplit(w.precision, product{a: rowMajor(w.hBefore, w.units).T(), b: rowMajor(w.z, gates),
		c: rowMajor(w.u.grad, gates), m: w.units, n: gates, k: cells})
	if w.fold != nil {
		w.fold.scatter(w.z, w.time, 0)
	}
}
