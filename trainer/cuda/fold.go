package cuda

import (
	"fmt"

	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

// fold is an embedding times kernels [offsets, dim, filters], one or several that follow each other: a table [offsets,
// rows, filters] of what each code adds at each offset. Readers of codes add its rows up instead of multiplying
// (docs/ARCHITECTURE.md).
type fold struct {
	*network
	offsets, dim, filters int
	w, dw                 device.Address // the kernels and their gradients
	table, grad           device.Address
}

// maxShares and walkShares are how many blocks share the names of a batch when gradients are added to a table, one a
// name or one a position. They decide the order of sums, so they must not depend on the device.
const maxShares, walkShares = 32, 128

// newFold folds kernels from w on; a block of their readers has the part of most offsets.
func newFold(n *network, w param, offsets, most, filters int) (*fold, error) {
	f := &fold{network: n, offsets: offsets, dim: n.embedding.Shape[1], filters: filters, w: w.data, dw: w.grad}
	if have, room := f.shared(most), n.dev.SharedMemory(); have > room {
		return nil, fmt.Errorf("kernel %d over %d codes needs %d bytes of shared memory, a block may have %d", most,
			n.rows, have, room)
	}
	if most > 32 {
		return nil, fmt.Errorf("kernel %d: at most 32 over an embedding", most)
	}
	f.table, f.grad = n.alloc(f.size()), n.alloc(f.size())
	n.wantScratch(maxShares * f.size())
	n.wantScratch(offsets * n.rows * f.dim)
	return f, nil
}

func (f *fold) size() int { return f.offsets * f.rows * f.filters }

// shared is the bytes of a block's part of the table.
func (f *fold) shared(offsets int) int { return 4 * 32 * offsets * f.rows }

// slices is the grid of kernels that hold 32 filters a block.
func (f *fold) slices(shares int) device.Dim { return device.Dim{X: (f.filters + 31) / 32, Y: shares} }

func (f *fold) stacked(at device.Address, rows, columns int) matrix {
	return matrix{at, columns, 1, rows * columns}
}

// fill computes the table, unless that of the last pass is as good; a bias only for one offset, else it would be added
// for each.
func (f *fold) fill(bias device.Address) {
	if f.folded {
		return
	}
	f.gemm(trainer.PrecisionFP32, product{a: rowMajor(f.embedding.data, f.dim), b: f.stacked(f.w, f.dim, f.filters),
		c: f.stacked(f.table, f.rows, f.filters), m: f.rows, n: f.filters, k: f.dim, bias: bias, batches: f.offsets})
}

// collect adds up the shares of the table's gradient in scratch.
func (f *fold) collect(shares int) { f.addParts(f.grad, f.scratchAt, f.size(), shares, false) }

// unfold passes the table's gradient on to the embedding, whose readers add up, and to the kernels.
func (f *fold) unfold() {
	d := f.stacked(f.grad, f.rows, f.filters)
	f.gemm(trainer.PrecisionFP32, product{a: rowMajor(f.embedding.data, f.dim).T(), b: d,
		c: f.stacked(f.dw, f.dim, f.filters), m: f.dim, n: f.filters, k: f.rows, batches: f.offsets})
	f.gemm(trainer.PrecisionFP32, product{a: d, b: f.stacked(f.w, f.dim, f.filters).T(),
		c: f.stacked(f.scratchAt, f.rows, f.dim), m: f.rows, n: f.dim, k: f.filters, batches: f.offsets})
	f.addParts(f.embedding.grad, f.scratchAt, f.rows*f.dim, f.offsets, true)
}

// warps is the warps of a block of kernels whose warps take names, blocksY how many blocks share a batch.
const warps, blocksY = 16, 64

// embedConv is an embedding and a convolution: y [batch, time, filters].
type embedConv struct {
	*fold
	y            *value
	b            param
	time, before int
	act          int
}

func (l *embedConv) forward(bool) {
	l.fill(0)
	l.launch("embed_conv", l.slices(min(4*blocksY, l.batch)), device.Dim{X: 32 * warps}, l.shared(l.offsets),
		l.y.data, l.table, l.b.data, l.codes, l.batch, l.time, l.window, l.rows, l.offsets, l.filters, l.before, l.act)
}

func (l *embedConv) backward() {
	l.activationBack(l.y.grad, l.y.data, l.filters, l.act, l.b.grad, l.batch*l.time, l.filters)
	l.scatter(l.y.grad, l.time, l.before)
	l.unfold()
}

func (f *fold) wantWalk() *fold {
	f.wantScratch(walkShares * f.size())
	return f
}

// scatter adds d [batch, time, filters] to the rows of the table that were read there.
func (f *fold) scatter(d device.Address, time, before int) {
	shares := min(walkShares, f.batch)
	f.launch("scatter", f.slices(shares), device.Dim{X: 32 * f.offsets}, f.shared(f.offsets),
		f.scratchAt, d, f.codes, f.batch, time, f.window, f.rows, f.offsets, f.filters, before)
	f.collect(shares)
}
