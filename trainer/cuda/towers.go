package cuda

import (
	"slices"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

// maxTowers is how many kernels fit the argument that holds one in a byte.
const maxTowers = 8

// tower is an embedding's valid convolution and the global maximum that alone reads it, without padding columns.
type tower struct {
	conv, pool model.Node
	w, b       param
}

// towers are towers with as many filters and one activation, which does not fall, side by side in what may be a part of
// a wider matrix.
type towers struct {
	*fold
	kernels []int
	y       *value // [towers, filters]
	stride  int    // floats from a name's to the next's in y
	b, db   device.Address
	arg     device.Address // [batch, towers, filters] int32
	act     int
}

func (b *builder) tower(conv model.Node) (t tower, ok bool) {
	if conv.Kind != model.KindConv1D || !b.embedded(conv) || conv.Layer.Padding == model.Same ||
		b.readers[conv.Name] != 1 {
		return tower{}, false
	}
	at := slices.IndexFunc(b.nodes, func(n model.Node) bool {
		return n.Kind == model.KindGlobalMaxPool && n.Inputs[0] == conv.Name
	})
	if at < 0 {
		return tower{}, false
	}
	return tower{conv: conv, pool: b.nodes[at], w: b.par(conv, 0), b: b.par(conv, 1)}, true
}

// group is a tower and those right behind it in a concatenation that the same launch can do: they have the same width,
// their parameters follow each other. into is the concatenation, without a name where there is none.
func (b *builder) group(first tower) (all []tower, into model.Node) {
	all = []tower{first}
	if b.readers[first.pool.Name] != 1 {
		return all, into
	}
	for _, n := range b.nodes {
		if n.Kind == model.KindConcatenate && slices.Contains(n.Inputs, first.pool.Name) {
			into = n
		}
	}
	if into.Name == "" {
		return all, into
	}
	for _, name := range into.Inputs[slices.Index(into.Inputs, first.pool.Name)+1:] {
		last := all[len(all)-1]
		pool := b.byName[name]
		if len(all) == maxTowers || pool.Kind != model.KindGlobalMaxPool || b.readers[name] != 1 {
			break
		}
		next, ok := b.tower(b.byName[pool.Inputs[0]])
		if !ok || next.conv.Layer.Filters != first.conv.Layer.Filters ||
			next.conv.Layer.Activation != first.conv.Layer.Activation ||
			next.w.data != last.w.data+device.Address(4*last.w.Size()) ||
			next.b.data != last.b.data+device.Address(4*last.b.Size()) {
			break
		}
		all = append(all, next)
	}
	return all, into
}

// towers lays a convolution's group out and gives the values of its maxima.
func (b *builder) towers(first tower, act int) error {
	all, into := b.group(first)
	filters, offsets, most := first.conv.Layer.Filters, 0, 0
	l := &towers{b: first.b.data, db: first.b.grad, act: act}
	for _, t := range all {
		l.kernels = append(l.kernels, t.conv.Layer.Kernel)
		offsets, most = offsets+t.conv.Layer.Kernel, max(most, t.conv.Layer.Kernel)
	}
	f, err := newFold(b.network, first.w, offsets, most, filters)
	if err != nil {
		return err
	}
	l.fold, l.arg, l.stride = f, b.alloc(b.batch*len(all)*filters), filters
	l.y = &value{shape: []int{len(all), filters}}
	if into.Name == "" {
		whole := b.newValue(filters)
		l.y.data, l.y.grad = whole.data, whole.grad
	} else {
		whole, at := b.joined(into), device.Address(0)
		for _, name := range into.Inputs[:slices.Index(into.Inputs, first.pool.Name)] {
			at += device.Address(4 * model.Param{Shape: b.byName[name].Shape}.Size())
		}
		l.stride, l.y.data, l.y.grad = whole.size(), whole.data+at, whole.grad+at
	}
	b.add(l)
	b.counts = true
	for i, t := range all {
		at := device.Address(4 * i * filters)
		y := &value{shape: []int{filters}, data: l.y.data + at, grad: l.y.grad + at}
		b.values[t.conv.Name] = y
		b.give(t.pool.Name, y)
	}
	return nil
}

// joined is what a concatenation gives, of which some inputs are written in place.
func (b *builder) joined(node model.Node) *value {
	if b.whole[node.Name] == nil {
		b.whole[node.Name] = b.newValue(node.Shape...)
	}
	return b.whole[node.Name]
}

// kernelBytes has the towers' kernels, one in a byte.
func (l *towers) kernelBytes() (k uint64) {
	for i, kernel := range l.kernels {
		k |= uint64(kernel) << (8 * i)
	}
	return k
}

// roomy is the bytes of shared memory with which three blocks fit a multiprocessor of Hopper, and one every device that
// the kernels run on.
const roomy = 64 << 10

func (l *towers) forward(training bool) {
	l.fill(0)
	kernel, columns, shared := "conv_max", 32, l.shared(slices.Max(l.kernels))
	args := []any{l.y.data, l.stride, l.arg, l.table, l.b, l.codes, l.chars, l.batch, l.window, l.rows, l.kernelBytes(),
		l.filters, l.left, l.act}
	if l.precision == trainer.PrecisionBF16 {
		kernel, columns, args = "conv_max_f16", 64, append(args, training)
		if l.filters > 64 && 2*shared <= roomy {
			kernel, columns, shared = "conv_max_f16_wide", 128, 2*shared
		}
	}
	grid := device.Dim{X: (l.filters + columns - 1) / columns, Y: min(blocksY, (l.batch+warps-1)/warps), Z: len(l.kernels)}
	l.launch(kernel, grid, device.Dim{X: 32 * warps}, shared, args...)
}

func (l *towers) backward() {
	l.activationBack(l.y.grad, l.y.data, l.stride, l.act, l.db, l.batch, len(l.kernels)*l.filters)
	l.tableGrad()
	l.unfold()
}

// tableGrad adds the gradient of the maxima up by the rows of the table that made them.
func (l *towers) tableGrad() {
	grid, most := l.slices(min(maxShares, l.batch)), slices.Max(l.kernels)
	grid.Z = len(l.kernels)
	l.launch("conv_max_grad", grid, device.Dim{X: 32 * most}, l.shared(most),
		l.scratchAt, l.y.grad, l.stride, l.arg, l.codes, l.batch, l.window, l.rows, l.kernelBytes(), l.offsets, l.filters)
	l.collect(grid.Y)
}
