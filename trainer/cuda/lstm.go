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
	z           device.Address // [batch, time, 4·units]: gates, then their gradients
	hBefore     device.Address // [batch, time, units]
	cBefore     device.Address
	turned      device.Address // the recurrent matrix transposed
	tensor      string         // suffix of the kernels on the tensor cores, "" where there are none for these units
}

func newLSTM(n *network, x, y *value, w, u, b param, time int, reverse bool) (*lstm, error) {
	l := &lstm{network: n, y: y, u: u, b: b, time: time, units: u.Shape[0], reverse: reverse}
	gates := 4 * l.units
	if l.units > maxUnits {
		return nil, fmt.Errorf("%d units: at most %d", l.units, maxUnits)
	}
	if n.precision == trainer.PrecisionBF16 && (l.units == 32 || l.units == 64 || l.units == 128) {
		l.tensor = fmt.Sprintf("_bf16_%d", l.units)
	}
	cells := n.batch * time
	l.z, l.hBefore, l.cBefore, l.turned = n.alloc(cells*gates), n.alloc(cells*l.units), n.alloc(cells*l.units), n.alloc(l.units*gates)
	if x == nil {
		f, err := newFold(n, w, 1, 1, gates)
		if err != nil {
			return nil, err
		}
		l.fold, l.table = f.wantWalk(), f.table
	} else {
		l.table = n.alloc(cells * gates)
		l.input = newDense(n, x, &value{shape: []int{time, gates}, data: l.table, grad: l.z}, w, b, linear)
	}
	n.wantSplit(l.units, gates, cells)
	n.wantScratch(sumShares * gates)
	return l, nil
}

// grid and block of the walking kernels.
func (l *lstm) grid() device.Dim { return device.Dim{X: (l.batch + names - 1) / names} }

func (l *lstm) block() device.Dim {
	if l.tensor != "" {
		return device.Dim{X: 4 * l.units}
	}
	return device.Dim{X: (l.units + 31) / 32 * 32, Y: 4}
}

func (l *lstm) forward(training bool) {
	codes := l.codes
	if l.fold != nil {
		l.fold.fill(l.b.data)
	} else {
		codes = 0 // rows are found by position
		l.input.forward(training)
	}
	kernel, shared := "lstm_forward"+l.tensor, 0
	if l.tensor == "" {
		kernel, shared = kernel+"_fp32", 4*names*l.units
	}
	l.launch(kernel, l.grid(), l.block(), shared, l.z, l.hBefore, l.cBefore, l.y.data, l.table, l.u.data, codes, l.batch, l.time, l.units, l.reverse, training)
}

func (l *lstm) backward() {
	gates, cells := 4*l.units, l.batch*l.time
	if l.tensor != "" {
		l.launch("lstm_backward"+l.tensor, l.grid(), l.block(), 0, l.z, l.cBefore, l.y.grad, l.u.data, l.batch, l.time, l.units, l.reverse)
	} else {
		l.each("transpose", l.units*gates, l.turned, l.u.data, l.units, gates)
		l.launch("lstm_backward_fp32", l.grid(), l.block(), 4*names*gates, l.z, l.cBefore, l.y.grad, l.turned, l.batch, l.time, l.units, l.reverse)
	}
	d := rowMajor(l.z, gates)
	l.gemmSplit(l.precision, product{a: rowMajor(l.hBefore, l.units).T(), b: d, c: rowMajor(l.u.grad, gates), m: l.units, n: gates, k: cells})
	if l.fold != nil {
		l.fold.scatter(l.z, l.time, 0)
		l.columnSums(l.b.grad, l.fold.grad, l.rows, gates)
		l.fold.unfold()
		return
	}
	l.input.backward()
}
