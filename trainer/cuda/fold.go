package cuda

import (
	"fmt"

	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

// fold is an embedding times a kernel [kernel, dim, filters]: a table [rows, kernel, filters] of what each code adds at each
// offset, which readers of codes add up instead of multiplying (docs/ARCHITECTURE.md).
type fold struct {
	*network
	kernel, dim, filters int
	w                    param
	table, grad          device.Address
}

// maxShares and walkShares are how many blocks share the names of a batch when gradients are added to a table, one a name or
// one a position. They must not depend on the device: they decide the order of sums.
const maxShares, walkShares = 32, 128

func newFold(n *network, w param, kernel, filters int) (*fold, error) {
	f := &fold{network: n, kernel: kernel, dim: n.embedding.Shape[1], filters: filters, w: w}
	if have, most := f.shared(), n.dev.SharedMemory(); have > most {
		return nil, fmt.Errorf("kernel %d over %d codes needs %d bytes of shared memory, the device has %d", kernel, n.rows, have, most)
	}
	if kernel > 32 {
		return nil, fmt.Errorf("kernel %d: at most 32 over an embedding", kernel)
	}
	f.table, f.grad = n.alloc(f.size()), n.alloc(f.size())
	n.wantScratch(maxShares * f.size())
	n.wantScratch(kernel * n.rows * f.dim)
	return f, nil
}

func (f *fold) size() int { return f.rows * f.kernel * f.filters }

// shared is the bytes of a block's part of the table.
func (f *fold) shared() int { return 4 * 32 * f.kernel * f.rows }

// slices is the grid of kernels that hold 32 filters a block.
func (f *fold) slices(shares int) device.Dim { return device.Dim{X: (f.filters + 31) / 32, Y: shares} }

// fill computes the table, unless that of the last pass is as good; a bias only for one offset, else it would be added
// kernel times.
func (f *fold) fill(bias device.Address) {
	if f.folded {
		return
	}
	f.gemm(trainer.PrecisionFP32, product{a: rowMajor(f.embedding.data, f.dim), b: matrix{f.w.data, f.filters, 1, f.dim * f.filters},
		c: matrix{f.table, f.kernel * f.filters, 1, f.filters}, m: f.rows, n: f.filters, k: f.dim, bias: bias, batches: f.kernel})
}

// collect adds up the shares of the table's gradient in scratch.
func (f *fold) collect(shares int) { f.addParts(f.grad, f.scratchAt, f.size(), shares, false) }

// unfold passes the table's gradient on to the embedding, whose readers add up, and to the kernel.
func (f *fold) unfold() {
	d := matrix{f.grad, f.kernel * f.filters, 1, f.filters}
	f.gemm(trainer.PrecisionFP32, product{a: rowMajor(f.embedding.data, f.dim).T(), b: d, c: matrix{f.w.grad, f.filters, 1, f.dim * f.filters},
		m: f.dim, n: f.filters, k: f.rows, batches: f.kernel})
	w := matrix{f.w.data, f.filters, 1, f.dim * f.filters}.T()
	f.gemm(trainer.PrecisionFP32, product{a: d, b: w, c: matrix{f.scratchAt, f.dim, 1, f.rows * f.dim}, m: f.rows, n: f.dim, k: f.filters, batches: f.kernel})
	f.addParts(f.embedding.grad, f.scratchAt, f.rows*f.dim, f.kernel, true)
}

// warps is the warps of a block of kernels whose warps take names, blocksY how many blocks share a batch.
const warps, blocksY = 16, 64

// convMax is an embedding, a valid convolution, a maximum over time and an activation that does not fall.
type convMax struct {
	*fold
	y   *value
	b   param
	arg device.Address // [batch, filters] int32
	act int
}

func (l *convMax) forward(bool) {
	l.fill(0)
	l.launch("conv_max", l.slices(min(blocksY, (l.batch+warps-1)/warps)), device.Dim{X: 32 * warps}, l.shared(),
		l.y.data, l.arg, l.table, l.b.data, l.codes, l.chars, l.batch, l.window, l.rows, l.kernel, l.filters, l.left, l.act)
}

func (l *convMax) backward() {
	l.activationBack(l.y, l.act, l.b, l.batch, l.filters)
	shares := min(maxShares, l.batch)
	l.launch("conv_max_grad", l.slices(shares), device.Dim{X: 32 * l.kernel}, l.shared(),
		l.scratchAt, l.y.grad, l.arg, l.codes, l.batch, l.window, l.rows, l.kernel, l.filters)
	l.collect(shares)
	l.unfold()
}

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
	l.launch("embed_conv", l.slices(min(4*blocksY, l.batch)), device.Dim{X: 32 * warps}, l.shared(),
		l.y.data, l.table, l.b.data, l.codes, l.batch, l.time, l.window, l.rows, l.kernel, l.filters, l.before, l.act)
}

func (l *embedConv) backward() {
	l.activationBack(l.y, l.act, l.b, l.batch*l.time, l.filters)
	l.scatter(l.y.grad, l.time, l.before)
	l.unfold()
}

// wantWalk asks for what scatter needs.
func (f *fold) wantWalk() *fold {
	f.wantScratch(walkShares * f.size())
	return f
}

// scatter adds d [batch, time, filters] to the rows of the table that were read there.
func (f *fold) scatter(d device.Address, time, before int) {
	shares := min(walkShares, f.batch)
	f.launch("scatter", f.slices(shares), device.Dim{X: 32 * f.kernel}, f.shared(),
		f.scratchAt, d, f.codes, f.batch, time, f.window, f.rows, f.kernel, f.filters, before)
	f.collect(shares)
}
