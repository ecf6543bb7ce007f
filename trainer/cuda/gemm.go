package cuda

import (
	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

// matrix is a view of memory: element (i, j) is at[i*row + j*column]; batch lies between the matrices of a batch.
type matrix struct {
	at                 device.Address
	row, column, batch int
}

func rowMajor(at device.Address, columns int) matrix { return matrix{at: at, row: columns, column: 1} }

// T is the transpose.
func (m matrix) T() matrix { m.row, m.column = m.column, m.row; return m }

// product is c = a·b for a [m, k], b [k, n] and c [m, n], whose columns must be next to each other.
type product struct {
	a, b, c    matrix
	m, n, k    int
	weights    bool           // b is parameters, or a transpose of them
	bias       device.Address // [n], 0 for none
	activation int
	accumulate bool
	batches    int // 0 is 1
}

// A block computes tile rows and columns of c, half as many in the small kernel, tensorRows and tensorColumns in the
// tensor kernels. splitDepth is the least of k worth a block of its own, maxSplits the most blocks that share k. They
// decide the order of sums, so they must not depend on the device.
const tile, tensorRows, tensorColumns, splitDepth, maxSplits = 64, 64, 128, 256, 64

// fewBlocks is how many blocks leave most of a device idle: then smaller ones come sooner to the end.
const fewBlocks = 256

func (n *network) gemm(precision string, p product) {
	if n.tensorGemm(precision, p, max(p.batches, 1), p.c.batch, false) {
		return
	}
	kernel, side := "gemm_"+precision, tile
	if precision == trainer.PrecisionFP32 && tiles(p.m, tile)*tiles(p.n, tile)*max(p.batches, 1) < fewBlocks {
		kernel, side = kernel+"_small", tile/2
	}
	n.launch(kernel, device.Dim{X: tiles(p.m, side), Y: tiles(p.n, side), Z: max(p.batches, 1)}, device.Dim{X: 128}, 0,
		p.c.at, p.a.at, p.b.at, p.bias, p.m, p.n, p.k, p.a.row, p.a.column, p.b.row, p.b.column, p.c.row,
		p.a.batch, p.b.batch, p.c.batch, false, p.activation, p.accumulate)
}

// gemmSplit is gemm for products of few elements over a long k, as weight gradients are: blocks share k and their sums
// are added up. c is dense.
func (n *network) gemmSplit(precision string, p product) {
	splits := splitsOf(p.k)
	shares := p
	shares.c, shares.bias, shares.activation, shares.accumulate = rowMajor(n.scratchAt, p.n), 0, linear, false
	if !n.tensorGemm(precision, shares, splits, p.m*p.n, true) {
		n.launch("gemm_"+precision, device.Dim{X: tiles(p.m, tile), Y: tiles(p.n, tile), Z: splits}, device.Dim{X: 128}, 0,
			n.scratchAt, p.a.at, p.b.at, 0, p.m, p.n, p.k, p.a.row, p.a.column, p.b.row, p.b.column, p.n,
			0, 0, p.m*p.n, true, linear, false)
	}
	n.addParts(p.c.at, n.scratchAt, p.m*p.n, splits, p.accumulate)
}

// tensorGemm queues a product of one of gemm_tensor.cu's kernels and reports whether it could. With split its blocks
// share k.
func (n *network) tensorGemm(precision string, p product, depth, cBatch int, split bool) bool {
	a, aStride, aUsed := p.a.lines(p.m, p.k)
	b, bStride, bUsed := p.b.lines(p.k, p.n)
	name := a + b
	if precision != trainer.PrecisionBF16 || name != "nn" && name != "nt" && name != "tn" || !split && depth > 1 {
		return false
	}
	for _, extent := range []int{aStride, bStride, aUsed, bUsed, p.n, p.c.row} {
		if extent%4 != 0 {
			return false
		}
	}
	if (p.a.at|p.b.at|p.c.at)%16 != 0 {
		return false
	}
	kernel := "gemm_tensor_"
	if p.weights && name != "tn" && (p.b.at-n.weights)%32 == 0 && bStride%8 == 0 && bUsed%8 == 0 {
		kernel, p.b.at = "gemm_rounded_", n.rounded+(p.b.at-n.weights)/2
	}
	n.launch(kernel+name, device.Dim{X: tiles(p.m, tensorRows), Y: tiles(p.n, tensorColumns), Z: depth},
		device.Dim{X: 256}, 0, p.c.at, p.a.at, p.b.at, p.bias, p.m, p.n, p.k, aStride, bStride, p.c.row, cBatch, split,
		p.activation, p.accumulate)
	return true
}

// lines says how a matrix [rows, columns] lies in memory: "n" row by row, "t" column by column; how many floats are
// from one to the next, and how many of each are used. It is "" where neither is contiguous.
func (m matrix) lines(rows, columns int) (order string, stride, used int) {
	switch {
	case m.column == 1:
		return "n", m.row, columns
	case m.row == 1:
		return "t", m.column, rows
	}
	return "", 0, 0
}

func tiles(n, side int) int { return (n + side - 1) / side }

func splitsOf(k int) int { return min(max(k/splitDepth, 1), maxSplits) }

func (n *network) wantSplit(rows, columns, k int) { n.wantScratch(rows * columns * splitsOf(k)) }
