package savedmodel

import (
	"fmt"
	"math"

	"github.com/degas-dns/degas/model"
)

// answers adds what a signature returns besides the head's probabilities. Package tfserving names the tensors.
func (b *builder) answers(head model.Node) {
	labels := b.m.Spec.Labels
	p := b.values[head.Name].tensor
	score, scores, benign := p, p, ""
	switch {
	case head.Layer.Activation == model.Sigmoid:
		scores = b.concat("answers/scores", 1, b.rest("answers/benign", p), p)
	case len(labels) == 2:
		score = b.column("answers/score", p, 1)
	default:
		benign = b.column("answers/benign", p, 0)
		score = b.rest("answers/score", benign)
	}
	b.label(score, benign, scores)
}

// rest is 1 - x.
func (b *builder) rest(name, x string) string {
	return b.op("Sub", name, ofFloats, b.scalar("const/1.0", 1), x)
}

// slice takes a number of columns, -1 for all, of x, [batch, …], from the given one on. The constants with the start
// and the size are called from and size.
func (b *builder) slice(name, x, from string, column int, size string, columns int) string {
	pair := func(name string, rows, columns int) string {
		return b.int32s(name, int32(rows), int32(columns))
	}
	return b.op("Slice", name, attributes{"T": typeFloat, "Index": typeInt32},
		x, pair(from, 0, column), pair(size, -1, columns))
}

// column is column i of x, [batch, 1].
func (b *builder) column(name, x string, i int) string {
	return b.slice(name, x, fmt.Sprintf("const/column_%d", i), i, "const/column_size", 1)
}

// label names the label as model.LabelOf does: benign below the threshold, else the most likely of the other labels.
// Among equals the first wins.
func (b *builder) label(score, benign, scores string) {
	labels := b.m.Spec.Labels
	names := b.constant("const/labels", tensor{kind: typeString, shape: []int{len(labels)}, strings: labels})
	compare, compared, bound := "GreaterEqual", score, notBelow(b.m.Threshold)
	if len(labels) > 2 { // a float32 has fewer digits for 1 - P(benign) than for P(benign)
		compare, compared, bound = "LessEqual", benign, benignUpTo(b.m.Threshold)
	}
	above := b.op(compare, "answers/above", ofFloats, compared, b.scalar("const/threshold", bound))
	index := b.op("Cast", "answers/verdict", attributes{"SrcT": typeBool, "DstT": typeInt32}, above)
	flat := b.op("Squeeze", "answers/verdicts", attributes{"T": typeInt32, "squeeze_dims": intsValue{1}}, index)
	if len(labels) > 2 {
		others := b.slice("answers/others", scores, "const/others", 1, "const/others_size", -1)
		best := b.op("ArgMax", "answers/best",
			attributes{"T": typeFloat, "Tidx": typeInt32, "output_type": typeInt32}, others, b.number(1))
		after := b.op("AddV2", "answers/likeliest", ofInts, best, b.number(1))
		flat = b.op("Mul", "answers/index", ofInts, flat, after)
	}
	b.gather("answers/label", names, flat, typeString)
}

// benignUpTo returns the highest P(benign) whose score reaches a threshold.
func benignUpTo(threshold float64) float32 {
	p := float32(1 - threshold)
	for 1-float64(p) < threshold {
		p = math.Nextafter32(p, 0)
	}
	for next := math.Nextafter32(p, 2); 1-float64(next) >= threshold; next = math.Nextafter32(p, 2) {
		p = next
	}
	return p
}

// notBelow returns the least float32 that is not below x. A float32 score reaches it exactly when it reaches x.
func notBelow(x float64) float32 {
	f := float32(x)
	if float64(f) < x {
		f = math.Nextafter32(f, 2)
	}
	return f
}
