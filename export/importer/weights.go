package importer

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/degas-dns/degas/export/internal/h5"
	"github.com/degas-dns/degas/model"
)

// weights reads the tensors of each of the Spec's nodes from the Keras layer it came from. Keras keeps a layer's
// variables in the order of a node's parameters. It adds the layers' names to names, by node.
func weights(
	spec *model.Spec, from []placed, root, group *h5.Object, names map[string]string,
) (model.Weights, error) {
	backend, err := group.Strings("backend")
	if err != nil && !errors.Is(err, h5.ErrMissing) {
		return nil, err
	}
	convolves := slices.Equal(backend, []string{"theano"})
	slope, err := hardSlope(root)
	if err != nil {
		return nil, err
	}
	list, err := spec.Graph()
	if err != nil {
		return nil, err
	}
	out := model.Weights{}
	for _, n := range list {
		if n.Kind == model.KindInput || n.Kind == model.KindImage || n.Kind == model.KindConcatenate {
			continue
		}
		if len(from) == 0 {
			return nil, fmt.Errorf("layer %s: no layer of the file is left for it", n.Name)
		}
		l, norms := from[0].from, from[0].norms
		names[n.Name], from = l.Name, from[1:]
		switch {
		case len(n.Params) == 0:
			continue
		case l.norm != nil:
			l.norm.square(n, out)
			continue
		}
		if err := l.read(group, n, out); err != nil {
			return nil, fmt.Errorf("layer %s: %w", l.Name, err)
		}
		if convolves && (n.Kind == model.KindConv1D || n.Kind == model.KindConv2D) {
			turn(out[n.Params[0].Name])
		}
		if l.hard {
			out.ScaleGates(n, slope, 0.5)
		}
		for _, l := range norms {
			if err := l.norm.fold(n, out); err != nil {
				return nil, fmt.Errorf("layer %s: %w", l.Name, err)
			}
		}
	}
	return out, nil
}

// hardSlope is the slope of hard_sigmoid in the Keras that wrote the file.
func hardSlope(root *h5.Object) (float64, error) {
	version, err := root.Strings("keras_version")
	if err != nil && !errors.Is(err, h5.ErrMissing) {
		return 0, err
	}
	major, _, _ := strings.Cut(strings.Join(version, ""), ".")
	if n, err := strconv.Atoi(major); err == nil && n >= 3 {
		return 1.0 / 6, nil
	}
	return 0.2, nil
}

// variables returns l's group and the names of its variables.
func (l *kerasLayer) variables(group *h5.Object) (g *h5.Object, names []string, err error) {
	if g, err = group.Child(l.Name); err == nil {
		names, err = g.Strings("weight_names")
	}
	return g, names, err
}

func readVariable(g *h5.Object, name string) (shape []int, values []float32, err error) {
	d, err := g.Child(strings.Trim(name, "/"))
	if err != nil {
		return nil, nil, err
	}
	return d.Float32()
}

func (l *kerasLayer) read(group *h5.Object, n model.Node, out model.Weights) error {
	g, names, err := l.variables(group)
	if err != nil {
		return err
	}
	params := n.Params
	if gates := gateOrder[n.Kind]; gates != nil && len(names) == len(gates)*len(params) && !n.Layer.ResetAfter {
		return readGates(g, names, n, out)
	}
	withBias := get(l.Config, true, "use_bias")
	if err := l.Config.err(); err != nil {
		return err
	}
	if !withBias && len(names) < len(params) {
		for _, p := range params {
			if strings.HasSuffix(p.Name, "/bias") {
				out[p.Name] = model.NewTensor(p.Shape...)
			}
		}
		params = slices.DeleteFunc(slices.Clone(params), func(p model.Param) bool { return out[p.Name] != nil })
	}
	if len(names) != len(params) {
		return fmt.Errorf("has %d variables, a %s has %d", len(names), n.Kind, len(params))
	}
	for i, p := range params {
		shape, values, err := readVariable(g, names[i])
		if err != nil {
			return err
		}
		if len(shape) == 4 && shape[1] == 1 && n.Kind == model.KindConv1D { // Keras 1: [kernel, 1, in, filters]
			shape = []int{shape[0], shape[2], shape[3]}
		}
		want := slices.Clone(p.Shape)
		if l.cuDNN && len(want) == 1 {
			want[0] *= 2
		}
		if !slices.Equal(shape, want) {
			return fmt.Errorf("%s has shape %v, the layer needs %v", names[i], shape, want)
		}
		if l.cuDNN {
			values = fromCuDNN(values, p.Shape)
		}
		out[p.Name] = &model.Tensor{Shape: p.Shape, Data: values}
	}
	return nil
}

// fromCuDNN turns a variable of a CuDNNLSTM into that of an LSTM, of the given shape. The matrix of each gate is
// transposed and then read as if it were not, and there are two biases to add.
func fromCuDNN(values []float32, shape []int) []float32 {
	width := shape[len(shape)-1]
	if len(shape) == 1 {
		for i := range width {
			values[i] += values[width+i]
		}
		return values[:width]
	}
	in, units := shape[0], width/4
	out := make([]float32, len(values))
	for i := range in {
		for q := range width {
			at := q%units*in + i
			out[i*width+q] = values[at/units*width+q/units*units+at%units]
		}
	}
	return out
}

// gateOrder says where Keras 1 has a recurrent layer's gates: i, f, c, o of an LSTM, of which it keeps i, c, f, o, and
// z, r, h of a GRU.
var gateOrder = map[string][]int{model.KindLSTM: {0, 2, 1, 3}, model.KindGRU: {0, 1, 2}}

// readGates reads a recurrent layer of Keras 1, which keeps kernel, recurrent kernel and bias of each gate apart.
func readGates(g *h5.Object, names []string, n model.Node, out model.Weights) error {
	for i, p := range n.Params {
		t := model.NewTensor(p.Shape...)
		order, width, units := gateOrder[n.Kind], p.Shape[len(p.Shape)-1], n.Layer.Units
		for gate, at := range order {
			name := names[(i/3*len(order)+at)*3+i%3]
			shape, values, err := readVariable(g, name)
			if err != nil {
				return err
			}
			want := slices.Clone(p.Shape)
			if want[len(want)-1] = units; !slices.Equal(shape, want) {
				return fmt.Errorf("%s has shape %v, the layer needs %v", name, shape, want)
			}
			for k := range len(values) / units {
				copy(t.Data[k*width+gate*units:], values[k*units:(k+1)*units])
			}
		}
		out[p.Name] = t
	}
	return nil
}

// turn reverses the spatial axes of a kernel, [kernel…, in, filters], in place: Theano convolves where others
// correlate.
func turn(kernel *model.Tensor) {
	d := kernel.Data
	size := kernel.Shape[len(kernel.Shape)-2] * kernel.Shape[len(kernel.Shape)-1]
	for lo, hi := 0, len(d)-size; lo < hi; lo, hi = lo+size, hi-size {
		for i := range size {
			d[lo+i], d[hi+i] = d[hi+i], d[lo+i]
		}
	}
}
