package graph

import (
	"math"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/kernels"
	"github.com/degas-dns/degas/trainer"
)

// above is all ones where v > bound, else 0. With masked it does without branches, which random data would mispredict
// half the time.
func above(v, bound float32) uint32 { return uint32(int32(math.Float32bits(bound-v)) >> 31) }

// masked is v where mask is all ones, 0 where it is 0.
func masked(v float32, mask uint32) float32 { return math.Float32frombits(math.Float32bits(v) & mask) }

// threshold is Keras' ThresholdedReLU: y = x where x > theta, else 0. Inputs and output [batch, width].
type threshold struct {
	*step
	batch, width int
	theta        float32
}

func (l *threshold) forward(in []slot, out []float32) {
	l.split(l.batch, func(_, lo, hi int) {
		y := out[lo*l.width : hi*l.width]
		for i, v := range in[0].f[lo*l.width : hi*l.width] {
			y[i] = masked(v, above(v, l.theta))
		}
	})
}

func (l *threshold) backward(in []slot, dout []float32, grads [][]float32) {
	l.split(l.batch, func(_, lo, hi int) {
		x, dy, dx := in[0].f[lo*l.width:hi*l.width], dout[lo*l.width:hi*l.width], grads[0][lo*l.width:hi*l.width]
		for i, v := range x {
			dx[i] = masked(dy[i], above(v, l.theta))
		}
	})
}

// maxPool takes the maximum over windows of pool steps: x [batch·inTime, features] to [batch·outTime, features]. The
// first window begins before steps ahead of the input; what a window has outside counts for nothing. The first of equal
// values has the gradient.
//
// With thresholded set it is ThresholdedReLU too. That never decreases, so it may come last, on as many values as the
// windows leave.
type maxPool struct {
	*step
	batch, inTime, outTime, pool, before, features int
	run                                            func(name int) model.Span // equal rows of the output
	thresholded                                    bool
	theta                                          float32
	arg                                            []int32  // winner's row within the name
	live                                           []uint32 // all ones where a gradient passes the threshold
}

func newMaxPool(s *step, batch, inTime, outTime, pool, before, features int, run func(int) model.Span) *maxPool {
	return &maxPool{step: s, batch: batch, inTime: inTime, outTime: outTime, pool: pool, before: before,
		features: features, run: run, arg: make([]int32, batch*outTime*features)}
}

// withThreshold puts a ThresholdedReLU before the pooling.
func (l *maxPool) withThreshold(theta float32) {
	l.thresholded, l.theta, l.live = true, theta, make([]uint32, len(l.arg))
}

func (l *maxPool) forward(in []slot, out []float32) {
	l.split(l.batch, func(_, lo, hi int) {
		for b := lo; b < hi; b++ {
			l.forwardName(b, in[0].f, out)
		}
	})
}

func (l *maxPool) forwardName(b int, in, out []float32) {
	n := l.features
	x, run := in[b*l.inTime*n:][:l.inTime*n], l.run(b)
	for t := range l.outTime {
		at := (b*l.outTime + t) * n
		y, arg := out[at:at+n], l.arg[at:at+n]
		if run.Shared() && t > run.Lo && t < run.Hi {
			copy(y, out[(b*l.outTime+run.Lo)*n:])
			continue // its gradient goes to the span's first row
		}
		from := max(0, t*l.pool-l.before)
		copy(y, x[from*n:])
		for f := range arg {
			arg[f] = int32(from)
		}
		for r := from + 1; r < min((t+1)*l.pool-l.before, l.inTime); r++ {
			takeLarger(y, arg, nth(x, r, n), int32(r))
		}
		if l.thresholded {
			live := l.live[at : at+n]
			for f, v := range y {
				live[f] = above(v, l.theta)
				y[f] = masked(v, live[f])
			}
		}
	}
}

// takeLarger replaces y and arg by x and row wherever x is larger, without branches.
func takeLarger(y []float32, arg []int32, x []float32, row int32) {
	y, arg = y[:len(x)], arg[:len(x)]
	for f, v := range x {
		mask := int32(above(v, y[f]))
		y[f] = math.Float32frombits(math.Float32bits(y[f])&^uint32(mask) | math.Float32bits(v)&uint32(mask))
		arg[f] = arg[f]&^mask | row&mask
	}
}

// denseWindow is the longest window whose gradient is written row by row rather than scattered.
const denseWindow = 4

func (l *maxPool) backward(_ []slot, dout []float32, grads [][]float32) {
	n := l.features
	l.split(l.batch, func(_, lo, hi int) {
		clear(grads[0][lo*l.inTime*n : hi*l.inTime*n])
		for b := lo; b < hi; b++ {
			dx, run := grads[0][b*l.inTime*n:][:l.inTime*n], l.run(b)
			gatherRow(dout[b*l.outTime*n:(b+1)*l.outTime*n], run, n)
			for t := range l.outTime {
				if run.Shared() && t > run.Lo && t < run.Hi {
					continue
				}
				at := (b*l.outTime + t) * n
				dy, arg := dout[at:at+n], l.arg[at:at+n]
				if l.thresholded {
					for f, m := range l.live[at : at+n] { // dout is this layer's to spoil: nobody reads it after
						dy[f] = masked(dy[f], m)
					}
				}
				if l.pool > denseWindow {
					for f, g := range dy {
						dx[int(arg[f])*n+f] += g
					}
					continue
				}
				for r := max(0, t*l.pool-l.before); r < min((t+1)*l.pool-l.before, l.inTime); r++ {
					putWhere(nth(dx, r, n), dy, arg, int32(r))
				}
			}
		}
	})
}

// putWhere sets dx to dy where arg is row, and to 0 elsewhere.
func putWhere(dx, dy []float32, arg []int32, row int32) {
	dy, arg = dy[:len(dx)], arg[:len(dx)]
	for f := range dx {
		other := arg[f] ^ row
		dx[f] = masked(dy[f], ^uint32((other|-other)>>31))
	}
}

// concat joins vectors: inputs [batch, widths[i]], output [batch, sum of widths].
type concat struct {
	*step
	batch, width int
	widths       []int
}

func (l *concat) forward(in []slot, out []float32) {
	l.each(func(k, b int, joined []float32) { copy(joined, nth(in[k].f, b, l.widths[k])) }, out)
}

func (l *concat) backward(_ []slot, dout []float32, grads [][]float32) {
	l.each(func(k, b int, joined []float32) { copy(nth(grads[k], b, l.widths[k]), joined) }, dout)
}

// each calls do with the part of x that belongs to input k of name b.
func (l *concat) each(do func(k, b int, joined []float32), x []float32) {
	l.split(l.batch, func(_, lo, hi int) {
		for b := lo; b < hi; b++ {
			joined := nth(x, b, l.width)
			for k, w := range l.widths {
				do(k, b, joined[:w])
				joined = joined[w:]
			}
		}
	})
}

// dropout zeroes a share of the values and scales the rest by 1/(1-rate). The seed, the update's number and the layer's
// name alone decide which, so a resumed run draws what an uninterrupted one would have drawn.
type dropout struct {
	*step
	rate float64
	name string
	mask []float32
}

func (l *dropout) forward(in []slot, out []float32) {
	x := in[0].f
	if len(l.mask) != len(x) {
		l.mask = floats(len(x))
	}
	key := model.SubSeed(l.seed, "dropout/"+l.name) + l.number*0x9e3779b97f4a7c15
	scale, bound := math.Float32bits(float32(1/(1-l.rate))), int64(l.rate*(1<<32))
	l.split(len(x), func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			draw := int64(trainer.Mix(key+uint64(i)*0xd1342543de82ef95) >> 32)
			l.mask[i] = math.Float32frombits(scale &^ uint32((draw-bound)>>63))
			out[i] = x[i] * l.mask[i]
		}
	})
}

func (l *dropout) backward(_ []slot, dout []float32, grads [][]float32) {
	l.split(len(dout), func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			grads[0][i] = dout[i] * l.mask[i]
		}
	})
}

// embedding looks rows up: inputs E [codes, dim] and codes [batch·window]; output [batch·window, dim]. It is used only
// where something that is not linear reads the embedding.
type embedding struct{ dim int }

func (l *embedding) forward(in []slot, out []float32) {
	for i, c := range in[1].c {
		copy(nth(out, i, l.dim), in[0].f[int(c)*l.dim:])
	}
}

func (l *embedding) backward(in []slot, dout []float32, grads [][]float32) {
	clear(grads[0])
	for i, c := range in[1].c {
		kernels.Add(grads[0][int(c)*l.dim:][:l.dim], nth(dout, i, l.dim))
	}
}

// crossEntropy is the mean loss of logits [batch, outputs] for labels [batch], weighted a name: binary cross-entropy
// for one output, categorical for more. Names of weight 0 fill up a last batch and count for nothing.
type crossEntropy struct {
	outputs int
	goal    *goal
	grad    []float32 // [batch, outputs]: of the loss by the logits
}

// goal is what a batch's names are to come out as.
type goal struct {
	smooth, share float64   // label smoothing; the teacher's share of a target
	taught        []float32 // [batch, labels]: the teacher's probabilities; empty without a teacher
}

// target is the target of a name's output k of so many labels.
func (g *goal) target(name, label, k, labels int) float64 {
	y := smoothed(label, k, labels, g.smooth)
	if len(g.taught) > 0 {
		y += g.share * (float64(g.taught[name*labels+k]) - y)
	}
	return y
}

func (l *crossEntropy) forward(in []slot, out []float32) {
	logits, labels, weights := in[0].f, in[1].i, in[2].f
	var total, loss float64
	for _, w := range weights {
		total += float64(w)
	}
	for b, label := range labels {
		share := float64(weights[b]) / total
		z := nth(logits, b, l.outputs)
		loss += share * nameLoss(z, func(k, labels int) float64 { return l.goal.target(b, label, k, labels) },
			nth(l.grad, b, l.outputs), share)
	}
	for i, g := range l.grad {
		if math.Abs(float64(g)) < nothing {
			l.grad[i] = 0
		}
	}
	out[0] = float32(loss)
}

// nothing is a gradient too small to move a weight: its root is far below the optimisers' epsilon. Once a model is sure
// of everything, all gradients are, and products of subnormal numbers cost an Intel core a hundred cycles each.
const nothing = 1e-20

// smoothed is the target of output k for a label: 1 for its own and 0 for others, of which a share goes to all alike.
func smoothed(label, k, labels int, share float64) float64 {
	y := share / float64(labels)
	if k == label {
		y += 1 - share
	}
	return y
}

// nameLoss is one name's cross-entropy with the target of each label; grad receives its gradient times share.
func nameLoss(z []float32, target func(k, labels int) float64, grad []float32, share float64) float64 {
	if len(z) == 1 {
		x, y := float64(z[0]), target(1, 2)
		p := 1 / (1 + math.Exp(-x))
		grad[0] = float32((p - y) * share)
		// softplus(x) - y·x without overflow
		return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) - y*x
	}
	top := z[0]
	for _, v := range z {
		top = max(top, v)
	}
	var sum float64
	for _, v := range z {
		sum += math.Exp(float64(v - top))
	}
	loss := math.Log(sum)
	for i, v := range z {
		y := target(i, len(z))
		grad[i] = float32((math.Exp(float64(v-top))/sum - y) * share)
		loss -= y * float64(v-top)
	}
	return loss
}

func (l *crossEntropy) backward(_ []slot, dout []float32, grads [][]float32) {
	for i, g := range l.grad {
		grads[0][i] = g * dout[0]
	}
	clear(grads[2])
}
