package model

import (
	"fmt"
	"slices"

	"github.com/degas-dns/degas/model/kernels"
)

// plan is a Spec and its weights prepared for inference: the embedding folded into whatever linear layer follows it,
// one step a remaining node.
type plan struct {
	window  int
	left    bool // padding is on the left, so names end at the window's end
	pad     int  // the padding code
	steps   []step
	widths  []int // values a name of each buffer
	outputs int
}

// step computes one node for the first n names of a scratch.
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
	one    [1]string // the name of Score, and its probabilities
	p      []float32
}

func (p *plan) scratch(names int) *scratch {
	s := &scratch{codes: make([]uint16, names*p.window), chars: make([]int, names)}
	for _, w := range p.widths {
		s.values = append(s.values, make([]float32, names*w))
	}
	return s
}

// logits runs the network over the first n names of s. The result, [n, outputs], is valid until the next call.
func (p *plan) logits(s *scratch, n int) []float32 {
	for _, st := range p.steps {
		st.run(s, n)
	}
	return s.values[len(s.values)-1][:n*p.outputs]
}

// span is where the padding of the i-th name of a scratch ends up behind the layers that f follows; none for a nil f.
func (p *plan) span(s *scratch, i int, f func(Span) Span) Span {
	if f == nil {
		return Span{}
	}
	return f(PaddingSpan(p.window, s.chars[i], p.left))
}

// planner turns nodes into steps. A buffer is named by the node whose output it holds.
type planner struct {
	*plan
	nodes   []Node
	byName  map[string]Node
	weights Weights
	users   map[string]int // consumers of each node
	buffer  map[string]int
	shape   map[string][]int
	skip    map[string]bool // nodes already done by a fused step
}

func newPlan(spec *Spec, w Weights) (*plan, error) {
	nodes, err := spec.Graph()
	if err != nil {
		return nil, err
	}
	if err := w.Check(spec); err != nil {
		return nil, err
	}
	b := planner{plan: &plan{window: spec.Encoder.Window, left: spec.Encoder.PadSide == Left, pad: spec.Encoder.Pad, outputs: spec.Outputs()},
		nodes: nodes, byName: map[string]Node{}, weights: w, users: map[string]int{}, buffer: map[string]int{}, shape: map[string][]int{}, skip: map[string]bool{}}
	for _, n := range nodes {
		b.shape[n.Name], b.byName[n.Name] = n.Shape, n
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
	return b.plan, nil
}

// alloc gives node name a buffer.
func (b *planner) alloc(name string) int {
	b.widths = append(b.widths, sizeOf(b.shape[name]))
	b.buffer[name] = len(b.widths) - 1
	return len(b.widths) - 1
}

// runs is for finding equal rows in n's output.
func (b *planner) runs(n Node) equalRows {
	f, _ := SpanOf(b.byName, n.Name)
	return equalRows{plan: b.plan, follow: f}
}

func (b *planner) param(n Node, i int) *Tensor { return b.weights[n.Params[i].Name] }

// embedded reports whether n reads the embedding directly, and its table.
func (b *planner) embedded(n Node) (*Tensor, bool) {
	e := b.nodes[1]
	return b.weights[e.Params[0].Name], n.Inputs[0] == e.Name
}

func (b *planner) node(i int, n Node) error {
	head := i == len(b.nodes)-1
	switch n.Kind {
	case KindEmbedding:
		if b.foldable() {
			return nil
		}
		b.steps = append(b.steps, &embedStep{out: b.alloc(n.Name), table: b.param(n, 0), window: b.window})
	case KindImage:
		b.steps = append(b.steps, &imageStep{out: b.alloc(n.Name), window: b.window})
	case KindConv1D:
		b.conv(i, n)
	case KindConv2D:
		b.conv2D(n)
	case KindMaxPool2D:
		b.steps = append(b.steps, &pool2DStep{in: b.buffer[n.Inputs[0]], out: b.alloc(n.Name), shape: b.shape[n.Inputs[0]], pool: n.Layer.Pool})
	case KindLSTM:
		b.lstm(n)
	case KindThresholdedReLU:
		in := b.buffer[n.Inputs[0]]
		if b.pooledNext(i, n) {
			b.buffer[n.Name] = in
			return nil
		}
		b.steps = append(b.steps, newThresholdStep(b.runs(n), in, b.alloc(n.Name), n.Shape, n.Layer.Theta))
	case KindMaxPool, KindGlobalMaxPool:
		shape := b.shape[n.Inputs[0]]
		st := &poolStep{equalRows: b.runs(n), in: b.buffer[n.Inputs[0]], time: shape[0], features: shape[1], outTime: 1, pool: shape[0]}
		if n.Kind == KindMaxPool {
			st.outTime, st.pool = n.Shape[0], n.Layer.Pool
			if n.Layer.Padding == Same {
				st.before, _ = PoolPadding(shape[0], n.Layer.Pool)
			}
		}
		st.out = b.alloc(n.Name)
		b.steps = append(b.steps, st)
		if from := b.nodes[i-1]; from.Kind == KindThresholdedReLU && b.pooledNext(i-1, from) {
			b.steps = append(b.steps, newThresholdStep(b.runs(n), st.out, st.out, n.Shape, from.Layer.Theta))
		}
	case KindDense:
		act := n.Layer.Activation
		if head {
			act = Linear
		}
		in := b.buffer[n.Inputs[0]]
		kernel := b.param(n, 0)
		st := &denseStep{in: in, out: b.alloc(n.Name), width: kernel.Shape[0], units: kernel.Shape[1], bias: b.param(n, 1).Data, activation: act}
		st.kernel.Pack(st.width, st.units, kernels.Matrix{Data: kernel.Data, Stride: st.units})
		b.steps = append(b.steps, st)
	case KindConcatenate:
		st := &concatStep{width: n.Shape[0]}
		for _, in := range n.Inputs {
			st.in, st.widths = append(st.in, b.buffer[in]), append(st.widths, b.shape[in][0])
		}
		st.out = b.alloc(n.Name)
		b.steps = append(b.steps, st)
	case KindFlatten, KindDropout:
		b.buffer[n.Name] = b.buffer[n.Inputs[0]]
	default:
		return fmt.Errorf("unknown kind %q", n.Kind)
	}
	return nil
}

// pooledNext reports whether ThresholdedReLU n, the i-th node, is read by a maximum alone. It never decreases, so it may
// as well come after the maximum, on fewer values.
func (b *planner) pooledNext(i int, n Node) bool {
	if i+1 >= len(b.nodes) || b.users[n.Name] != 1 {
		return false
	}
	next := b.nodes[i+1]
	return next.Inputs[0] == n.Name && (next.Kind == KindMaxPool || next.Kind == KindGlobalMaxPool)
}

// foldable reports whether every reader of the embedding is linear in it.
func (b *planner) foldable() bool {
	for _, n := range b.nodes {
		if slices.Contains(n.Inputs, b.nodes[1].Name) && n.Kind != KindConv1D && n.Kind != KindLSTM {
			return false
		}
	}
	return true
}

// conv folds a convolution of the embedding into table look-ups; with ReLU and a global maximum behind it, as the only
// reader, all three become one step.
func (b *planner) conv(i int, n Node) {
	left := 0
	if n.Layer.Padding == Same {
		left, _ = SamePadding(n.Layer.Kernel)
	}
	c := convStep{equalRows: b.runs(n), kernel: n.Layer.Kernel, filters: n.Layer.Filters, left: left, outTime: n.Shape[0], inTime: b.shape[n.Inputs[0]][0],
		bias: b.param(n, 1).Data, activation: n.Layer.Activation}
	table, embedded := b.embedded(n)
	if !embedded {
		c.in = b.buffer[n.Inputs[0]]
		c.pack(b.param(n, 0))
		c.out = b.alloc(n.Name)
		b.steps = append(b.steps, &c)
		return
	}
	c.table = FoldConv(table, b.param(n, 0))
	next := b.nodes[min(i+1, len(b.nodes)-1)]
	if next.Kind == KindGlobalMaxPool && next.Inputs[0] == n.Name && b.users[n.Name] == 1 && n.Layer.Padding != Same && n.Layer.Activation == ReLU {
		b.skip[next.Name] = true
		c.out = b.alloc(next.Name)
		b.steps = append(b.steps, &convMaxStep{convStep: c, leftPadded: b.left})
		return
	}
	c.out = b.alloc(n.Name)
	b.steps = append(b.steps, &foldedConvStep{c})
}

func (b *planner) lstm(n Node) {
	table, embedded := b.embedded(n)
	units := n.Layer.Units
	directions := 1
	if n.Layer.Bidirectional {
		directions = 2
	}
	in := b.buffer[n.Inputs[0]]
	out := b.alloc(n.Name)
	for d := range directions {
		kernel, recurrent, bias := b.param(n, 3*d), b.param(n, 3*d+1), b.param(n, 3*d+2)
		st := &lstmStep{in: in, out: out, offset: d * units, width: directions * units, units: units, time: b.shape[n.Inputs[0]][0],
			kernel: kernel, bias: bias.Data, backward: d == 1}
		st.recurrent.Pack(units, 4*units, kernels.Matrix{Data: recurrent.Data, Stride: 4 * units})
		if embedded {
			st.table = FoldDense(table, kernel, bias.Data)
			if b.left != st.backward { // it runs over the padding first
				st.prefix(b.window, st.table[b.pad*4*units:(b.pad+1)*4*units])
			}
		}
		b.steps = append(b.steps, st)
	}
}

// FoldConv multiplies an embedding [rows, dim] into a convolution's kernel [kernel, dim, filters]: the result,
// [rows, kernel·filters], holds what each code adds to each filter at each offset of the kernel.
func FoldConv(embedding, kernel *Tensor) []float32 {
	rows, dim := embedding.Shape[0], embedding.Shape[1]
	size, filters := kernel.Shape[0], kernel.Shape[2]
	table := make([]float32, rows*size*filters)
	for j := range size {
		kernels.Gemm(rows, filters, dim, kernels.Matrix{Data: embedding.Data, Stride: dim},
			kernels.Matrix{Data: kernel.Data[j*dim*filters:], Stride: filters},
			kernels.Matrix{Data: table[j*filters:], Stride: size * filters}, false)
	}
	return table
}

// FoldDense multiplies an embedding [rows, dim] into a kernel [dim, out] and adds the bias: [rows, out].
func FoldDense(embedding, kernel *Tensor, bias []float32) []float32 {
	rows, dim, out := embedding.Shape[0], embedding.Shape[1], kernel.Shape[1]
	table := make([]float32, rows*out)
	for r := range rows {
		copy(table[r*out:], bias)
	}
	kernels.Gemm(rows, out, dim, kernels.Matrix{Data: embedding.Data, Stride: dim},
		kernels.Matrix{Data: kernel.Data, Stride: out}, kernels.Matrix{Data: table, Stride: out}, true)
	return table
}
