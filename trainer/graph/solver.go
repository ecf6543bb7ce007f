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

// newOptimizer makes the optimiser of a name of package trainer.
func newOptimizer(s trainer.Setup, split splitter) (optimizer, error) {
	if s.Optimizer == trainer.OptimizerRMSProp && s.WeightDecay > 0 {
		return nil, fmt.Errorf("optimizer %s has no weight decay", s.Optimizer)
	}
	b := base{Rate: s.LearningRate, split: split}
	switch s.Optimizer {
	case "", trainer.OptimizerAdam:
		return &Adam{base: b, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-7, Decay: s.WeightDecay}, nil
	case trainer.OptimizerRMSProp:
		return &RMSProp{base: b, Rho: 0.9, Epsilon: 1e-7}, nil
	}
	return nil, fmt.Errorf("unknown optimizer %q", s.Optimizer)
}

// splitter spreads work on n values over workers.
type splitter func(n int, work func(worker, lo, hi int))

// base is what optimisers share.
type base struct {
	// Rate is the step size, Steps counts the updates done, V is the running mean of each gradient's square.
	Rate  float64
	Steps int
	V     [][]float32

	split splitter
}

func (b *base) setRate(rate float64) { b.Rate = rate }

// each calls update for every parameter, in parts, and zeroes its gradient where gorgonia adds to it.
func (b *base) each(params []G.ValueGrad, update func(i int, w, grad []float32, lo, hi int)) error {
	b.Steps++
	for i, p := range params {
		w := p.Value().Data().([]float32)
		g, err := p.Grad()
		if err != nil {
			return fmt.Errorf("update parameter %d: %w", i, err)
		}
		grad := g.Data().([]float32)
		_, sole := p.(soleGradient)
		b.V = grown(b.V, i, len(w))
		b.split(len(w), func(_, lo, hi int) {
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
		list = append(list, make([]float32, n))
	}
	return list
}

// Adam is Kingma and Ba's optimiser (arXiv:1412.6980) as a gorgonia.Solver, with torch.optim.Adam's conventions. Decay
// shrinks matrices, not biases, as AdamW does.
type Adam struct {
	base
	Beta1, Beta2, Epsilon, Decay float64
	// M is the running mean of each gradient.
	M [][]float32
}

var _ optimizer = (*Adam)(nil)

// Step updates every parameter from its gradient.
func (a *Adam) Step(params []G.ValueGrad) error {
	for i, p := range params {
		a.M = grown(a.M, i, len(p.Value().Data().([]float32)))
	}
	return a.each(params, func(i int, w, grad []float32, lo, hi int) {
		decay := a.Decay
		if params[i].Value().Shape().Dims() < 2 {
			decay = 0
		}
		kernels.Adam(w, grad, a.M[i][lo:hi], a.V[i][lo:hi], a.Rate, a.Beta1, a.Beta2, a.Epsilon, decay, a.Steps)
	})
}

func (a *Adam) state() (int, [][]float32, [][]float32) { return a.Steps, a.M, a.V }

func (a *Adam) restore(steps int, m, v [][]float32) { a.Steps, a.M, a.V = steps, m, v }

// RMSProp is Hinton's optimiser (Neural Networks for Machine Learning, lecture 6) as a gorgonia.Solver, with
// torch.optim.RMSprop's conventions and Keras' defaults.
type RMSProp struct {
	base
	Rho, Epsilon float64
}

var _ optimizer = (*RMSProp)(nil)

// Step updates every parameter from its gradient.
func (r *RMSProp) Step(params []G.ValueGrad) error {
	return r.each(params, func(i int, w, grad []float32, lo, hi int) {
		kernels.RMSProp(w, grad, r.V[i][lo:hi], r.Rate, r.Rho, r.Epsilon)
	})
}

func (r *RMSProp) state() (int, [][]float32, [][]float32) { return r.Steps, nil, r.V }

func (r *RMSProp) restore(steps int, _, v [][]float32) { r.Steps, r.V = steps, v }
