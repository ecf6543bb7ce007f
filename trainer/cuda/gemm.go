package cuda

import "github.com/degas-dns/degas/trainer/cuda/device"

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
	bias       device.Address // [n], 0 for none
	activation int
	accumulate bool
	batches    int // 0 is 1
}

// tile is the rows and columns of c that a block computes; splitDepth is the least of k worth a block of its own and
// maxSplits the most blocks that share k. They must not depend on the device: they decide the order of sums.
const tile, splitDepth, maxSplits = 64, 256, 64

// gemm queues a product.
func (n *network) gemm(precision string, p product) {
	n.launch("gemm_"+precision, device.Dim{X: tiles(p.m), Y: tiles(p.n), Z: max(p.batches, 1)}, device.Dim{X: 128}, 0,
		p.c.at, p.a.at, p.b.at, p.bias, p.m, p.n, p.k, p.a.row, p.a.column, p.b.row, p.b.column, p.c.row,
		p.a.batch, p.b.batch, p.c.batch, false, p.activation, p.accumulate)
}

// gemmSplit is gemm for products of few elements over a long k, as weight gradients are: blocks share k and their sums are
// added up. c is dense.
func (n *network) gemmSplit(precision string, p product) {
	splits := splitsOf(p.k)
	n.launch("gemm_"+precision, device.Dim{X: tiles(p.m), Y: tiles(p.n), Z: splits}, device.Dim{X: 128}, 0,
		n.scratchAt, p.a.at, p.b.at, 0, p.m, p.n, p.k, p.a.row, p.a.column, p.b.row, p.b.column, p.n,
		0, 0, p.m*p.n, true, linear, false)
	n.addParts(p.c.at, n.scratchAt, p.m*p.n, splits, p.accumulate)
}

func tiles(n int) int { return (n + tile - 1) / tile }

func splitsOf(k int) int { return min(max(k/splitDepth, 1), maxSplits) }

// wantSplit asks for what gemmSplit needs.
func (n *network) wantSplit(rows, columns, k int) { n.wantScratch(rows * columns * splitsOf(k)) }
