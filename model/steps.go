package model

import (
	"math"
	"slices"

	"github.com/degas-dns/degas/model/kernels"
)

type embedStep struct {
	out, window int
	table       *Tensor
}

func (st *embedStep) run(s *scratch, n int) {
	dim := st.table.Shape[1]
	y := s.values[st.out]
	for i, c := range s.codes[:n*st.window] {
		copy(y[i*dim:(i+1)*dim], st.table.Data[int(c)*dim:])
	}
}

// equalRows knows which rows of a step's output are equal because they depend on padding alone.
type equalRows struct {
	*compiled
	follow func(Span) Span // from the padding of the window to equal rows; nil if there are none
}

// of returns the span of equal rows of the i-th name.
func (e equalRows) of(s *scratch, i int) Span {
	if e.follow == nil {
		return Span{}
	}
	return e.follow(PaddingSpan(e.window, s.chars[i], e.left))
}

// convStep is a convolution over [inTime, features]. left zero columns precede the input.
type convStep struct {
	equalRows
	in, out         int
	kernel, filters int
	left            int
	inTime, outTime int
	depth           int              // features of the input
	weights         []kernels.Packed // by offset of the kernel: [depth, filters]
	table           []float32        // folded: [codes, kernel·filters]
	bias            []float32
	activation      string
}

func (st *convStep) run(s *scratch, n int) {
	for i := range n {
		x := s.values[st.in][i*st.inTime*st.depth:][:st.inTime*st.depth]
		y := s.values[st.out][i*st.outTime*st.filters:][:st.outTime*st.filters]
		same := st.of(s, i)
		for _, part := range same.Segments(st.outTime) {
			st.rows(x, y, part)
			activate(y[part.Lo*st.filters:part.Hi*st.filters], st.activation)
		}
		same.Repeat(y, st.filters)
	}
}

func (st *convStep) rows(x, y []float32, part Span) {
	fillRows(y[part.Lo*st.filters:part.Hi*st.filters], st.bias)
	for j := range st.kernel {
		// offset j of the kernel meets input row t+j-left at output row t
		from, to := max(part.Lo, st.left-j), min(part.Hi, st.inTime+st.left-j)
		if to <= from {
			continue
		}
		kernels.GemmPacked(to-from, matrix(x[(from+j-st.left)*st.depth:], st.depth), &st.weights[j],
			matrix(y[from*st.filters:], st.filters), true)
	}
}

func (st *convStep) pack(kernel *Tensor) {
	st.depth = kernel.Shape[1]
	st.weights = make([]kernels.Packed, st.kernel)
	for j := range st.weights {
		st.weights[j].Pack(st.depth, st.filters, matrix(kernel.Data[j*st.depth*st.filters:], st.filters))
	}
}

// foldedConvStep is a convolution of the embedding by table look-up.
type foldedConvStep struct{ convStep }

func (st *foldedConvStep) run(s *scratch, n int) {
	for i := range n {
		codes := s.codes[i*st.inTime:][:st.inTime]
		y := s.values[st.out][i*st.outTime*st.filters:][:st.outTime*st.filters]
		same := st.of(s, i)
		for _, part := range same.Segments(st.outTime) {
			for t := part.Lo; t < part.Hi; t++ {
				st.row(codes, t, y[t*st.filters:(t+1)*st.filters])
			}
			activate(y[part.Lo*st.filters:part.Hi*st.filters], st.activation)
		}
		same.Repeat(y, st.filters)
	}
}

func (st *foldedConvStep) row(codes []uint16, t int, y []float32) {
	copy(y, st.bias)
	for j := range st.kernel {
		if at := t + j - st.left; at >= 0 && at < st.inTime {
			kernels.Add(y, st.table[(int(codes[at])*st.kernel+j)*st.filters:][:st.filters])
		}
	}
}

// convMaxStep is a valid convolution of the embedding with ReLU and a maximum over time.
type convMaxStep struct {
	convStep
	leftPadded bool
}

func (st *convMaxStep) run(s *scratch, n int) {
	s.arg = slices.Grow(s.arg[:0], st.filters)[:st.filters]
	for i := range n {
		y := s.values[st.out][i*st.filters:][:st.filters]
		codes, from := TrimPadding(s.codes[i*st.inTime:][:st.inTime], s.chars[i], st.kernel, st.leftPadded)
		kernels.ConvMax(st.table, st.kernel, st.filters, codes, from, y, s.arg)
		kernels.Add(y, st.bias)
		kernels.ReLU(y)
	}
}

// TrimPadding returns the codes that a convolution has to walk and the first position. Windows that lie wholly in
// padding are equal, so it leaves out all of them but one. chars is the number of codes that are no padding.
func TrimPadding(codes []uint16, chars, kernel int, left bool) (walk []uint16, from int) {
	if left {
		return codes, max(0, len(codes)-chars-kernel)
	}
	return codes[:min(len(codes), chars+kernel)], 0
}

// thresholdStep works on [time, features]. A flat vector has one time step.
type thresholdStep struct {
	equalRows
	in, out        int
	time, features int
	theta          float32
}

func newThresholdStep(same equalRows, in, out int, shape []int, theta float64) *thresholdStep {
	st := &thresholdStep{equalRows: same, in: in, out: out, time: 1, features: sizeOf(shape), theta: float32(theta)}
	if len(shape) == 2 {
		st.time, st.features = shape[0], shape[1]
	}
	return st
}

func (st *thresholdStep) run(s *scratch, n int) {
	width := st.time * st.features
	for i := range n {
		x, y := s.values[st.in][i*width:(i+1)*width], s.values[st.out][i*width:(i+1)*width]
		same := st.of(s, i)
		for _, part := range same.Segments(st.time) {
			from, to := part.Lo*st.features, part.Hi*st.features
			out := y[from:to]
			for k, v := range x[from:to] { // without a branch, which would be mispredicted half the time
				mask := uint32(int32(math.Float32bits(st.theta-v)) >> 31)
				out[k] = math.Float32frombits(math.Float32bits(v) & mask)
			}
		}
		same.Repeat(y, st.features)
	}
}

type poolStep struct {
	equalRows
	in, out        int
	time, features int
	outTime, pool  int
	before         int // steps of the first window that lie before the input
}

func (st *poolStep) run(s *scratch, n int) {
	for i := range n {
		x := s.values[st.in][i*st.time*st.features:][:st.time*st.features]
		out := s.values[st.out][i*st.outTime*st.features:][:st.outTime*st.features]
		same := st.of(s, i)
		for _, part := range same.Segments(st.outTime) {
			for t := part.Lo; t < part.Hi; t++ {
				st.row(x, t, out[t*st.features:(t+1)*st.features])
			}
		}
		same.Repeat(out, st.features)
	}
}

func (st *poolStep) row(x []float32, t int, y []float32) {
	from := max(0, t*st.pool-st.before)
	copy(y, x[from*st.features:])
	for r := from + 1; r < min((t+1)*st.pool-st.before, st.time); r++ {
		for f, v := range x[r*st.features:][:st.features] {
			y[f] = max(y[f], v)
		}
	}
}

type denseStep struct {
	in, out      int
	width, units int
	kernel       kernels.Packed // [width, units]
	bias         []float32
	activation   string
}

func (st *denseStep) run(s *scratch, n int) {
	y := s.values[st.out][:n*st.units]
	fillRows(y, st.bias)
	kernels.GemmPacked(n, matrix(s.values[st.in], st.width), &st.kernel, matrix(y, st.units), true)
	if st.activation == Softmax {
		softmaxRows(y, st.units)
		return
	}
	activate(y, st.activation)
}

type concatStep struct {
	in, widths []int
	out, width int
}

func (st *concatStep) run(s *scratch, n int) {
	y := s.values[st.out]
	at := 0
	for k, in := range st.in {
		w := st.widths[k]
		for i := range n {
			copy(y[i*st.width+at:], s.values[in][i*w:(i+1)*w])
		}
		at += w
	}
}

// lstmStep is one direction of an LSTM. If it reads the embedding, the input half of its gates comes from a table.
type lstmStep struct {
	in, out       int
	offset, width int // where the output goes: [n, width] or [n, time, width] at offset
	units, time   int
	kernel        *Tensor
	recurrent     kernels.Packed
	bias          []float32
	table         []float32 // folded: [codes, 4·units]
	backward      bool
	clip          bool // the gates' activation
	all           bool // the output is that of every step
	// prefixH and prefixC, [time+1, units], are the states after each number of padding codes. A name that is padded on
	// the left starts from the state at its own first character.
	prefixH, prefixC []float32
}

// lstmBlock is how many names an LSTM steps at a time: few enough that their gates are still in the nearest cache when
// the product is done and the cells begin.
const lstmBlock = 48

type lstmScratch struct {
	order   []int
	start   []int
	z       []float32 // [lstmBlock, 4·units]
	h, c, x []float32
}

// prefix runs the LSTM over padding alone. row is a padding code's share of the gates.
func (st *lstmStep) prefix(window int, row []float32) {
	u := st.units
	st.prefixH, st.prefixC = make([]float32, (window+1)*u), make([]float32, (window+1)*u)
	z := make([]float32, 4*u)
	for t := range window {
		c := st.prefixC[(t+1)*u : (t+2)*u]
		copy(c, st.prefixC[t*u:])
		st.recur(1, st.prefixH[t*u:], z)
		st.cell(row, z, c, st.prefixH[(t+1)*u:(t+2)*u])
	}
}

// recur writes the recurrent product of n states to z, [n, 4·units].
func (st *lstmStep) recur(n int, h, z []float32) {
	u := st.units
	kernels.GemmPacked(n, matrix(h, u), &st.recurrent, matrix(z, 4*u), false)
}

// cell is kernels.LSTMInfer for the gates' activation.
func (st *lstmStep) cell(x, z, c, h []float32) {
	if !st.clip {
		kernels.LSTMInfer(x, z, c, h)
		return
	}
	kernels.Add(z, x)
	kernels.ClipLSTMForward(z, c, c, h, h)
}

func (st *lstmStep) run(s *scratch, n int) {
	u, l := st.units, &s.lstm
	l.grow(n, u)
	st.sort(s, n)
	x := st.project(s, n)
	active := 0
	for t := range st.time {
		for ; active < n && l.start[l.order[active]] <= t; active++ {
			h, c := l.h[active*u:(active+1)*u], l.c[active*u:(active+1)*u]
			if st.prefixH == nil {
				clear(h)
				clear(c)
				continue
			}
			copy(h, st.prefixH[t*u:(t+1)*u])
			copy(c, st.prefixC[t*u:(t+1)*u])
		}
		for from := 0; from < active; from += lstmBlock {
			n := min(lstmBlock, active-from)
			st.recur(n, l.h[from*u:], l.z)
			for r := from; r < from+n; r++ {
				z, c, h := l.z[(r-from)*4*u:][:4*u], l.c[r*u:(r+1)*u], l.h[r*u:(r+1)*u]
				st.cell(st.gates(s, x, l.order[r], t), z, c, h)
			}
		}
		if st.all {
			st.keep(s, n, t, active)
		}
	}
	if st.all {
		return
	}
	y := s.values[st.out]
	for r, i := range l.order[:n] {
		h := l.h[r*u : (r+1)*u]
		if r >= active { // all padding
			h = st.prefixH[st.time*u:]
		}
		copy(y[i*st.width+st.offset:], h)
	}
}

// keep writes the output of step t. Names that are not active yet have that of the prefix.
func (st *lstmStep) keep(s *scratch, n, t, active int) {
	u, at := st.units, t
	if st.backward {
		at = st.time - 1 - t
	}
	for r, i := range s.lstm.order[:n] {
		h := s.lstm.h[r*u : (r+1)*u]
		if r >= active {
			h = st.prefixH[(t+1)*u : (t+2)*u]
		}
		copy(s.values[st.out][(i*st.time+at)*st.width+st.offset:], h)
	}
}

// sort orders names by the step of their first character. Without a shared prefix all start at 0.
func (st *lstmStep) sort(s *scratch, n int) {
	l := &s.lstm
	for i := range n {
		l.start[i] = 0
		if st.prefixH != nil {
			l.start[i] = st.time - s.chars[i]
		}
	}
	at := 0
	for t := 0; t <= st.time && at < n; t++ {
		for i := range n {
			if l.start[i] == t {
				l.order[at] = i
				at++
			}
		}
	}
}

// project computes the input half of the gates, [n, time, 4·units], for an input that is no embedding.
func (st *lstmStep) project(s *scratch, n int) []float32 {
	if st.table != nil {
		return nil
	}
	in, l := st.kernel.Shape[0], &s.lstm
	g := 4 * st.units
	l.x = slices.Grow(l.x[:0], n*st.time*g)[:n*st.time*g]
	fillRows(l.x, st.bias)
	kernels.Gemm(n*st.time, g, in, matrix(s.values[st.in], in), matrix(st.kernel.Data, g), matrix(l.x, g), true)
	return l.x
}

// gates returns the input half of name i's gates at step t.
func (st *lstmStep) gates(s *scratch, x []float32, i, t int) []float32 {
	if st.backward {
		t = st.time - 1 - t
	}
	g := 4 * st.units
	if st.table != nil {
		return st.table[int(s.codes[i*st.time+t])*g:][:g]
	}
	return x[(i*st.time+t)*g:][:g]
}

func (l *lstmScratch) grow(n, units int) {
	if len(l.order) < n {
		l.order, l.start = make([]int, n), make([]int, n)
	}
	if len(l.h) < n*units {
		l.z = make([]float32, 4*lstmBlock*units)
		l.h, l.c = make([]float32, n*units), make([]float32, n*units)
	}
}

// gruStep is one direction of a gru.
type gruStep struct {
	in, out           int
	offset, width     int // as in lstmStep
	units, time       int
	backward, all     bool
	resetAfter        bool
	activation        string         // of the gates
	kernel            *Tensor        // [in, 3·units]: z, r, h
	gates, candidates kernels.Packed // of the state: [units, 2·units] and [units, units]
	bias, after       []float32      // [3·units], and that of a product behind which the reset gate is, [units]
}

func (st *gruStep) run(s *scratch, n int) {
	u, g, in := st.units, 3*st.units, st.kernel.Shape[0]
	for i, size := range []int{2 * n * u, n * u, n * u, n * u, n * st.time * g} {
		s.gru[i] = slices.Grow(s.gru[i][:0], size)[:size]
	}
	zr, h, state, product, x := s.gru[0], s.gru[1], s.gru[2], s.gru[3], s.gru[4]
	fillRows(x, st.bias)
	kernels.Gemm(n*st.time, g, in, matrix(s.values[st.in], in), matrix(st.kernel.Data, g), matrix(x, g), true)
	clear(h)
	for step := range st.time {
		t := step
		if st.backward {
			t = st.time - 1 - step
		}
		kernels.GemmPacked(n, matrix(h, u), &st.gates, matrix(zr, 2*u), false)
		copy(state, h)
		for i := range n {
			gates := zr[i*2*u:][:2*u]
			kernels.Add(gates, x[(i*st.time+t)*g:])
			activate(gates, st.activation)
			if !st.resetAfter {
				multiply(state[i*u:][:u], gates[u:])
			}
		}
		kernels.GemmPacked(n, matrix(state, u), &st.candidates, matrix(product, u), false)
		for i := range n {
			row := h[i*u:][:u]
			st.update(row, zr[i*2*u:][:2*u], product[i*u:][:u], x[(i*st.time+t)*g+2*u:][:u])
			if at := i*st.time + t; st.all {
				copy(s.values[st.out][at*st.width+st.offset:], row)
			} else if step == st.time-1 {
				copy(s.values[st.out][i*st.width+st.offset:], row)
			}
		}
	}
}

// update turns a name's state h into the next one. x is the input's share of the candidates.
func (st *gruStep) update(h, gates, product, x []float32) {
	if st.resetAfter {
		kernels.Add(product, st.after)
		multiply(product, gates[st.units:])
	}
	for q, z := range gates[:st.units] {
		h[q] = z*h[q] + (1-z)*kernels.Tanh(x[q]+product[q])
	}
}

// multiply computes dst *= src.
func multiply(dst, src []float32) {
	for i := range dst {
		dst[i] *= src[i]
	}
}

func fillRows(y, bias []float32) {
	for lo := 0; lo < len(y); lo += len(bias) {
		copy(y[lo:], bias)
	}
}

func activate(x []float32, activation string) {
	switch activation {
	case ReLU:
		kernels.ReLU(x)
	case Tanh:
		for i, v := range x {
			x[i] = kernels.Tanh(v)
		}
	case Sigmoid:
		for i, v := range x {
			x[i] = kernels.Logistic(v)
		}
	case Clip:
		for i, v := range x {
			x[i] = min(max(v, 0), 1)
		}
	}
}
