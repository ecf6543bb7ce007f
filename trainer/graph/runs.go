package graph

import (
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/kernels"
)

// padding is the span of a name's padding codes.
func padding(codes []uint16, pad uint16, left bool) model.Span {
	return model.PaddingSpan(len(codes), model.Characters(codes, pad, left), left)
}

// spans gives each name's span at the output of n, or one without any.
func (b *builder) spans(n model.Node) func(name int) model.Span {
	f, ok := model.SpanOf(b.byName, n.Name)
	if !ok {
		return func(int) model.Span { return model.Span{} }
	}
	pads := b.pads
	return func(name int) model.Span { return f(pads[name]) }
}

// gatherRow adds the rows of a span into its first. The others keep what they held and are to be ignored.
func gatherRow(x []float32, s model.Span, width int) {
	if !s.Shared() {
		return
	}
	row := nth(x, s.Lo, width)
	for t := s.Lo + 1; t < s.Hi; t++ {
		kernels.Add(row, nth(x, t, width))
	}
}
