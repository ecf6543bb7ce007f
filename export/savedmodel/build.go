package savedmodel

import (
	"fmt"
	"slices"

	"github.com/degas-dns/degas/export/internal/nodes"
	"github.com/degas-dns/degas/model"
)

// value is a node's output: [batch, time, features], [batch, height, width, features] or [batch, features].
type value struct {
	tensor string
	shape  []int // without the batch
}

// builder adds one copy of the network to a graph. prefix begins the names of its operations.
type builder struct {
	*graph
	m      *model.Model
	prefix string
	values map[string]value
}

// op adds an operation that belongs to this copy.
func (b *builder) op(kind, name string, a attributes, inputs ...string) string {
	return b.add(kind, b.prefix+name, inputs, a)
}

// scalar is a float constant.
func (b *builder) scalar(name string, x float32) string { return b.floats(name, nil, []float32{x}) }

// param is node n's i-th parameter.
func (b *builder) param(n model.Node, i int) string {
	p := n.Params[i]
	return b.floats(p.Name, p.Shape, b.m.Weights[p.Name].Data)
}

// network adds every node behind the codes, int32 [batch, window].
func (b *builder) network(list []model.Node, codes string) error {
	b.values[list[0].Name] = value{codes, list[0].Shape}
	for _, n := range list[1:] {
		in := b.values[n.Inputs[0]]
		out, err := b.node(n, in)
		if err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
		b.values[n.Name] = value{out, n.Shape}
	}
	return nil
}

// node adds n, whose first input is in, and names its output.
func (b *builder) node(n model.Node, in value) (string, error) {
	switch n.Kind {
	case model.KindEmbedding:
		return b.gather(n.Name+"/GatherV2", b.param(n, 0), in.tensor, typeFloat), nil
	case model.KindConv1D:
		return b.conv(n, in), nil
	case model.KindThresholdedReLU:
		return b.threshold(n, in), nil
	case model.KindMaxPool:
		return b.pool(n, in), nil
	case model.KindGlobalMaxPool:
		return b.op("Max", n.Name+"/Max", attributes{"T": typeFloat, "Tidx": typeInt32, "keep_dims": false},
			in.tensor, b.number(1)), nil
	case model.KindFlatten:
		return b.reshape(n.Name+"/Reshape", in.tensor, typeFloat, n.Shape[0]), nil
	case model.KindImage:
		numbers := b.op("Cast", n.Name+"/Cast", attributes{"SrcT": typeInt32, "DstT": typeFloat}, in.tensor)
		return b.reshape(n.Name+"/Reshape", numbers, typeFloat, n.Shape...), nil
	case model.KindConv2D:
		return b.activate(n, b.bias(n, b.convolve(n, in.tensor, b.param(n, 0)))), nil
	case model.KindMaxPool2D:
		return b.largest(n, in.tensor, n.Layer.Pool, n.Layer.Pool), nil
	case model.KindLSTM, model.KindGRU:
		return b.recurrent(n, in), nil
	case model.KindDropout: // nothing in inference
		return in.tensor, nil
	case model.KindDense:
		y := b.op("MatMul", n.Name+"/MatMul", ofFloats, in.tensor, b.param(n, 0))
		return b.activate(n, b.bias(n, y)), nil
	case model.KindConcatenate:
		var parts []string
		for _, name := range n.Inputs {
			parts = append(parts, b.values[name].tensor)
		}
		return b.concat(n.Name+"/concat", 1, parts...), nil
	}
	return "", fmt.Errorf("SavedModel export knows no kind %q", n.Kind)
}

// gather takes rows of params.
func (b *builder) gather(name, params, indices string, kind dataType) string {
	return b.op("GatherV2", name, attributes{"Tparams": kind, "Tindices": typeInt32, "Taxis": typeInt32},
		params, indices, b.number(0))
}

// reshape makes x [batch, sizes…]. All sizes are written out, so that an empty batch has a shape too.
func (b *builder) reshape(name, x string, kind dataType, sizes ...int) string {
	shape, shared := []int32{-1}, "const/shape"
	for _, d := range sizes {
		shape, shared = append(shape, int32(d)), fmt.Sprintf("%s_%d", shared, d)
	}
	return b.op("Reshape", name, attributes{"T": kind, "Tshape": typeInt32},
		x, b.int32s(shared, shape...))
}

func (b *builder) concat(name string, axis int, parts ...string) string {
	return b.op("ConcatV2", name, attributes{"N": len(parts), "T": typeFloat, "Tidx": typeInt32},
		append(slices.Clip(parts), b.number(axis))...)
}

func (b *builder) bias(n model.Node, x string) string {
	return b.op("BiasAdd", n.Name+"/BiasAdd", ofFloats, x, b.param(n, 1))
}

func (b *builder) activate(n model.Node, x string) string {
	op := nodes.Operators[n.Layer.Activation]
	if op == "" {
		return x
	}
	return b.op(op, n.Name+"/"+op, ofFloats, x)
}

// image turns a sequence into a picture one pixel high, [batch, 1, time, features], and sequence undoes that:
// TensorFlow convolves and pools pictures only.
func (b *builder) image(n model.Node, x string) string {
	return b.op("ExpandDims", n.Name+"/ExpandDims", attributes{"T": typeFloat, "Tdim": typeInt32}, x, b.number(1))
}

func (b *builder) sequence(n model.Node, x string) string {
	return b.op("Squeeze", n.Name+"/Squeeze", attributes{"T": typeFloat, "squeeze_dims": intsValue{1}}, x)
}

func (b *builder) conv(n model.Node, in value) string {
	p := n.Params[0]
	kernel := b.floats(p.Name, append([]int{1}, p.Shape...), b.m.Weights[p.Name].Data)
	y := b.convolve(n, b.image(n, in.tensor), kernel)
	return b.activate(n, b.bias(n, b.sequence(n, y)))
}

// convolve convolves pictures.
func (b *builder) convolve(n model.Node, pictures, kernel string) string {
	ones := intsValue{1, 1, 1, 1}
	return b.op("Conv2D", n.Name+"/Conv2D", attributes{"T": typeFloat, "strides": ones, "dilations": ones,
		"padding": padding(n.Layer), "data_format": "NHWC"}, pictures, kernel)
}

func (b *builder) pool(n model.Node, in value) string {
	return b.sequence(n, b.largest(n, b.image(n, in.tensor), 1, n.Layer.Pool))
}

// largest takes the maximum over height·width pixels of pictures.
func (b *builder) largest(n model.Node, pictures string, height, width int) string {
	size := intsValue{1, height, width, 1}
	return b.op("MaxPool", n.Name+"/MaxPool", attributes{"T": typeFloat, "ksize": size, "strides": size,
		"padding": padding(n.Layer), "data_format": "NHWC"}, pictures)
}

func padding(l model.Layer) string {
	if l.Padding == model.Same {
		return "SAME"
	}
	return "VALID"
}

func (b *builder) threshold(n model.Node, in value) string {
	theta := b.scalar(n.Name+"/theta", float32(n.Layer.Theta))
	above := b.op("Greater", n.Name+"/Greater", ofFloats, in.tensor, theta)
	return b.op("SelectV2", n.Name+"/SelectV2", ofFloats, above, in.tensor, b.scalar("const/0.0", 0))
}
