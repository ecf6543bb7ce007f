package model

import (
	"fmt"

	"github.com/degas-dns/degas/model/kernels"
)

// Layers over pictures, [height, width, features]: the codes of a name row after row, and two-dimensional convolution
// and pooling. Kernels and pools are square, and padding is always "valid".

func inferImage(l Layer, in []int) ([]int, []Param, error) {
	if len(in) != 1 || l.Height < 1 || l.Width < 1 || in[0] != l.Height*l.Width {
		return nil, nil, fmt.Errorf("needs as many codes as pixels, has %v and %d×%d", in, l.Height, l.Width)
	}
	return []int{l.Height, l.Width, 1}, nil, nil
}

func inferConv2D(l Layer, in []int) ([]int, []Param, error) {
	err := l.needs("[height, width, features]", len(in) == 3, in, size{"filters", l.Filters}, size{"kernel", l.Kernel})
	if err != nil {
		return nil, nil, err
	}
	if err := l.checkPicture(); err != nil {
		return nil, nil, err
	}
	out := []int{in[0] - l.Kernel + 1, in[1] - l.Kernel + 1, l.Filters}
	if out[0] < 1 || out[1] < 1 {
		return nil, nil, fmt.Errorf("kernel %d is larger than its input, %v", l.Kernel, in)
	}
	return out, kernelAndBias(l.Kernel, l.Kernel, in[2], l.Filters), nil
}

func inferPool2D(l Layer, in []int) ([]int, []Param, error) {
	if err := l.needs("[height, width, features]", len(in) == 3, in, size{"pool", l.Pool}); err != nil {
		return nil, nil, err
	}
	if err := l.checkPicture(); err != nil {
		return nil, nil, err
	}
	out := []int{in[0] / l.Pool, in[1] / l.Pool, in[2]}
	if out[0] < 1 || out[1] < 1 {
		return nil, nil, fmt.Errorf("pool %d is larger than its input, %v", l.Pool, in)
	}
	return out, nil, nil
}

// checkPicture checks the padding and the activation of a layer over pictures.
func (l *Layer) checkPicture() error {
	if l.Padding != "" && l.Padding != Valid {
		return fmt.Errorf("padding %q of pictures is not known", l.Padding)
	}
	if l.Kind == KindConv2D {
		return l.checkActivation(Linear, ReLU, Tanh)
	}
	return nil
}

// Patches writes to dst what each output pixel of a convolution reads: x, [height, width, features] of shape, becomes
// [rows·columns, kernel·kernel·features] for an output of [rows, columns]. The convolution is then one matrix product.
func Patches(dst, x []float32, shape []int, kernel int) {
	height, width, features := shape[0], shape[1], shape[2]
	run, at := kernel*features, 0
	for y := range height - kernel + 1 {
		for c := range width - kernel + 1 {
			for k := range kernel {
				from := ((y+k)*width + c) * features
				at += copy(dst[at:at+run], x[from:])
			}
		}
	}
}

// imageStep writes the codes as numbers.
type imageStep struct{ out, window int }

func (st *imageStep) run(s *scratch, n int) {
	y := s.values[st.out]
	for i, c := range s.codes[:n*st.window] {
		y[i] = float32(c)
	}
}

// conv2DStep is a convolution over pictures.
type conv2DStep struct {
	in, out, patches int
	shape            []int // of the input
	kernel           int
	pixels, filters  int // of the output
	weights          kernels.Packed
	bias             []float32
	activation       string
}

func (st *conv2DStep) run(s *scratch, n int) {
	size, depth := sizeOf(st.shape), st.kernel*st.kernel*st.shape[2]
	patches := s.values[st.patches]
	for i := range n {
		Patches(patches[i*st.pixels*depth:], s.values[st.in][i*size:(i+1)*size], st.shape, st.kernel)
	}
	y := s.values[st.out][:n*st.pixels*st.filters]
	fillRows(y, st.bias)
	kernels.GemmPacked(n*st.pixels, matrix(patches, depth), &st.weights, matrix(y, st.filters), true)
	activate(y, st.activation)
}

// pool2DStep takes the maximum over squares.
type pool2DStep struct {
	in, out int
	shape   []int // of the input
	pool    int
}

func (st *pool2DStep) run(s *scratch, n int) {
	size, features := sizeOf(st.shape), st.shape[2]
	row, at := st.shape[1]*features, 0
	y := s.values[st.out]
	for i := range n {
		x := s.values[st.in][i*size : (i+1)*size]
		for r := range st.shape[0] / st.pool {
			for c := range st.shape[1] / st.pool {
				out := y[at : at+features]
				corner := x[r*st.pool*row+c*st.pool*features:]
				copy(out, corner)
				for k := range st.pool * st.pool {
					for f, v := range corner[k/st.pool*row+k%st.pool*features:][:features] {
						out[f] = max(out[f], v)
					}
				}
				at += features
			}
		}
	}
}

// conv2D adds a convolution over pictures, with a buffer for its patches.
func (b *compiler) conv2D(n Node) {
	in, shape := b.input(n)
	st := &conv2DStep{
		in:         in,
		patches:    len(b.widths),
		shape:      shape,
		kernel:     n.Layer.Kernel,
		pixels:     n.Shape[0] * n.Shape[1],
		filters:    n.Layer.Filters,
		bias:       b.param(n, 1).Data,
		activation: n.Layer.Activation,
	}
	depth := st.kernel * st.kernel * shape[2]
	b.widen(st.pixels * depth)
	st.weights.Pack(depth, st.filters, matrix(b.param(n, 0).Data, st.filters))
	st.out = b.alloc(n)
	b.add(st)
}
