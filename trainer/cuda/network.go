package cuda

import (
	"fmt"
	"math"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

// layer is one operation on values of the network. Both passes queue work; what fails is kept in the network.
type layer interface {
	// forward computes the output from the inputs. training is false when nothing will go back.
	forward(training bool)
	// backward computes the inputs' and the parameters' gradients from the output's.
	backward()
}

// value is what a layer gives: data and its gradient, [batch, shape...] floats.
type value struct {
	shape      []int
	data, grad device.Address
}

func (v *value) size() int { return model.Param{Shape: v.shape}.Size() }

// param is one learned tensor, at the same offset of the network's weights and gradients.
type param struct {
	model.Param
	data, grad device.Address
}

// network is a Spec on a device. All memory is taken when it is built.
type network struct {
	dev    device.Device
	spec   *model.Spec
	batch  int
	window int
	rows   int // codes the embedding knows
	pad    int
	left   bool // padding is on the left

	precision string
	layers    []layer
	logits    *value
	params    []param
	matrices  int // parameters' floats that are no biases: they come first
	size      int // parameters' floats

	weights, grads device.Address // [size]
	rounded        device.Address // weights in bf16, for products in it
	embedding      param
	codes, chars   device.Address // [batch, window] bytes, [batch] int32

	counts bool // whether a layer reads chars
	folded bool // the folds' tables are those of the weights; a table must outlive its pass for that

	scratchSize int
	scratchAt   device.Address
	allocated   []device.Address
	err         error // the first that occurred
}

// alloc takes memory for n floats or, in take, bytes.
func (n *network) alloc(floats int) device.Address { return n.take(4 * floats) }

func (n *network) take(bytes int) device.Address {
	if n.err != nil {
		return 0
	}
	a, err := n.dev.Alloc(max(bytes, 16))
	if err != nil {
		n.err = fmt.Errorf("batches of %d: %w. Try: a smaller --batch-size", n.batch, err)
		return 0
	}
	n.allocated = append(n.allocated, a)
	return a
}

// newValue makes room for a layer's output and its gradient.
func (n *network) newValue(shape ...int) *value {
	v := &value{shape: shape}
	v.data, v.grad = n.alloc(n.batch*v.size()), n.alloc(n.batch*v.size())
	return v
}

// wantScratch asks for room for floats that no layer needs for longer than its own pass.
func (n *network) wantScratch(floats int) { n.scratchSize = max(n.scratchSize, floats) }

// launch queues a kernel. Arguments are addresses, ints, 64-bit keys, float32 and bool.
func (n *network) launch(kernel string, grid, block device.Dim, shared int, args ...any) {
	if n.err != nil {
		return
	}
	boxed := make([]uint64, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case device.Address:
			boxed[i] = uint64(a)
		case int:
			boxed[i] = uint64(a)
		case uint64:
			boxed[i] = a
		case float32:
			boxed[i] = uint64(math.Float32bits(a))
		case bool:
			if a {
				boxed[i] = 1
			}
		default:
			panic(fmt.Sprintf("cuda: argument %d of %s is a %T", i, kernel, a))
		}
	}
	n.err = n.dev.Launch(kernel, grid, block, shared, boxed...)
}

// threads is the size of a block of kernels that take one thread a value; perThread is how many values a thread takes
// at most before more blocks are worth it.
const threads, perThread = 256, 4

// each queues a kernel that takes one thread a value of n.
func (n *network) each(kernel string, values int, args ...any) {
	blocks := min((values+threads*perThread-1)/(threads*perThread), 1<<16)
	n.launch(kernel, device.Dim{X: max(blocks, 1)}, device.Dim{X: threads}, 0, args...)
}

// addParts sums parts [parts, size] into out.
func (n *network) addParts(out, part device.Address, size, parts int, accumulate bool) {
	n.each("add_parts", size*perThread, out, part, size, parts, accumulate)
}

// sumShares is how many blocks share the rows of a column sum. It must not depend on the device: it decides the order
// of sums.
const sumShares = 32

// columnSums adds up the rows of x [rows, width].
func (n *network) columnSums(out, x device.Address, rows, width int) {
	shares := min(sumShares, rows)
	n.launch("column_sums", device.Dim{X: (width + 31) / 32, Y: shares}, device.Dim{X: 32, Y: 8}, 0, n.scratchAt, x, rows,
		width)
	n.addParts(out, n.scratchAt, width, shares, false)
}

// activationBack takes the gradient dy of y, [rows, width] with stride floats from row to row, back through an
// activation, in place, and adds up that of the bias.
func (n *network) activationBack(dy, y device.Address, stride, activation int, bias device.Address, rows, width int) {
	shares := min(sumShares, rows)
	n.launch("activation_sums", device.Dim{X: (width + 31) / 32, Y: shares}, device.Dim{X: 32, Y: 8}, 0, n.scratchAt, dy,
		y, stride, rows, width, activation)
	n.addParts(bias, n.scratchAt, width, shares, false)
}

// forward runs all layers. Tables are made anew in training, and else when the weights have changed.
func (n *network) forward(training bool) {
	n.folded = n.folded && !training
	if !n.folded && n.precision == trainer.PrecisionBF16 {
		n.each("round_weights", n.size/2, n.rounded, n.weights, n.size/2)
	}
	if n.counts {
		n.count()
	}
	for _, l := range n.layers {
		l.forward(training)
	}
	n.folded = true // where a launch failed, no other comes to pass
}

func (n *network) count() {
	n.launch("characters", device.Dim{X: (n.batch*32 + threads - 1) / threads}, device.Dim{X: threads}, 0, n.chars,
		n.codes, n.batch, n.window, n.pad, n.left)
}

func (n *network) backward() {
	n.clear(n.embedding.grad, 4*n.embedding.Size()) // several layers add to it
	for i := len(n.layers) - 1; i >= 0; i-- {
		n.layers[i].backward()
	}
}

func (n *network) clear(a device.Address, bytes int) {
	if n.err == nil {
		n.err = n.dev.Clear(a, bytes)
	}
}

func (n *network) close() {
	for _, a := range n.allocated {
		_ = n.dev.Free(a)
	}
	n.allocated = nil
}
