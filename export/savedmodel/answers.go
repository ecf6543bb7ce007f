package savedmodel

import (
	"fmt"
	"math"

	"github.com/degas-dns/degas/model"
)

// answers adds what a signature returns besides the head: score, scores and label.
func (b *builder) answers(list []model.Node) []TensorInfo {
	head := list[len(list)-1]
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
	return []TensorInfo{
		{"score", score, typeFloat, []int{-1, 1}},
		{"scores", scores, typeFloat, []int{-1, len(labels)}},
		{"label", b.label(score, benign, scores), typeString, []int{-1}},
	}
}

// originalAnswer is the one output of the original degas: the head's tensor under its own name.
func (b *builder) originalAnswer(list []model.Node) []TensorInfo {
	head := list[len(list)-1]
	p := b.values[head.Name].tensor
	return []TensorInfo{{p + ":0", p, typeFloat, []int{-1, head.Shape[0]}}}
}

// rest is 1 - x.
func (b *builder) rest(name, x string) string {
	return b.op("Sub", name, []string{b.floats("const/1.0", nil, []float32{1}), x}, attributes{"T": typeFloat})
}

// column is column i of x, [batch, 1].
func (b *builder) column(name, x string, i int) string {
	ints := func(name string, v ...int32) string { return b.int32s(name, []int{2}, v...) }
	from, size := ints(fmt.Sprintf("const/column_%d", i), 0, int32(i)), ints("const/column_size", -1, 1)
	return b.op("Slice", name, []string{x, from, size}, attributes{"T": typeFloat, "Index": typeInt32})
}

// label names the verdict as model.Judge does: benign below the threshold, else the likeliest of the other labels, the first
// among equals.
func (b *builder) label(score, benign, scores string) string {
	labels := b.m.Spec.Labels
	names := b.constant("const/labels", tensor{kind: typeString, shape: []int{len(labels)}, strings: labels})
	var above string
	if len(labels) == 2 {
		above = b.op("GreaterEqual", "answers/above", []string{score, b.floats("const/threshold", nil, []float32{notBelow(b.m.Threshold)})}, attributes{"T": typeFloat})
	} else { // a float32 has fewer digits for 1 - P(benign) than for P(benign)
		above = b.op("LessEqual", "answers/above", []string{benign, b.floats("const/threshold", nil, []float32{benignUpTo(b.m.Threshold)})}, attributes{"T": typeFloat})
	}
	index := b.op("Cast", "answers/verdict", []string{above}, attributes{"SrcT": typeBool, "DstT": typeInt32})
	flat := b.op("Squeeze", "answers/verdicts", []string{index}, attributes{"T": typeInt32, "squeeze_dims": intsValue{1}})
	if len(labels) > 2 {
		ints := func(name string, v ...int32) string { return b.int32s(name, []int{2}, v...) }
		others := b.op("Slice", "answers/others", []string{scores, ints("const/others", 0, 1), ints("const/others_size", -1, -1)}, attributes{"T": typeFloat, "Index": typeInt32})
		best := b.op("ArgMax", "answers/best", []string{others, b.number(1)}, attributes{"T": typeFloat, "Tidx": typeInt32, "output_type": typeInt32})
		after := b.op("AddV2", "answers/likeliest", []string{best, b.number(1)}, attributes{"T": typeInt32})
		flat = b.op("Mul", "answers/index", []string{flat, after}, attributes{"T": typeInt32})
	}
	return b.gather("answers/label", names, flat, typeString)
}

// benignUpTo is the highest P(benign) whose score reaches a threshold.
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

// notBelow is the least float32 that is not below x: a float32 score reaches it exactly when it reaches x.
func notBelow(x float64) float32 {
	f := float32(x)
	if float64(f) < x {
		f = math.Nextafter32(f, 2)
	}
	return f
}
