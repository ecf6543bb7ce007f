package onnx

import (
	"fmt"
	"strings"

	"github.com/degas-dns/degas/export/internal/nodes"
	"github.com/degas-dns/degas/model"
)

// Axis orders: N for the batch, T for time, H and W for height and width, C for features.
const (
	stepsMajor    = "NTC"  // sequences in Keras
	channelsMajor = "NCT"  // sequences in ONNX' Conv and pooling
	timeMajor     = "TNC"  // sequences in ONNX' LSTM
	pixelsMajor   = "NHWC" // pictures in Keras
	planesMajor   = "NCHW" // pictures in ONNX
	flat          = "NC"   // one vector per name
)

// value is a node's output: the order it was made in, and its name in each order made so far.
type value struct {
	order string
	names map[string]string
	shape []int // as model.Node has it
}

// builder translates nodes one after another.
type builder struct {
	graph
	weights model.Weights
	values  map[string]value
	pads    bool // an empty batch needs a row: see padBatch
}

// set records that node n's output is called name.
func (b *builder) set(n model.Node, name, order string) {
	b.values[n.Name] = value{order, map[string]string{order: name}, n.Shape}
}

// get names node's output in the wanted axis order. It adds a transposition the first time one is needed.
func (b *builder) get(node, order string) string {
	v := b.values[node]
	if v.names[order] == "" {
		perm := make([]int, len(order))
		for i := range order {
			perm[i] = strings.IndexByte(v.order, order[i])
		}
		v.names[order] = b.op("Transpose", node+"/"+order, []string{v.names[v.order]}, 0, intsAttr("perm", perm...))
	}
	return v.names[order]
}

func (b *builder) param(n model.Node, i int) string {
	p := n.Params[i]
	return b.floats(p.Name, p.Shape, b.weights[p.Name].Data)
}

// node adds n. The head stays linear, because outputs applies its activation.
func (b *builder) node(n model.Node, head bool) error {
	l := n.Layer
	switch n.Kind {
	case model.KindInput:
		b.inputs = append(b.inputs, matrix(n.Name, typeInt64, n.Shape[0]))
		codes := n.Name
		if b.pads {
			codes = b.padBatch(codes)
		}
		b.set(n, codes, flat)
	case model.KindEmbedding:
		b.set(n, b.gather(n.Name, b.param(n, 0), b.get(n.Inputs[0], flat), 0), stepsMajor)
	case model.KindConv1D:
		b.conv(n)
	case model.KindThresholdedReLU:
		in := b.values[n.Inputs[0]]
		alpha := floatAttr("alpha", float32(l.Theta))
		b.set(n, b.op("ThresholdedRelu", n.Name, []string{in.names[in.order]}, 0, alpha), in.order)
	case model.KindMaxPool:
		before, after := 0, 0
		if l.Padding == model.Same {
			before, after = model.PoolPadding(b.values[n.Inputs[0]].shape[0], l.Pool)
		}
		b.set(n, b.op("MaxPool", n.Name, []string{b.get(n.Inputs[0], channelsMajor)}, 0,
			intsAttr("kernel_shape", l.Pool), intsAttr("strides", l.Pool), intsAttr("pads", before, after)), channelsMajor)
	case model.KindGlobalMaxPool:
		pooled := b.op("GlobalMaxPool", n.Name+"/pooled", []string{b.get(n.Inputs[0], channelsMajor)}, 0)
		b.set(n, b.flatten(n.Name, pooled), flat)
	case model.KindFlatten:
		b.flattenNode(n)
	case model.KindImage, model.KindConv2D, model.KindMaxPool2D:
		b.picture(n)
	case model.KindLSTM, model.KindGRU:
		b.recurrent(n)
	case model.KindDropout: // nothing in inference
		b.values[n.Name] = b.values[n.Inputs[0]]
	case model.KindDense:
		act := l.Activation
		if head {
			act = model.Linear
		}
		y := b.op("Gemm", n.Name+"/linear", []string{b.get(n.Inputs[0], flat), b.param(n, 0), b.param(n, 1)}, 0)
		b.set(n, b.activate(n.Name, y, act), flat)
	case model.KindConcatenate:
		var in []string
		for _, name := range n.Inputs {
			in = append(in, b.get(name, flat))
		}
		b.set(n, b.op("Concat", n.Name, in, 0, intAttr("axis", 1)), flat)
	default:
		return fmt.Errorf("%s: ONNX export knows no kind %q", n.Name, n.Kind)
	}
	return nil
}

// flatten drops or joins all axes behind the batch.
func (b *builder) flatten(name, in string) string {
	return b.op("Flatten", name, []string{in}, 0, intAttr("axis", 1))
}

// flattenNode joins all axes behind the batch in Keras' order.
func (b *builder) flattenNode(n model.Node) {
	in := n.Inputs[0]
	switch len(b.values[in].order) {
	case len(flat):
		b.values[n.Name] = b.values[in]
	case len(pixelsMajor):
		b.set(n, b.flatten(n.Name, b.get(in, pixelsMajor)), flat)
	default:
		b.set(n, b.flatten(n.Name, b.get(in, stepsMajor)), flat)
	}
}

// gather takes entries of x along an axis.
func (b *builder) gather(name, x, indices string, axis int) string {
	return b.op("Gather", name, []string{x, indices}, 0, intAttr("axis", axis))
}

func (b *builder) activate(name, in, activation string) string {
	if op := nodes.Operators[activation]; op != "" {
		return b.op(op, name, []string{in}, 0)
	}
	return in
}

func (b *builder) conv(n model.Node) {
	l, before, after := n.Layer, 0, 0
	if l.Padding == model.Same {
		before, after = model.SamePadding(l.Kernel)
	}
	b.convolve(n, channelsMajor, intsAttr("kernel_shape", l.Kernel), intsAttr("strides", 1),
		intsAttr("dilations", 1), intAttr("group", 1), intsAttr("pads", before, after))
}

// convolve adds a convolution whose input and output are in the given order.
func (b *builder) convolve(n model.Node, order string, attributes ...attribute) {
	shape, data := convKernel(b.weights[n.Params[0].Name])
	kernel := b.floats(n.Params[0].Name, shape, data)
	y := b.op("Conv", n.Name+"/linear", []string{b.get(n.Inputs[0], order), kernel, b.param(n, 1)}, 0, attributes...)
	b.set(n, b.activate(n.Name, y, n.Layer.Activation), order)
}

func (b *builder) picture(n model.Node) {
	l := n.Layer
	switch n.Kind {
	case model.KindImage:
		// A batch of -1 would be ambiguous if it is empty. 0 takes the input's.
		shape := b.int64s(n.Name+"/shape", 0, 1, int64(l.Height), int64(l.Width))
		numbers := b.op("Cast", n.Name+"/numbers", []string{b.get(n.Inputs[0], flat)}, 0, intAttr("to", typeFloat))
		b.set(n, b.op("Reshape", n.Name, []string{numbers, shape}, 0), planesMajor)
	case model.KindConv2D:
		b.convolve(n, planesMajor, intsAttr("kernel_shape", l.Kernel, l.Kernel))
	case model.KindMaxPool2D:
		b.set(n, b.op("MaxPool", n.Name, []string{b.get(n.Inputs[0], planesMajor)}, 0,
			intsAttr("kernel_shape", l.Pool, l.Pool), intsAttr("strides", l.Pool, l.Pool)), planesMajor)
	}
}

// outputs adds "probabilities" and "score" behind the head's logits.
func (b *builder) outputs(head model.Node, labels int) {
	logits := []string{b.get(head.Name, flat)}
	if b.pads {
		logits[0] = b.cutBatch(logits[0])
	}
	if head.Layer.Activation == model.Sigmoid {
		b.op("Sigmoid", OutputScore, logits, 0)
		rest := b.op("Sub", "probabilities/benign", []string{b.one(), OutputScore}, 0)
		b.op("Concat", OutputProbabilities, []string{rest, OutputScore}, 0, intAttr("axis", 1))
	} else {
		b.op("Softmax", OutputProbabilities, logits, 0, intAttr("axis", -1))
		b.score(labels)
	}
	b.results = append(b.results, matrix(OutputScore, typeFloat, 1), matrix(OutputProbabilities, typeFloat, labels))
}

// score computes the score from the probabilities as model.ScoreOf does: the second of two, else 1 less the first.
func (b *builder) score(labels int) {
	if labels == 2 {
		b.gather(OutputScore, OutputProbabilities, b.int64s("score/column", 1), 1)
		return
	}
	benign := b.gather("score/benign", OutputProbabilities, b.int64s("score/column", 0), 1)
	b.op("Sub", OutputScore, []string{b.one(), benign}, 0)
}

func (b *builder) one() string { return b.floats("score/one", []int{1}, []float32{1}) }
