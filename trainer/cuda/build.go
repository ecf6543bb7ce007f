package cuda

import (
	"errors"
	"fmt"
	"slices"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

// maxCodes is how many codes the kernels know: they read bytes.
const maxCodes = 256

// builder turns a Spec's nodes into layers.
type builder struct {
	*network
	nodes   []model.Node
	byName  map[string]model.Node
	readers map[string]int
	params  map[string]param
	values  map[string]*value
	forks   map[string]*fork
	whole   map[string]*value // of concatenations
	seed    uint64
	step    *uint64
}

// build lays a Spec out on a device, with the weights of s. step counts the updates; dropout masks depend on it.
func build(dev device.Device, s trainer.Setup, precision string, step *uint64) (*network, error) {
	n, err := layOut(dev, s, precision, step)
	if err != nil {
		return nil, err
	}
	if err := n.put(n.weights, s.Weights); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func layOut(dev device.Device, s trainer.Setup, precision string, step *uint64) (*network, error) {
	nodes, err := s.Spec.Graph()
	if err != nil {
		return nil, err
	}
	enc := &s.Spec.Encoder
	n := &network{dev: dev, spec: s.Spec, batch: s.BatchSize, window: enc.Window, rows: s.Spec.Codes(), pad: enc.Pad,
		left: enc.PadSide == model.Left, precision: precision}
	if n.rows > maxCodes {
		return nil, fmt.Errorf("%d codes: the kernels know %d. Try: --engine cpu", n.rows, maxCodes)
	}
	b := &builder{network: n, nodes: nodes, byName: map[string]model.Node{}, readers: map[string]int{},
		params: map[string]param{}, values: map[string]*value{}, forks: map[string]*fork{}, whole: map[string]*value{},
		seed: s.Seed, step: step}
	for _, node := range nodes {
		b.byName[node.Name] = node
		for _, in := range node.Inputs {
			b.readers[in]++
		}
	}
	b.place()
	n.codes, n.chars = n.take(n.batch*n.window), n.alloc(n.batch)
	n.clear(n.codes, n.batch*n.window) // rows of a batch that nobody fills are names all the same
	err = b.lay()
	n.scratchAt = n.alloc(n.scratchSize)
	if err = errors.Join(err, n.err); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// place gives every parameter its place, matrices before biases: only those decay.
func (b *builder) place() {
	var all []model.Param
	for _, node := range b.nodes {
		all = append(all, node.Params...)
	}
	slices.SortStableFunc(all, func(p, q model.Param) int { return min(len(q.Shape), 2) - min(len(p.Shape), 2) })
	for _, p := range all {
		b.size += p.Size()
		if len(p.Shape) > 1 {
			b.matrices = b.size
		}
	}
	b.weights, b.grads, b.rounded = b.alloc(b.size), b.alloc(b.size), b.take(2*b.size)
	at := device.Address(0)
	for _, p := range all {
		placed := param{Param: p, data: b.weights + at, grad: b.grads + at}
		b.params[p.Name] = placed
		b.network.params = append(b.network.params, placed)
		at += device.Address(4 * p.Size())
	}
}

func (b *builder) lay() error {
	if first := b.nodes[1]; first.Kind == model.KindEmbedding {
		b.embedding = b.params[first.Params[0].Name]
	}
	for _, node := range b.nodes[1:] {
		if b.values[node.Name] != nil { // done with the node before it
			continue
		}
		y, err := b.node(node)
		if err != nil {
			return fmt.Errorf("layer %s: %w. Try: --engine cpu", node.Name, err)
		}
		if y != nil { // else its readers fold it
			b.give(node.Name, y)
		}
	}
	b.logits = b.values[b.nodes[len(b.nodes)-1].Name]
	return nil
}

// give makes y what name's readers get.
func (b *builder) give(name string, y *value) {
	b.values[name] = y
	if b.readers[name] > 1 {
		f := &fork{network: b.network, from: y}
		b.forks[name] = f
		b.layers = append(b.layers, f)
	}
}

// read is the i-th input of a node, with a gradient that the node alone writes.
func (b *builder) read(node model.Node, i int) *value {
	name := node.Inputs[i]
	if f := b.forks[name]; f != nil {
		return f.reader()
	}
	return b.values[name]
}

func (b *builder) add(l layer) { b.layers = append(b.layers, l) }

func (b *builder) par(node model.Node, i int) param { return b.params[node.Params[i].Name] }

func (b *builder) embedded(node model.Node) bool {
	return b.nodes[1].Kind == model.KindEmbedding && node.Inputs[0] == b.nodes[1].Name
}

func (b *builder) node(node model.Node) (*value, error) {
	if b.embedded(node) && node.Kind != model.KindConv1D && node.Kind != model.KindLSTM {
		return nil, fmt.Errorf("no CUDA kernel does a %s that reads the embedding", node.Kind)
	}
	n := b.network
	switch node.Kind {
	case model.KindEmbedding:
		return nil, nil // its readers fold it
	case model.KindConv1D:
		return b.conv(node)
	case model.KindLSTM:
		return b.lstm(node)
	case model.KindFlatten:
		x := b.read(node, 0)
		return &value{shape: []int{x.size()}, data: x.data, grad: x.grad}, nil
	case model.KindThresholdedReLU:
		l := &threshold{network: n, x: b.read(node, 0), y: n.newValue(node.Shape...), theta: float32(node.Layer.Theta)}
		b.add(l)
		return l.y, nil
	case model.KindDropout:
		l := &dropout{network: n, x: b.read(node, 0), y: n.newValue(node.Shape...),
			key: model.SubSeed(b.seed, "dropout/"+node.Name), step: b.step, rate: node.Layer.Rate}
		b.add(l)
		return l.y, nil
	case model.KindMaxPool, model.KindGlobalMaxPool:
		return b.pool(node)
	case model.KindConcatenate:
		l := &concat{network: n, y: b.joined(node)}
		for i := range node.Inputs {
			l.in = append(l.in, b.read(node, i))
		}
		b.add(l)
		return l.y, nil
	case model.KindDense:
		return b.dense(node)
	}
	return nil, fmt.Errorf("no CUDA kernel does a layer of kind %q", node.Kind)
}

func (b *builder) dense(node model.Node) (*value, error) {
	name := node.Layer.Activation
	if node.Name == b.nodes[len(b.nodes)-1].Name {
		name = model.Linear // the loss applies the head's
	}
	act, err := activation(name)
	if err != nil {
		return nil, err
	}
	y := b.newValue(node.Shape...)
	b.add(newDense(b.network, b.read(node, 0), y, b.par(node, 0), b.par(node, 1), act))
	return y, nil
}

func (b *builder) pool(node model.Node) (*value, error) {
	x := b.read(node, 0)
	l := &maxPool{network: b.network, x: x, y: b.newValue(node.Shape...), windows: 1, pool: x.shape[0]}
	if node.Kind == model.KindMaxPool {
		l.windows, l.pool = node.Shape[0], node.Layer.Pool
		if node.Layer.Padding == model.Same {
			l.before, _ = model.PoolPadding(x.shape[0], l.pool)
		}
	}
	l.arg = b.alloc(b.batch * l.y.size())
	b.add(l)
	return l.y, nil
}

func (b *builder) conv(node model.Node) (*value, error) {
	act, err := activation(node.Layer.Activation)
	if err != nil {
		return nil, err
	}
	before := 0
	if node.Layer.Padding == model.Same {
		before, _ = model.SamePadding(node.Layer.Kernel)
	}
	w, bias := b.par(node, 0), b.par(node, 1)
	if !b.embedded(node) {
		y := b.newValue(node.Shape...)
		b.add(newConv(b.network, b.read(node, 0), y, w, bias, before, act))
		return y, nil
	}
	if t, ok := b.tower(node); ok {
		return nil, b.towers(t, act)
	}
	f, err := newFold(b.network, w, node.Layer.Kernel, node.Layer.Kernel, node.Layer.Filters)
	if err != nil {
		return nil, err
	}
	l := &embedConv{fold: f.wantWalk(), y: b.newValue(node.Shape...), b: bias, time: node.Shape[0], before: before,
		act: act}
	b.add(l)
	return l.y, nil
}

func (b *builder) lstm(node model.Node) (*value, error) {
	if a := node.Layer.RecurrentActivation; a == model.Clip {
		return nil, fmt.Errorf("no CUDA kernel does recurrent_activation %s", a)
	}
	if node.Layer.ReturnSequences {
		return nil, errors.New("no CUDA kernel does return_sequences")
	}
	var from *fork // of what both directions read
	shape := b.byName[node.Inputs[0]].Shape
	if !b.embedded(node) {
		from = &fork{network: b.network, from: b.read(node, 0)}
		b.add(from)
	}
	one := func(first int, reverse bool) (*value, error) {
		var x *value
		if from != nil {
			x = from.reader()
		}
		y := b.newValue(node.Layer.Units)
		l, err := newLSTM(b.network, x, y, b.par(node, first), b.par(node, first+1), b.par(node, first+2), shape[0], reverse)
		if err != nil {
			return nil, err
		}
		b.add(l)
		return y, nil
	}
	y, err := one(0, false)
	if err != nil || !node.Layer.Bidirectional {
		return y, err
	}
	back, err := one(3, true)
	if err != nil {
		return nil, err
	}
	both := &concat{network: b.network, in: []*value{y, back}, y: b.newValue(node.Shape...)}
	b.add(both)
	return both.y, nil
}
