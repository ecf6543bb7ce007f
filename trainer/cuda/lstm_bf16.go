package cuda

import (
	"fmt"

	"github.com/degas-dns/degas/trainer/cuda/device"
)

// tensorWalk is a walk of 32, 64 or 128 units on the tensor cores. Between the passes it keeps 20 bytes a unit of each
// cell, a step of a name.
type tensorWalk struct {
	*lstm
	gates, states device.Address // as the kernels lay them out
	hBefore       device.Address // [cells, units] bf16
	dz            device.Address // [cells, 4·units] bf16: gradients of pre-activations
	rowCount      int
	table16       device.Address // [rowCount, 4·units] f16: the table as the kernels read it
}

func newTensorWalk(l *lstm) *tensorWalk {
	cells, kept := l.batch*l.time, l.grid().X*names*l.time // whole blocks keep
	w := &tensorWalk{lstm: l, gates: l.take(kept * l.units * 8), states: l.take(kept * l.units * 2),
		hBefore: l.take(cells * l.units * 2), dz: l.take(cells * l.units * 8)}
	if l.fold != nil {
		w.rowCount, w.table16 = l.rows, l.take(l.rows*l.units*8)
	} else {
		w.rowCount, w.table16 = cells, w.dz // read no more when dz is written
	}
	l.wantScratch(w.shares() * (l.units + w.codeRows()) * 4 * l.units)
	return w
}

// codeRows is the rows of the table whose gradients the kernel of the weights computes.
func (w *tensorWalk) codeRows() int {
	if w.fold != nil {
		return w.rows
	}
	return 0
}

func (w *tensorWalk) kernel(name string) string { return fmt.Sprintf("lstm_%s_bf16_%d", name, w.units) }

func (w *tensorWalk) block() device.Dim { return device.Dim{X: 4 * w.units} }

func (w *tensorWalk) forward(codes device.Address, training bool) {
	shared := names*(w.units/2+4)*4 + names*w.time // states and codes
	if w.fold == nil || !w.folded {
		w.each("lstm_rows_bf16", w.rowCount*w.units/2, w.table16, w.table, w.rowCount, w.units)
	}
	w.launch(w.kernel("forward"), w.grid(), w.block(), shared,
		w.gates, w.states, w.hBefore, w.y.data, w.table16, w.u.data, codes, w.batch, w.time, w.reverse, training)
}

func (w *tensorWalk) backward() {
	shared := names*(2*w.units+4)*4 + 2*4*16*w.block().X // dz and the gates' parts of each half
	w.launch(w.kernel("backward"), w.grid(), w.block(), shared, w.dz, w.gates, w.states, w.y.grad, w.u.data, w.batch,
		w.time, w.reverse)
	if w.fold != nil {
		w.weights(w.u.grad, w.fold.grad, w.codes)
		return
	}
	w.weights(w.u.grad, 0, 0)
	pairs := w.batch * w.time * w.units * 2
	w.each("widen_bf16", pairs, w.input.y.grad, w.dz, pairs)
}

// How lstm_weights_bf16 divides its product: see there. gradBlocks is about how many blocks there are in all. It
// decides the order of sums, so it must not depend on the device.
const (
	gradTiles, gradColumns, gradThreads = 12, 128, 256
	gradShared                          = 4 * 32 * 2 * (gradTiles*16 + 8 + gradColumns + 8)
	gradBlocks                          = 128
)

func (w *tensorWalk) weightsGrid() device.Dim {
	x, y := 4*w.units/gradColumns, (w.units+w.codeRows()+gradTiles*16-1)/(gradTiles*16)
	return device.Dim{X: x, Y: y, Z: min(max(gradBlocks/(x*y), 1), max(w.batch*w.time/splitDepth, 1))}
}

func (w *tensorWalk) shares() int { return w.weightsGrid().Z }

// weights computes the gradients of the recurrent matrix and, with codes, of the table.
func (w *tensorWalk) weights(u, table, codes device.Address) {
	size, shares := w.units*4*w.units, w.shares()
	part := w.scratchAt + device.Address(4*size*shares)
	w.launch("lstm_weights_bf16", w.weightsGrid(), device.Dim{X: gradThreads}, gradShared,
		w.scratchAt, part, w.hBefore, w.dz, codes, w.batch*w.time, w.units, w.codeRows())
	w.addParts(u, w.scratchAt, size, shares, false)
	if codes != 0 {
		w.addParts(table, part, w.codeRows()*4*w.units, shares, false)
	}
}
