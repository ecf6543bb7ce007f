package trainer

import "math"

// Class weights.
const (
	WeightNone     = "none"
	WeightBalanced = "balanced"
	WeightFamily   = "family"
)

// weights gives each group's names their weight: 1 with WeightNone; n / (labels · count) with WeightBalanced, so that
// every label weighs the same in sum; with WeightFamily by the inverse root of the group's size, 1 on average over a
// label, so that large families do not drown small ones.
func (s *Set) weights(labels int, how string) []float32 {
	var sizes, of []int // names and label of each group
	for i, g := range s.groups {
		for int(g) >= len(sizes) {
			sizes, of = append(sizes, 0), append(of, 0)
		}
		sizes[g]++
		of[g] = int(s.labels[i])
	}
	counts, used := make([]int, labels), 0
	roots := make([]float64, labels) // sum over a label's names of their group's inverse root
	for g, n := range sizes {
		counts[of[g]] += n
		roots[of[g]] += math.Sqrt(float64(n))
	}
	for _, c := range counts {
		if c > 0 {
			used++
		}
	}
	out := make([]float32, len(sizes))
	for g, n := range sizes {
		switch l := of[g]; {
		case how == WeightBalanced && n > 0:
			out[g] = float32(float64(s.Len()) / float64(used*counts[l]))
		case how == WeightFamily && n > 0:
			out[g] = float32(float64(counts[l]) / roots[l] / math.Sqrt(float64(n)))
		default:
			out[g] = 1
		}
	}
	return out
}
