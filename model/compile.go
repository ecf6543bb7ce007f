package model

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/degas-dns/degas/model/kernels"
)

// compiled is a Spec with its weights, ready to run: one step per node, except that the embedding is folded into the
// linear layers behind it. It does not change after compile, so goroutines share it.
type compiled struct {
	window  int
	left    bool // padding is on the left, so names end at the window's end
	pad     int  // the padding code
	steps   []step
	widths  []int // of each buffer: values per name
	values  int   // per name: all buffers and the gates of an LSTM
	outputs int
}

// step computes the output of one node for the first n names of a scratch.
type step interface {
	run(s *scratch, n int)
}

// scratch holds the activations of up to one chunk of names. It belongs to one goroutine at a time.
type scratch struct {
	codes  []uint16    // [chunk, window]
	chars  []int       // [chunk]: codes that are no padding
	values [][]float32 // by buffer: [chunk, width]
	arg    []int32     // a convolution's winners, unused in inference
	lstm   lstmScratch
	gru    [5][]float32 // a gruStep's gates, states and products

	oneName [1]string // the name of Classifier.Score
	oneRow  []float32 // and its probabilities, [labels]
}

// scratch makes a scratch for a number of names of a model with that many labels.
func (p *compiled) scratch(names, labels int) *scratch {
	s := &scratch{codes: make([]uint16, names*p.window), chars: make([]int, names), oneRow: make([]float32, labels)}
	for _, w := range p.widths {
		s.values = append(s.values, make([]float32, names*w))
	}
	return s
}

// logits runs the network over the first n names of s. The result, [n, outputs], is valid until the next call.
func (p *compiled) logits(s *scratch, n int) []float32 {
	for _, st := range p.steps {
		st.run(s, n)
	}
	return s.values[len(s.values)-1][:n*p.outputs]
}

// compiler turns nodes into steps. Maps are keyed by a node's name.
type compiler struct {
	*compiled
	nodes   []Node
	byName  map[string]Node
	weights Weights
	users   map[string]int  // how many nodes read a node
	buffer  map[string]int  // index of the buffer that holds a node's output
	skip    map[string]bool // nodes that an earlier step computes as well
}

// compile prepares a valid Spec and its weights.
func compile(spec *Spec, w Weights) (*compiled, error) {
	nodes, err := spec.Graph()
	if err != nil {
		return nil, err
	}
	if err := w.Check(spec); err != nil {
		return nil, err
	}
	enc := &spec.Encoder
	b := compiler{
		compiled: &compiled{window: enc.Window, left: enc.PadSide == Left, pad: enc.Pad, outputs: spec.Outputs()},
		nodes:    nodes,
		byName:   map[string]Node{},
		weights:  w,
		users:    map[string]int{},
		buffer:   map[string]int{},
		skip:     map[string]bool{},
	}
	for _, n := range nodes {
		b.byName[n.Name] = n
		for _, in := range n.Inputs {
			b.users[in]++
		}
	}
	for i, n := range nodes {
		if b.skip[n.Name] || n.Kind == KindInput {
			continue
		}
		if err := b.node(i, n); err != nil {
			return nil, fmt.Errorf("prepare %s: %w", n.Name, err)
		}
	}
	return b.compiled, nil
}

func (b *compiler) alloc(n Node) int {
	b.buffer[n.Name] = len(b.widths)
	b.widen(sizeOf(n.Shape))
	return b.buffer[n.Name]
}

// widen adds a buffer.
func (b *compiler) widen(width int) {
	b.widths = append(b.widths, width)
	b.values += width
}

// input returns the buffer and the shape of what n reads.
func (b *compiler) input(n Node) (buffer int, shape []int) {
	return b.buffer[n.Inputs[0]], b.byName[n.Inputs[0]].Shape
}

// equalRows finds the equal rows of n's output.
func (b *compiler) equalRows(n Node) equalRows {
	f, _ := SpanOf(b.byName, n.Name)
	return equalRows{b.compiled, f}
}

func (b *compiler) param(n Node, i int) *Tensor { return b.weights[n.Params[i].Name] }

// embedded returns the embedding's table and reports whether n reads the embedding.
func (b *compiler) embedded(n Node) (*Tensor, bool) {
	e := b.nodes[1]
	return b.weights[e.Params[0].Name], n.Inputs[0] == e.Name
}

func (b *compiler) add(st step) { b.steps = append(b.steps, st) }

func (b *compiler) node(i int, n Node) error {
	in, shape := b.input(n)
	switch n.Kind {
	case KindEmbedding:
		if !b.foldable() {
			b.add(&embedStep{out: b.alloc(n), table: b.param(n, 0), window: b.window})
		}
	case KindImage:
		b.add(&imageStep{out: b.alloc(n), window: b.window})
	case KindConv1D:
		b.conv(i, n)
	case KindConv2D:
		b.conv2D(n)
	case KindMaxPool2D:
		b.add(&pool2DStep{in: in, out: b.alloc(n), shape: shape, pool: n.Layer.Pool})
	case KindLSTM:
		b.lstm(n)
	case KindGRU:
		b.gru(n)
	case KindThresholdedReLU:
		if b.pooledNext(i) {
			b.buffer[n.Name] = in
			return nil
		}
		b.add(newThresholdStep(b.equalRows(n), in, b.alloc(n), n.Shape, n.Layer.Theta))
	case KindMaxPool, KindGlobalMaxPool:
		b.pool(i, n)
	case KindDense:
		st := &denseStep{
			in:         in,
			out:        b.alloc(n),
			width:      shape[0],
			units:      n.Layer.Units,
			bias:       b.param(n, 1).Data,
			activation: n.Layer.Activation,
		}
		if i == len(b.nodes)-1 { // the head, whose logits are wanted
			st.activation = Linear
		}
		st.kernel.Pack(st.width, st.units, matrix(b.param(n, 0).Data, st.units))
		b.add(st)
	case KindConcatenate:
		st := &concatStep{width: n.Shape[0], out: b.alloc(n)}
		for _, in := range n.Inputs {
			st.in, st.widths = append(st.in, b.buffer[in]), append(st.widths, b.byName[in].Shape[0])
		}
		b.add(st)
	case KindFlatten, KindDropout:
		b.buffer[n.Name] = in
	default:
		return fmt.Errorf("unknown kind %q", n.Kind)
	}
	return nil
}

// pool adds a maximum over time and the ThresholdedReLU that waits for it.
func (b *compiler) pool(i int, n Node) {
	in, shape := b.input(n)
	st := &poolStep{
		equalRows: b.equalRows(n),
		in:        in,
		out:       b.alloc(n),
		time:      shape[0],
		features:  shape[1],
		outTime:   1,
		pool:      shape[0],
	}
	if n.Kind == KindMaxPool {
		st.outTime, st.pool = n.Shape[0], n.Layer.Pool
		if n.Layer.Padding == Same {
			st.before, _ = PoolPadding(shape[0], n.Layer.Pool)
		}
	}
	b.add(st)
	if b.pooledNext(i - 1) {
		b.add(newThresholdStep(b.equalRows(n), st.out, st.out, n.Shape, b.nodes[i-1].Layer.Theta))
	}
}

// pooledNext reports whether the i-th node is a ThresholdedReLU that only the maximum behind it reads. Its function
// never decreases, so it may as well come after the maximum, where there are fewer values.
func (b *compiler) pooledNext(i int) bool {
	n := b.nodes[i]
	if n.Kind != KindThresholdedReLU || i+1 == len(b.nodes) || b.users[n.Name] != 1 {
		return false
	}
	next := b.nodes[i+1]
	return next.Inputs[0] == n.Name && (next.Kind == KindMaxPool || next.Kind == KindGlobalMaxPool)
}

// foldable reports whether every reader of the embedding is linear in it.
func (b *compiler) foldable() bool {
	for _, n := range b.nodes {
		if slices.Contains(n.Inputs, b.nodes[1].Name) && n.Kind != KindConv1D && n.Kind != KindLSTM {
			return false
		}
	}
	return true
}

// conv folds a convolution of the embedding into table look-ups. If ReLU and a global maximum follow, and nothing else
// reads the convolution, all three become one step.
func (b *compiler) conv(i int, n Node) {
	in, shape := b.input(n)
	c := convStep{
		equalRows:  b.equalRows(n),
		in:         in,
		kernel:     n.Layer.Kernel,
		filters:    n.Layer.Filters,
		outTime:    n.Shape[0],
		inTime:     shape[0],
		bias:       b.param(n, 1).Data,
		activation: n.Layer.Activation,
	}
	if n.Layer.Padding == Same {
		c.left, _ = SamePadding(c.kernel)
	}
	table, embedded := b.embedded(n)
	if !embedded {
		c.pack(b.param(n, 0))
		c.out = b.alloc(n)
		b.add(&c)
		return
	}
	c.table = FoldConv(table, b.param(n, 0))
	next := b.nodes[min(i+1, len(b.nodes)-1)]
	pooled := next.Kind == KindGlobalMaxPool && next.Inputs[0] == n.Name && b.users[n.Name] == 1
	if pooled && n.Layer.Padding != Same && n.Layer.Activation == ReLU {
		b.skip[next.Name] = true
		c.out = b.alloc(next)
		b.add(&convMaxStep{c, b.left})
		return
	}
	c.out = b.alloc(n)
	b.add(&foldedConvStep{c})
}

// lstm adds a step for each direction. Both write into one buffer.
func (b *compiler) lstm(n Node) {
	table, embedded := b.embedded(n)
	units := n.Layer.Units
	in, shape := b.input(n)
	out := b.alloc(n)
	width := n.Shape[len(n.Shape)-1]
	for d := range width / units {
		kernel, recurrent, bias := b.param(n, 3*d), b.param(n, 3*d+1), b.param(n, 3*d+2)
		st := &lstmStep{
			in:       in,
			out:      out,
			offset:   d * units,
			width:    width,
			units:    units,
			time:     shape[0],
			kernel:   kernel,
			bias:     bias.Data,
			backward: d == 1,
			clip:     n.Layer.RecurrentActivation == Clip,
			all:      n.Layer.ReturnSequences,
		}
		st.recurrent.Pack(units, 4*units, matrix(recurrent.Data, 4*units))
		if !embedded {
			b.values += st.time * 4 * units // project
		} else {
			st.table = FoldDense(table, kernel, bias.Data)
			if b.left != st.backward { // this direction begins with the padding
				st.prefix(b.window, st.table[b.pad*4*units:(b.pad+1)*4*units])
			}
		}
		b.add(st)
	}
}

// gru adds a step for each direction, as lstm does, but folds nothing.
func (b *compiler) gru(n Node) {
	units := n.Layer.Units
	in, shape := b.input(n)
	out, width := b.alloc(n), n.Shape[len(n.Shape)-1]
	for d := range width / units {
		kernel, recurrent, bias := b.param(n, 3*d), b.param(n, 3*d+1), b.param(n, 3*d+2)
		st := &gruStep{
			in:         in,
			out:        out,
			offset:     d * units,
			width:      width,
			units:      units,
			time:       shape[0],
			backward:   d == 1,
			all:        n.Layer.ReturnSequences,
			resetAfter: n.Layer.ResetAfter,
			activation: cmp.Or(n.Layer.RecurrentActivation, Sigmoid),
			kernel:     kernel,
			bias:       slices.Clone(bias.Data[:3*units]),
			after:      make([]float32, units),
		}
		if n.Layer.ResetAfter { // the gates' two biases are added, the candidates' are not
			kernels.Add(st.bias[:2*units], bias.Data[3*units:])
			copy(st.after, bias.Data[5*units:])
		}
		st.gates.Pack(units, 2*units, matrix(recurrent.Data, 3*units))
		st.candidates.Pack(units, units, matrix(recurrent.Data[2*units:], 3*units))
		b.add(st)
	}
}

// FoldConv multiplies an embedding [rows, dim] into a convolution's kernel [kernel, dim, filters]: the result,
// [rows, kernel·filters], holds what each code adds to each filter at each offset of the kernel.
func FoldConv(embedding, kernel *Tensor) []float32 {
	rows, dim := embedding.Shape[0], embedding.Shape[1]
	size, filters := kernel.Shape[0], kernel.Shape[2]
	table := make([]float32, rows*size*filters)
	for j := range size {
		kernels.Gemm(rows, filters, dim, matrix(embedding.Data, dim), matrix(kernel.Data[j*dim*filters:], filters),
			matrix(table[j*filters:], size*filters), false)
	}
	return table
}

// FoldDense multiplies an embedding [rows, dim] into a kernel [dim, out] and adds the bias: [rows, out].
func FoldDense(embedding, kernel *Tensor, bias []float32) []float32 {
	rows, dim, out := embedding.Shape[0], embedding.Shape[1], kernel.Shape[1]
	table := make([]float32, rows*out)
	fillRows(table, bias)
	kernels.Gemm(rows, out, dim, matrix(embedding.Data, dim), matrix(kernel.Data, out), matrix(table, out), true)
	return table
}

// matrix reads data as rows of stride values.
func matrix(data []float32, stride int) kernels.Matrix {
	return kernels.Matrix{Data: data, Stride: stride}
}
