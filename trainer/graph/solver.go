package graph

import (
	"fmt"

	"github.com/degas-dns/degas/model/kernels"
	G "gorgonia.org/gorgonia"
)

// Adam is Kingma and Ba's optimiser (arXiv:1412.6980) as a gorgonia.Solver, with torch.optim.Adam's conventions, one
// pass over the memory and a state that can be saved. Gradients are zeroed after use: gorgonia accumulates into them.
type Adam struct {
	Rate, Beta1, Beta2, Epsilon float64
	// Steps counts the updates done.
	Steps int
	// M and V are the running moments of the parameters, in the order they are given to Step.
	M, V [][]float32

	split func(n int, work func(worker, lo, hi int))
}

var _ G.Solver = (*Adam)(nil)

// Step updates every parameter from its gradient.
func (a *Adam) Step(params []G.ValueGrad) error {
	a.Steps++
	for i, p := range params {
		w := p.Value().Data().([]float32)
		g, err := p.Grad()
		if err != nil {
			return fmt.Errorf("adam: parameter %d: %w", i, err)
		}
		grad := g.Data().([]float32)
		if len(a.M) <= i {
			a.M, a.V = append(a.M, make([]float32, len(w))), append(a.V, make([]float32, len(w)))
		}
		a.split(len(w), func(_, lo, hi int) {
			kernels.Adam(w[lo:hi], grad[lo:hi], a.M[i][lo:hi], a.V[i][lo:hi], a.Rate, a.Beta1, a.Beta2, a.Epsilon, a.Steps)
			clear(grad[lo:hi])
		})
	}
	return nil
}
