package onnx

import (
	"slices"

	"github.com/degas-dns/degas/model"
)

// onnxruntime's LSTM ends the whole process if the batch is empty (1.31.1: "terminate called without an active
// exception"). So a graph with an LSTM or a GRU runs an empty batch as one row of code 0 and cuts that off behind the
// head. Any other batch passes through as it is.

func isRecurrent(list []model.Node) bool {
	return slices.ContainsFunc(list, func(n model.Node) bool {
		return n.Kind == model.KindLSTM || n.Kind == model.KindGRU
	})
}

// count names the value that holds the size of the batch, [1], in a graph that pads it.
const count = "batch/count"

// padBatch adds a row to codes, [batch, window], if there is none.
func (b *builder) padBatch(codes string) string {
	shape := b.op("Shape", "batch/shape", []string{codes}, 0)
	zero, one := b.int64s("batch/zero", 0), b.int64s("batch/one", 1)
	b.gather(count, shape, zero, 0)
	missing := b.op("Sub", "batch/missing", []string{one, count}, 0)
	missing = b.op("Max", "batch/padding", []string{missing, zero}, 0)
	// Pad takes all starts, then all ends: rows are added at the end of axis 0.
	pads := b.op("Concat", "batch/pads", []string{zero, zero, missing, zero}, 0, intAttr("axis", 0))
	return b.op("Pad", "batch/padded", []string{codes, pads}, 0)
}

// cutBatch undoes padBatch on x, [batch, width].
func (b *builder) cutBatch(x string) string {
	return b.op("Slice", "batch/cut", []string{x, "batch/zero", count, "batch/zero"}, 0)
}
