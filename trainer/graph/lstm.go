package graph

import (
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/kernels"
)

// lstm runs one direction of an LSTM and gives its last output, [batch, units], or all, [batch·time, units]. Its input
// half is a table look-up: over
// the embedding P = E·W + b, one row a code; over any other sequence x·W + b, one row a position. Inputs: E or x, W
// [in, 4·units], U [units, 4·units], b [4·units] and, for an embedding, the codes.
//
// Names padded on the left share their padded prefix. It is run once, and each name starts from the state at its own
// first character. On the way back the gradients that arrive at each offset are summed and walk the prefix once.
// Back-propagation through time is linear in the arriving gradient, so this is exact.
type lstm struct {
	*step
	batch, time, in, units int
	reverse, all           bool
	embedded, share        bool
	pad                    uint16
	table, dtable          []float32 // [rows, 4·units]
	tableRows              int
	row                    []int32 // [batch, time]: the table row of each step, in the direction's order
	start                  []int   // [batch]: the first step that is not shared
	order                  []int   // the batch by start, ascending
	prefix                 prefix
	runs                   []*run
	dU                     []float32
	packed, packedT        kernels.Packed // U and its transpose: every step multiplies by them
	cell                   func(z, prev, c, tanhC, h []float32)
	cellBackward           func(z, prev, tanhC, dh, dc []float32)
}

// run is the part of a batch that one worker walks, its rows sorted by their first step. Row r of step t, active rows
// only, is at offset[t]+r of the packed buffers.
type run struct {
	names        []int     // index in the batch, sorted by start
	offset       []int     // [time+1]
	z            []float32 // gates' activations, then their gradients: [active, 4·units]
	h, c, tanh   []float32 // state before each step, and the tanh of the cell after it: [active, units]
	endH, endC   []float32 // state after the last step: [rows, units]
	dh, dc       []float32 // [rows, units]
	dU, dtable   []float32
	dPreH, dPreC []float32 // gradients that arrive at the shared prefix: [time+1, units]
}

// prefix holds the states of a name that is all padding: [time+1, units].
type prefix struct {
	h, c, tanh, z []float32
	steps         int // how far the current batch needs it
}

func newLSTM(s *step, batch, time, in int, layer model.Layer, reverse bool) *lstm {
	l := &lstm{step: s, batch: batch, time: time, in: in, units: layer.Units, reverse: reverse,
		row: make([]int32, batch*time), start: make([]int, batch), order: make([]int, batch),
		dU: floats(layer.Units * 4 * layer.Units), cell: kernels.LSTMForward, cellBackward: kernels.LSTMBackward,
		all: layer.ReturnSequences}
	if layer.RecurrentActivation == model.Clip {
		l.cell, l.cellBackward = kernels.ClipLSTMForward, kernels.ClipLSTMBackward
	}
	return l
}

// fromEmbedding makes the layer read codes.
func (l *lstm) fromEmbedding(codes int, enc *model.Encoder) {
	l.embedded, l.pad, l.tableRows = true, uint16(enc.Pad), codes
	l.share = (enc.PadSide == model.Left) != l.reverse // it runs over the padding first
}

func (l *lstm) prepare() {
	if l.table != nil {
		return
	}
	if !l.embedded {
		l.tableRows = l.batch * l.time
	}
	g, u := 4*l.units, l.units
	l.table, l.dtable = floats(l.tableRows*g), floats(l.tableRows*g)
	l.prefix = prefix{h: floats((l.time + 1) * u), c: floats((l.time + 1) * u), tanh: floats(l.time * u),
		z: floats(l.time * g)}
	for range l.workers {
		n := (l.batch + l.workers - 1) / l.workers
		cells := n * l.time
		r := &run{offset: make([]int, l.time+1), z: floats(cells * g),
			h: floats(cells * u), c: floats(cells * u), tanh: floats(cells * u),
			endH: floats(n * u), endC: floats(n * u), dh: floats(n * u), dc: floats(n * u),
			dU: floats(u * g), dPreH: floats((l.time + 1) * u), dPreC: floats((l.time + 1) * u)}
		if l.embedded { // rows of a table by position belong to one worker each; rows by code are shared
			r.dtable = floats(l.tableRows * g)
		} else {
			r.dtable = l.dtable
		}
		l.runs = append(l.runs, r)
	}
}

func (l *lstm) forward(in []slot, out []float32) {
	l.prepare()
	w, u, bias := in[1].f, in[2].f, in[3].f
	l.index(in)
	g := 4 * l.units
	for r := range l.tableRows {
		copy(nth(l.table, r, g), bias)
	}
	l.split(g, func(_, lo, hi int) {
		kernels.Gemm(l.tableRows, hi-lo, l.in, rows(in[0].f, 0, l.in), columns(w, lo, g), columns(l.table, lo, g), true)
	})
	l.packed.Pack(l.units, g, rows(u, 0, g))
	l.runPrefix()
	l.split(l.workers, func(_, lo, hi int) {
		for k := lo; k < hi; k++ {
			l.runForward(l.runs[k])
		}
	})
	for _, r := range l.runs {
		if l.all {
			l.sequences(r, out)
			continue
		}
		for i, b := range r.names {
			copy(nth(out, b, l.units), r.endH[i*l.units:])
		}
	}
}

// outputRow is the row of name b's output of step t, in the direction's order, among those of all steps.
func (l *lstm) outputRow(b, t int) int {
	if l.reverse {
		t = l.time - 1 - t
	}
	return b*l.time + t
}

// sequences writes the outputs of all steps of r's names. Before a name's first step they are the prefix's.
func (l *lstm) sequences(r *run, out []float32) {
	n := l.units
	for t := range l.time {
		active, after := r.active(t), r.endH
		if t+1 < l.time {
			after = r.h[r.offset[t+1]*n:]
		}
		for i, b := range r.names {
			h := l.prefix.h[(t+1)*n:]
			if i < active {
				h = after[i*n:]
			}
			copy(nth(out, l.outputRow(b, t), n), h)
		}
	}
}

// index finds each step's table row and first step, sorts the batch by the latter and deals it out to the workers.
func (l *lstm) index(in []slot) {
	for b := range l.batch {
		l.start[b] = 0
		for t := range l.time {
			at := t
			if l.reverse {
				at = l.time - 1 - t
			}
			if l.embedded {
				l.row[b*l.time+t] = int32(in[4].c[b*l.time+at])
			} else {
				l.row[b*l.time+t] = int32(b*l.time + at)
			}
		}
		if l.share {
			l.start[b] = l.time - model.Characters(nth(in[4].c, b, l.time), l.pad, !l.reverse)
		}
	}
	at := 0
	for t := 0; t <= l.time && at < l.batch; t++ { // counting sort: stable, so the order is the batch's alone
		for b := range l.batch {
			if l.start[b] == t {
				l.order[at] = b
				at++
			}
		}
	}
	l.prefix.steps = l.start[l.order[l.batch-1]]
	for k, r := range l.runs {
		r.names = r.names[:0]
		for i := k; i < l.batch; i += len(l.runs) {
			r.names = append(r.names, l.order[i])
		}
		active, total := 0, 0
		for t := range l.time {
			for active < len(r.names) && l.start[r.names[active]] <= t {
				active++
			}
			r.offset[t] = total
			total += active
		}
		r.offset[l.time] = total
	}
}

// active is the number of r's rows that step t computes.
func (r *run) active(t int) int { return r.offset[t+1] - r.offset[t] }

func (l *lstm) runPrefix() {
	p, n, g := &l.prefix, l.units, 4*l.units
	pad := l.table[int(l.pad)*g:]
	for t := range p.steps {
		z := nth(p.z, t, g)
		copy(z, pad)
		kernels.GemmPacked(1, rows(p.h, t, n), &l.packed, rows(z, 0, g), true)
		l.cell(z, nth(p.c, t, n), nth(p.c, t+1, n), nth(p.tanh, t, n), nth(p.h, t+1, n))
	}
}

func (l *lstm) runForward(r *run) {
	n, g := l.units, 4*l.units
	for t := range l.time {
		at, active := r.offset[t], r.active(t)
		before := 0
		if t > 0 {
			before = r.active(t - 1)
		}
		// Rows that begin here take the prefix's state; the others' was written by the step before.
		for i := before; i < active; i++ {
			copy(nth(r.h, at+i, n), l.prefix.h[t*n:])
			copy(nth(r.c, at+i, n), l.prefix.c[t*n:])
		}
		for i := range active {
			row := int(l.row[r.names[i]*l.time+t])
			copy(nth(r.z, at+i, g), l.table[row*g:])
		}
		kernels.GemmPacked(active, rows(r.h, at, n), &l.packed, rows(r.z, at, g), true)
		nextH, nextC := r.endH, r.endC
		if t+1 < l.time {
			nextH, nextC = r.h[r.offset[t+1]*n:], r.c[r.offset[t+1]*n:]
		}
		for i := range active {
			k := at + i
			l.cell(nth(r.z, k, g), nth(r.c, k, n), nth(nextC, i, n), nth(r.tanh, k, n), nth(nextH, i, n))
		}
	}
	for i := r.active(l.time - 1); i < len(r.names); i++ { // names that are all padding
		copy(nth(r.endH, i, n), l.prefix.h[l.time*n:])
	}
}

func (l *lstm) backward(in []slot, dout []float32, grads [][]float32) {
	w, u := in[1].f, in[2].f
	l.packedT.Pack(4*l.units, l.units, rows(u, 0, 4*l.units).T())
	if l.embedded {
		clear(l.dtable)
	}
	l.split(l.workers, func(_, lo, hi int) {
		for k := lo; k < hi; k++ {
			l.runBackward(l.runs[k], dout)
		}
	})
	l.prefixBackward()
	l.addUp(grads[2])
	g := 4 * l.units
	columnSums(grads[3], l.dtable)
	l.split(l.workers, func(_, first, last int) {
		for k := first; k < last; k++ {
			if lo, hi := l.part(g, k); lo < hi {
				kernels.Gemm(l.in, hi-lo, l.tableRows, rows(in[0].f, 0, l.in).T(), columns(l.dtable, lo, g),
					columns(grads[1], lo, g), false)
			}
			if lo, hi := l.part(l.in, k); lo < hi {
				kernels.Gemm(l.tableRows, hi-lo, g, rows(l.dtable, 0, g), rows(w, lo, g).T(), columns(grads[0], lo, l.in), false)
			}
		}
	})
}

// addUp adds the runs' gradients of U and of the table to the prefix's.
func (l *lstm) addUp(dU []float32) {
	l.split(len(dU), func(_, lo, hi int) {
		copy(dU[lo:hi], l.dU[lo:hi])
		for _, r := range l.runs {
			kernels.Add(dU[lo:hi], r.dU[lo:hi])
		}
	})
	if !l.embedded {
		return
	}
	l.split(len(l.dtable), func(_, lo, hi int) {
		for _, r := range l.runs {
			kernels.Add(l.dtable[lo:hi], r.dtable[lo:hi])
		}
	})
}

func (l *lstm) runBackward(r *run, dout []float32) {
	n, g := l.units, 4*l.units
	clear(r.dPreH)
	clear(r.dPreC)
	clear(r.dc)
	if l.embedded {
		clear(r.dtable)
	}
	if l.all {
		clear(r.dh)
	} else {
		for i, b := range r.names {
			copy(nth(r.dh, i, n), nth(dout, b, n))
		}
		for i := r.active(l.time - 1); i < len(r.names); i++ {
			kernels.Add(nth(r.dPreH, l.time, n), r.dh[i*n:])
		}
	}
	for t := l.time - 1; t >= 0; t-- {
		at, active := r.offset[t], r.active(t)
		if l.all {
			l.addOutputs(r, dout, t)
		}
		for i := range active {
			k := at + i
			z := nth(r.z, k, g)
			l.cellBackward(z, nth(r.c, k, n), nth(r.tanh, k, n), nth(r.dh, i, n), nth(r.dc, i, n))
			row := int(l.row[r.names[i]*l.time+t])
			if l.embedded {
				kernels.Add(nth(r.dtable, row, g), z)
			} else {
				copy(nth(r.dtable, row, g), z)
			}
		}
		kernels.GemmPacked(active, rows(r.z, at, g), &l.packedT, rows(r.dh, 0, n), false)
		before := 0
		if t > 0 {
			before = r.active(t - 1)
		}
		for i := before; i < active; i++ {
			kernels.Add(nth(r.dPreH, t, n), r.dh[i*n:])
			kernels.Add(nth(r.dPreC, t, n), r.dc[i*n:])
		}
	}
	total := r.offset[l.time]
	kernels.Gemm(n, g, total, rows(r.h, 0, n).T(), rows(r.z, 0, g), rows(r.dU, 0, g), false)
}

// addOutputs adds the gradients of step t's outputs to those of the states after it.
func (l *lstm) addOutputs(r *run, dout []float32, t int) {
	for i, b := range r.names {
		to := nth(r.dPreH, t+1, l.units)
		if i < r.active(t) {
			to = nth(r.dh, i, l.units)
		}
		kernels.Add(to, nth(dout, l.outputRow(b, t), l.units))
	}
}

// prefixBackward walks the shared prefix once, with the gradients that arrived at each of its offsets. It sets dU.
func (l *lstm) prefixBackward() {
	p, n, g := &l.prefix, l.units, 4*l.units
	if p.steps == 0 {
		clear(l.dU)
		return
	}
	dh, dc := floats(n), floats(n)
	arrive := func(t int) {
		for _, r := range l.runs {
			kernels.Add(dh, r.dPreH[t*n:])
			kernels.Add(dc, r.dPreC[t*n:])
		}
	}
	arrive(p.steps)
	for t := p.steps - 1; t >= 0; t-- {
		z := nth(p.z, t, g)
		l.cellBackward(z, nth(p.c, t, n), nth(p.tanh, t, n), dh, dc)
		kernels.Add(l.dtable[int(l.pad)*g:][:g], z)
		kernels.GemmPacked(1, rows(z, 0, g), &l.packedT, rows(dh, 0, n), false)
		arrive(t)
	}
	l.split(n, func(_, lo, hi int) { // all steps' outer products in one
		kernels.Gemm(hi-lo, g, p.steps, columns(p.h, lo, n).T(), rows(p.z, 0, g), rows(l.dU, lo, g), false)
	})
}
