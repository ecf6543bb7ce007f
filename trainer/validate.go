package trainer

import (
	"context"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// validationChunk is the names scored between two looks at the context.
const validationChunk = 1 << 14

// validate scores set, width probabilities a name, and fills in e's validation fields. It returns the scores, sorted,
// and which names are malicious.
func validate(ctx context.Context, c scorer, width int, set *Set, e *Epoch) (scores []float64, malicious []bool,
	err error) {
	names := make([]string, 0, validationChunk)
	p := make([]float32, validationChunk*width)
	scores, malicious = make([]float64, 0, set.Len()), make([]bool, 0, set.Len())
	var loss float64
	right := 0
	for lo := 0; lo < set.Len(); lo += validationChunk {
		names = names[:0]
		for i := lo; i < min(lo+validationChunk, set.Len()); i++ {
			names = append(names, set.Name(i))
		}
		if err := c.ProbabilitiesFolded(ctx, names, p); err != nil {
			return nil, nil, err
		}
		for i := range names {
			row, label := p[i*width:(i+1)*width], set.Label(lo+i)
			loss -= math.Log(max(float64(row[label]), 1e-12))
			if slices.Index(row, slices.Max(row)) == label {
				right++
			}
			scores = append(scores, 1-float64(row[0]))
			malicious = append(malicious, label != 0)
		}
	}
	n := float64(set.Len())
	e.ValidationLoss, e.ValidationAccuracy, e.ValidationAUC = loss/n, float64(right)/n, auc(scores, malicious)
	return scores, malicious, nil
}

// auc is the area under the ROC curve, 0 when one class is missing. It sorts its arguments. It gives what the packages
// stat and integrate of gonum do, which take 32 bytes a name for it.
func auc(scores []float64, positive []bool) float64 {
	if !slices.Contains(positive, true) || !slices.Contains(positive, false) {
		return 0
	}
	stat.SortWeightedLabeled(scores, positive, nil)
	var below [2]float64 // negatives and positives below the threshold, which goes down
	for _, p := range positive {
		below[class(p)]++
	}
	each := [2]float64{1 / below[0], 1 / below[1]}
	rate := func(c int) float64 { return 1 - float64(below[c]*each[c]) } // of those that are not below it
	fpr, tpr, area := rate(0), rate(1), 0.0
	for i := len(scores) - 1; i >= 0; i-- {
		if below[class(positive[i])]--; i > 0 && scores[i-1] == scores[i] {
			continue
		}
		nextFPR, nextTPR := rate(0), rate(1)
		area += 0.5 * (nextFPR - fpr) * (nextTPR + tpr)
		fpr, tpr = nextFPR, nextTPR
	}
	return area
}

func class(positive bool) int {
	if positive {
		return 1
	}
	return 0
}
