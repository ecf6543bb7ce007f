package graph

import (
	"slices"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/kernels"
)

// span is a range of time steps [lo, hi) of one sample in which all rows are equal, because all that they depend on is
// padding. Empty when hi <= lo.
//
// Equal rows need computing once. On the way back only the sum of their gradients matters, wherever within the span it
// lies: they are the same function of the same input. This is exact.
type span struct{ lo, hi int }

// shared reports whether the span saves anything.
func (s span) shared() bool { return s.hi-s.lo > 1 }

// segments are the rows of time that have to be computed: all but the repetitions within the span.
func (s span) segments(time int) [2]span {
	if !s.shared() {
		return [2]span{{0, time}, {time, time}}
	}
	return [2]span{{0, s.lo + 1}, {s.hi, time}}
}

// padding is the span of a sample's padding codes.
func padding(codes []uint16, pad uint16, left bool) span {
	chars := characters(codes, pad, left)
	if left {
		return span{0, len(codes) - chars}
	}
	return span{chars, len(codes)}
}

// spanOf follows a sample's padding through the layers to the output of node n; ok is false where the rows of padding
// differ, as behind a dropout.
func (b *builder) spanOf(n model.Node) (f func(span) span, ok bool) {
	switch n.Kind {
	case model.KindEmbedding:
		return func(s span) span { return s }, true
	case model.KindConv1D, model.KindMaxPool, model.KindThresholdedReLU:
	default:
		return nil, false
	}
	before, ok := b.spanOf(b.byName[n.Inputs[0]])
	if !ok {
		return nil, false
	}
	switch n.Kind {
	case model.KindConv1D:
		left := 0
		if n.Layer.Padding == model.Same {
			left, _ = model.SamePadding(n.Layer.Kernel)
		}
		return func(s span) span {
			s = before(s)
			return span{s.lo + left, s.hi - n.Layer.Kernel + 1 + left}
		}, true
	case model.KindMaxPool:
		_, pool, ahead := poolWindows(n, b.inShape(n)[0])
		return func(s span) span {
			s = before(s)
			return span{(s.lo + ahead + pool - 1) / pool, (s.hi + ahead) / pool}
		}, true
	}
	return before, true
}

// spans gives each sample's span at the output of n, or one without any.
func (b *builder) spans(n model.Node) func(sample int) span {
	f, ok := b.spanOf(n)
	if !ok || slices.Contains(n.Shape, 0) {
		return func(int) span { return span{} }
	}
	s := b.session
	return func(sample int) span { return f(s.pads[sample]) }
}

// repeatRow copies row s.lo over the rest of the span; rows have width values.
func repeatRow(x []float32, s span, width int) {
	if !s.shared() {
		return
	}
	row := x[s.lo*width : (s.lo+1)*width]
	for t := s.lo + 1; t < s.hi; t++ {
		copy(x[t*width:(t+1)*width], row)
	}
}

// gatherRow adds the rows of a span into its first. The others keep what they held and are to be ignored.
func gatherRow(x []float32, s span, width int) {
	if !s.shared() {
		return
	}
	row := x[s.lo*width : (s.lo+1)*width]
	for t := s.lo + 1; t < s.hi; t++ {
		kernels.Add(row, x[t*width:(t+1)*width])
	}
}
