package trainer

import "math"

// Class weights.
const (
	WeightNone     = "none"
	WeightBalanced = "balanced"
	WeightFamily   = "family"
)

// weights gives each kind's names their weight: 1 with WeightNone; n / (labels · count) with WeightBalanced, so that
// every label weighs the same in sum; with WeightFamily by the inverse root of the kind's size, 1 on average over a
// label, so that large families do not drown small ones.
func (k *kinds) weights(labels int, how string) []float32 {
	counts, all, used := make([]int, labels), 0, 0
	roots := make([]float64, labels) // sum over a label's names of their kind's inverse root
	for i, x := range k.list {
		counts[x.label] += k.sizes[i]
		all += k.sizes[i]
		roots[x.label] += math.Sqrt(float64(k.sizes[i]))
	}
	for _, c := range counts {
		if c > 0 {
			used++
		}
	}
	out := make([]float32, len(k.list))
	for i, x := range k.list {
		switch how {
		case WeightBalanced:
			out[i] = float32(float64(all) / float64(used*counts[x.label]))
		case WeightFamily:
			out[i] = float32(float64(counts[x.label]) / roots[x.label] / math.Sqrt(float64(k.sizes[i])))
		default:
			out[i] = 1
		}
	}
	return out
}
