package graph

import (
	"fmt"

	"github.com/degas-dns/degas/model/kernels"
	"github.com/degas-dns/degas/trainer"
	G "gorgonia.org/gorgonia"
)

// optimizer is a gorgonia.Solver that makes one pass over the memory and whose state can be saved. Gradients that
// gorgonia accumulates are zeroed after use.
type optimizer interface {
	G.Solver
	setRate(rate float64)
	// state are the updates done and the moments of the parameters, in the order they are given to Step. They are the
	// optimiser's own; an optimiser without a moment gives nil for it.
	state() (steps int, m, v [][]float32)
	restore(steps int, m, v [][]float32)
}

// newOptimizer makes the optimiser that a setup asks for.
func newOptimizer(s trainer.Setup, workers *step) optimizer {
	b := base{workers: workers, rate: s.LearningRate}
	if s.Optimizer == trainer.OptimizerRMSProp {
		return &rmsProp{b}
	}
	return &adam{base: b, decay: s.WeightDecay}
}

// base is what optimisers share.
type base struct {
	workers *step
	rate    float64
	steps   int         // updates done
	v       [][]float32 // the running mean of each gradient's square
}

func (b *base) setRate(rate float64) { b.rate = rate }

// each calls update for every parameter, in parts, and zeroes its gradient where gorgonia adds to it.
func (b *base) each(params []G.ValueGrad, update func(i int, w, grad []float32, lo, hi int)) error {
	b.steps++
	for i, p := range params {
		w := p.Value().Data().([]float32)
		g, err := p.Grad()
		if err != nil {
			return fmt.Errorf("update parameter %d: %w", i, err)
		}
		grad := g.Data().([]float32)
		_, sole := p.(soleGradient)
		b.v = grown(b.v, i, len(w))
		b.workers.split(len(w), func(_, lo, hi int) {
			update(i, w[lo:hi], grad[lo:hi], lo, hi)
			if !sole {
				clear(grad[lo:hi])
			}
		})
	}
	return nil
}

// grown makes sure that list has an i-th element, of n zeros when it is new.
func grown(list [][]float32, i, n int) [][]float32 {
	if len(list) <= i {
		list = append(list, floats(n))
	}
	return list
}

// epsilon is both optimisers'.
const epsilon = 1e-7

// adam is Kingma and Ba's optimiser (arXiv:1412.6980) as a gorgonia.Solver, with torch.optim.Adam's conventions. decay
// shrinks matrices, not biases, as AdamW does.
type adam struct {
	base
	decay float64
	m     [][]float32 // the running mean of each gradient
}

func (a *adam) Step(params []G.ValueGrad) error {
	for i, p := range params {
		a.m = grown(a.m, i, len(p.Value().Data().([]float32)))
	}
	return a.each(params, func(i int, w, grad []float32, lo, hi int) {
		decay := a.decay
		if params[i].Value().Shape().Dims() < 2 {
			decay = 0
		}
		kernels.Adam(w, grad, a.m[i][lo:hi], a.v[i][lo:hi], a.rate, 0.9, 0.999, epsilon, decay, a.steps)
	})
}

func (a *adam) state() (int, [][]float32, [][]float32) { return a.steps, a.m, a.v }

func (a *adam) restore(steps int, m, v [][]float32) { a.steps, a.m, a.v = steps, m, v }

// rmsProp is Hinton's optimiser (Neural Networks for Machine Learning, lecture 6) as a gorgonia.Solver, with
// torch.optim.RMSprop's conventions and Keras' defaults.
type rmsProp struct{ base }

func (r *rmsProp) Step(params []G.ValueGrad) error {
	return r.each(params, func(i int, w, grad []float32, lo, hi int) {
		kernels.RMSProp(w, grad, r.v[i][lo:hi], r.rate, 0.9, epsilon)
	})
}

func (r *rmsProp) state() (int, [][]float32, [][]float32) { return r.steps, nil, r.v }

func (r *rmsProp) restore(steps int, _, v [][]float32) { r.steps, r.v = steps, v }
