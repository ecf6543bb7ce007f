package model

import "slices"

// Span is a range of time steps [Lo, Hi) of one name in which all rows are equal, because they depend on padding alone.
// It is empty when Hi <= Lo.
//
// Equal rows need computing once. In training only the sum of their gradients matters, at whichever row of the span it
// is added: they are the same function of the same input. This is exact.
type Span struct{ Lo, Hi int }

// Shared reports whether the span saves anything.
func (s Span) Shared() bool { return s.Hi-s.Lo > 1 }

// Segments are the rows of time that have to be computed: all except the repetitions within the span.
func (s Span) Segments(time int) [2]Span {
	if !s.Shared() {
		return [2]Span{{0, time}, {time, time}}
	}
	return [2]Span{{0, s.Lo + 1}, {s.Hi, time}}
}

// Repeat copies row s.Lo over the rest of the span; rows have width values.
func (s Span) Repeat(x []float32, width int) {
	if !s.Shared() {
		return
	}
	for t := s.Lo + 1; t < s.Hi; t++ {
		copy(x[t*width:], x[s.Lo*width:(s.Lo+1)*width])
	}
}

// PaddingSpan is where a window has its padding if chars of its codes are characters.
func PaddingSpan(window, chars int, left bool) Span {
	if left {
		return Span{0, window - chars}
	}
	return Span{chars, window}
}

// Characters counts the codes that are no padding: those from the first that differs from pad, or up to the last one. A
// character with the padding's code may count as padding, which makes no difference to a model.
func Characters(codes []uint16, pad uint16, left bool) int {
	n := len(codes)
	if left {
		i := 0
		for i < n && codes[i] == pad {
			i++
		}
		return n - i
	}
	for n > 0 && codes[n-1] == pad {
		n--
	}
	return n
}

// SpanOf returns the function from the span of a name's padding to the span of equal rows in the output of the node
// called name. ok is false where rows of padding differ, as behind a dropout, or where there are no rows.
func SpanOf(nodes map[string]Node, name string) (f func(Span) Span, ok bool) {
	n := nodes[name]
	switch n.Kind {
	case KindEmbedding:
		return func(s Span) Span { return s }, true
	case KindConv1D, KindMaxPool, KindThresholdedReLU:
	default:
		return nil, false
	}
	before, ok := SpanOf(nodes, n.Inputs[0])
	if !ok || slices.Contains(n.Shape, 0) {
		return nil, false
	}
	l := n.Layer
	switch n.Kind {
	case KindConv1D:
		left := 0
		if l.Padding == Same {
			left, _ = SamePadding(l.Kernel)
		}
		return func(s Span) Span {
			s = before(s)
			return Span{s.Lo + left, s.Hi - l.Kernel + 1 + left}
		}, true
	case KindMaxPool:
		ahead := 0
		if l.Padding == Same {
			ahead, _ = PoolPadding(nodes[n.Inputs[0]].Shape[0], l.Pool)
		}
		return func(s Span) Span {
			s = before(s)
			return Span{(s.Lo + ahead + l.Pool - 1) / l.Pool, (s.Hi + ahead) / l.Pool}
		}, true
	}
	return before, true
}
