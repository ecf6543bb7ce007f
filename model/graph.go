package model

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
)

// kerasNames maps kinds of nodes to their layers' names in Keras, where the two differ.
var kerasNames = map[string]string{
	KindThresholdedReLU: "thresholded_re_lu",
	KindMaxPool:         "max_pooling1d",
	KindGlobalMaxPool:   "global_max_pooling1d",
	KindMaxPool2D:       "max_pooling2d",
}

// Bounds of what a Spec may ask for, in values of 4 bytes. They are far above any model for names, and keep a
// stranger's file from taking the machine's memory.
const (
	// MaxActivations bounds all nodes together, for one name: 64 MiB. ActivationsEnv sets another bound.
	MaxActivations = 1 << 24
	MaxParameters  = 1 << 28 // of all layers together, and the tables that embeddings are folded into: 1 GiB
	maxSize        = 1 << 24 // of one field of a layer
)

// ActivationsEnv is the environment variable that replaces MaxActivations, for a model that is known and large.
const ActivationsEnv = "DEGAS_MAX_ACTIVATIONS"

// maxActivations is the bound that the environment sets, or MaxActivations.
func maxActivations() (float64, error) {
	s := os.Getenv(ActivationsEnv)
	if s == "" {
		return MaxActivations, nil
	}
	n, err := strconv.ParseUint(s, 10, 48)
	if err != nil {
		return 0, fmt.Errorf("%s is %q, but must be a number of values, such as %d", ActivationsEnv, s, MaxActivations)
	}
	return float64(n), nil
}

// builder lays layers out as nodes.
type builder struct {
	nodes               []Node
	seen                map[string]int // how many nodes have a name with this base
	activations, params float64        // values so far, folded tables among the params
}

func (b *builder) add(n Node) Node {
	b.nodes = append(b.nodes, n)
	return n
}

// name numbers the layers of one kind as Keras does: dense, dense_1, dense_2.
func (b *builder) name(kind string) string {
	base := cmp.Or(kerasNames[kind], kind)
	i := b.seen[base]
	b.seen[base]++
	if i == 0 {
		return base
	}
	return fmt.Sprintf("%s_%d", base, i)
}

// chain adds layers one after another behind in.
func (b *builder) chain(layers []Layer, in Node) error {
	for i, l := range layers {
		var err error
		if l.Kind == KindParallel {
			in, err = b.parallel(l, in)
		} else {
			in, err = b.single(l, in)
		}
		if err != nil {
			return fmt.Errorf("layer %d (%s): %w", i, l.Kind, err)
		}
	}
	return nil
}

func (b *builder) parallel(l Layer, in Node) (Node, error) {
	if len(l.Branches) < 2 {
		return Node{}, fmt.Errorf("has %d branches, needs at least two", len(l.Branches))
	}
	cat := Node{Kind: KindConcatenate}
	width := 0
	for i, br := range l.Branches {
		if len(br) == 0 {
			return Node{}, fmt.Errorf("branch %d is empty", i)
		}
		if err := b.chain(br, in); err != nil {
			return Node{}, fmt.Errorf("branch %d: %w", i, err)
		}
		end := b.nodes[len(b.nodes)-1]
		if len(end.Shape) != 1 {
			return Node{}, fmt.Errorf("branch %d ends with shape %v: end it with a pooling, flatten, lstm or dense layer",
				i, end.Shape)
		}
		cat.Inputs = append(cat.Inputs, end.Name)
		width += end.Shape[0]
	}
	cat.Name, cat.Shape = b.name(KindConcatenate), []int{width}
	return b.add(cat), nil
}

func (b *builder) single(l Layer, in Node) (Node, error) {
	if (l.Kind == KindEmbedding || l.Kind == KindImage) && in.Kind != KindInput {
		return Node{}, errors.New("it reads codes, so only the first layer can be one")
	}
	n := Node{Kind: l.Kind, Layer: l, Inputs: []string{in.Name}}
	if err := l.checkSizes(); err != nil {
		return Node{}, err
	}
	shape, params, err := infer(l, in.Shape)
	if err != nil {
		return Node{}, err
	}
	b.activations += volume(shape) + l.computed(in, shape)
	b.params += l.folded(in)
	for _, p := range params {
		b.params += volume(p.Shape)
	}
	if err := b.check(); err != nil {
		return Node{}, err
	}
	base := l.Kind
	if l.Bidirectional && (base == KindLSTM || base == KindGRU) {
		base = "bidirectional"
	}
	n.Shape, n.Name = shape, b.name(base)
	for _, p := range params {
		p.Name = n.Name + "/" + p.Name
		n.Params = append(n.Params, p)
	}
	return b.add(n), nil
}

// checkSizes refuses fields whose products could overflow.
func (l *Layer) checkSizes() error {
	for _, n := range []int{l.Rows, l.Dim, l.Height, l.Width, l.Filters, l.Kernel, l.Pool, l.Units} {
		if n > maxSize {
			return fmt.Errorf("a size of %d is more than %d", n, maxSize)
		}
	}
	return nil
}

// computed is what inference computes for one name beside a layer's output, in values: the patches of a conv2d and the
// gates of an lstm.
func (l *Layer) computed(in Node, out []int) float64 {
	switch l.Kind {
	case KindConv2D:
		return volume(out[:2]) * volume([]int{l.Kernel, l.Kernel, in.Shape[2]})
	case KindLSTM:
		return volume([]int{in.Shape[0], 4, l.Units})
	}
	return 0
}

// folded is the size of the table that an embedding before the layer is folded into, in values.
func (l *Layer) folded(in Node) float64 {
	switch l.Kind {
	case KindConv1D:
		return volume([]int{in.Layer.Rows, l.Kernel, l.Filters})
	case KindLSTM:
		return volume([]int{in.Layer.Rows, 4, l.Units})
	}
	return 0
}

// volume is a product that cannot overflow.
func volume(shape []int) float64 {
	n := 1.0
	for _, d := range shape {
		n *= float64(d)
	}
	return n
}

// check refuses more values than the bounds.
func (b *builder) check() error {
	bound, err := maxActivations()
	switch {
	case err != nil:
		return err
	case b.activations > bound:
		return fmt.Errorf("one name takes %.3g values up to here, more than %.0f. If you trust the model, set %s to more",
			b.activations, bound, ActivationsEnv)
	case b.params > MaxParameters:
		return fmt.Errorf("%.3g parameters up to here, more than %d", b.params, MaxParameters)
	}
	return nil
}

// infer returns a layer's output shape and parameters for an input shape.
func infer(l Layer, in []int) ([]int, []Param, error) {
	switch l.Kind {
	case KindEmbedding:
		if len(in) != 1 || l.Rows < 1 || l.Dim < 1 {
			return nil, nil, fmt.Errorf("needs codes, rows and dim, has input %v, %d rows, dim %d", in, l.Rows, l.Dim)
		}
		return []int{in[0], l.Dim}, []Param{{"embeddings", []int{l.Rows, l.Dim}}}, nil
	case KindConv1D:
		return inferConv(l, in)
	case KindMaxPool:
		return inferPool(l, in)
	case KindImage:
		return inferImage(l, in)
	case KindConv2D:
		return inferConv2D(l, in)
	case KindMaxPool2D:
		return inferPool2D(l, in)
	case KindLSTM, KindGRU:
		return inferRecurrent(l, in)
	case KindDense:
		if len(in) != 1 || l.Units < 1 {
			return nil, nil, fmt.Errorf("needs a flat input and units, has %v and %d", in, l.Units)
		}
		return []int{l.Units}, kernelAndBias(in[0], l.Units), l.checkActivation("", Linear, ReLU, Tanh, Sigmoid, Softmax)
	case KindThresholdedReLU:
		if l.Theta < 0 {
			return nil, nil, fmt.Errorf("theta %g is below 0", l.Theta)
		}
		return in, nil, nil
	case KindDropout:
		if l.Rate < 0 || l.Rate >= 1 {
			return nil, nil, fmt.Errorf("rate %g is not in [0, 1)", l.Rate)
		}
		return in, nil, nil
	case KindGlobalMaxPool:
		if len(in) != 2 {
			return nil, nil, fmt.Errorf("needs [time, features], has %v", in)
		}
		return []int{in[1]}, nil, nil
	case KindFlatten:
		return []int{sizeOf(in)}, nil, nil
	}
	return nil, nil, fmt.Errorf("unknown kind %q", l.Kind)
}

func inferConv(l Layer, in []int) ([]int, []Param, error) {
	if len(in) != 2 || l.Filters < 1 || l.Kernel < 1 {
		return nil, nil, fmt.Errorf("needs [time, features], filters and kernel, has %v, %d, %d", in, l.Filters, l.Kernel)
	}
	if err := l.checkActivation("", Linear, ReLU, Tanh); err != nil {
		return nil, nil, err
	}
	time := in[0]
	switch l.Padding {
	case Same:
	case Valid, "":
		time -= l.Kernel - 1
	default:
		return nil, nil, fmt.Errorf("unknown padding %q", l.Padding)
	}
	if time < 1 {
		return nil, nil, fmt.Errorf("kernel %d is longer than its input of %d", l.Kernel, in[0])
	}
	return []int{time, l.Filters}, kernelAndBias(l.Kernel, in[1], l.Filters), nil
}

func (l *Layer) checkActivation(known ...string) error {
	if !slices.Contains(known, l.Activation) {
		return fmt.Errorf("unknown activation %q", l.Activation)
	}
	return nil
}

// kernelAndBias are the parameters of a layer whose last dimension is its outputs.
func kernelAndBias(shape ...int) []Param {
	return []Param{{"kernel", shape}, {"bias", shape[len(shape)-1:]}}
}

func inferPool(l Layer, in []int) ([]int, []Param, error) {
	if len(in) != 2 || l.Pool < 1 {
		return nil, nil, fmt.Errorf("needs [time, features] and pool, has %v and %d", in, l.Pool)
	}
	time := in[0] / l.Pool
	switch l.Padding {
	case Same:
		time = (in[0] + l.Pool - 1) / l.Pool
	case Valid, "":
	default:
		return nil, nil, fmt.Errorf("unknown padding %q", l.Padding)
	}
	if time < 1 {
		return nil, nil, fmt.Errorf("pool %d is longer than its input of %d", l.Pool, in[0])
	}
	return []int{time, in[1]}, nil, nil
}

// gates is the number of a recurrent layer's matrices side by side: i, f, c and o of an lstm, z, r and h of a gru. The
// third are the candidates, the others are gates.
func (l *Layer) gates() int {
	if l.Kind == KindGRU {
		return 3
	}
	return 4
}

func inferRecurrent(l Layer, in []int) ([]int, []Param, error) {
	if len(in) != 2 || l.Units < 1 {
		return nil, nil, fmt.Errorf("needs [time, features] and units, has %v and %d", in, l.Units)
	}
	if !slices.Contains([]string{"", Sigmoid, Clip}, l.RecurrentActivation) {
		return nil, nil, fmt.Errorf("unknown recurrent_activation %q", l.RecurrentActivation)
	}
	width := l.gates() * l.Units
	bias := []int{width}
	if l.Kind == KindGRU && l.ResetAfter {
		bias = []int{2, width} // of the input and of the state
	}
	one := func(prefix string) []Param {
		return []Param{
			{prefix + "kernel", []int{in[1], width}},
			{prefix + "recurrent_kernel", []int{l.Units, width}},
			{prefix + "bias", bias},
		}
	}
	out, params := []int{l.Units}, one("")
	if l.Bidirectional {
		out, params = []int{2 * l.Units}, append(one("forward/"), one("backward/")...)
	}
	if l.ReturnSequences {
		out = []int{in[0], out[0]}
	}
	return out, params, nil
}

// SamePadding returns how many zero columns a Same convolution puts before and after its input.
func SamePadding(kernel int) (left, right int) { return (kernel - 1) / 2, kernel / 2 }

// PoolPadding returns how many columns, below any value, a Same pooling of length steps into windows of pool puts
// before and after its input. As in TensorFlow, both sides get the same number, and an odd column comes last.
func PoolPadding(length, pool int) (before, after int) {
	total := (pool - length%pool) % pool
	return total / 2, total - total/2
}

func sizeOf(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
