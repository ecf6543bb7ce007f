package graph

import (
	"context"
	"fmt"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// stock judges the fused layers. It builds the graph from gorgonia's own operations, as a textbook would: rows gathered
// from the embedding, Conv2d over [1, time, features] images, an LSTM unrolled over time. It is slow.
//
// Four of gorgonia v0.9.18's operations give wrong results and are not used: Slice beyond 255 (its hash keeps one byte
// of each bound, so different slices become one node), Dropout's gradient, Max's gradient where several positions tie
// (all of them get it), and padding of MaxPool2D, which is even on both sides. In their place are a product with a
// selection matrix, this package's dropout, MaxPool2D over the whole of time, and rows appended below any value.
type stock struct {
	*builder
	feeds []func(codes []uint16)
	gates map[int][4]*G.Node // selection matrices by units
	made  int
}

// stockSession is a session whose graph has inputs of its own.
type stockSession struct {
	*session
	feeds []func(codes []uint16)
}

var _ trainer.Differentiator = (*stockSession)(nil)

// stockEngine starts such sessions. It walks all rows of an embedding.
type stockEngine struct{}

func (stockEngine) Start(_ context.Context, setup trainer.Setup) (trainer.Session, error) {
	var s *stock
	ses, err := open(setup, func(ses *session, w model.Weights) error {
		building.Lock()
		defer building.Unlock()
		b, err := newBuilder(ses, w)
		if err != nil {
			return err
		}
		s = &stock{builder: b, gates: map[int][4]*G.Node{}}
		logits, err := b.lay(s.node)
		if err != nil {
			return err
		}
		cost, err := s.loss(logits)
		if err != nil {
			return err
		}
		return b.compile(cost)
	})
	if err != nil {
		return nil, err
	}
	return &stockSession{ses, s.feeds}, nil
}

// fill loads a batch into the session's and the graph's own inputs.
func (s *stockSession) fill(b *trainer.Batch) error {
	if err := s.load(b); err != nil {
		return err
	}
	for _, feed := range s.feeds {
		feed(s.codes)
	}
	return nil
}

// Step does one update.
func (s *stockSession) Step(ctx context.Context, b *trainer.Batch) (float64, error) {
	if err := s.fill(b); err != nil {
		return 0, err
	}
	return s.session.Step(ctx, b)
}

// Gradients runs the graph without an update.
func (s *stockSession) Gradients(b *trainer.Batch) (float64, model.Weights, error) {
	if err := s.fill(b); err != nil {
		return 0, nil, err
	}
	return s.session.Gradients(b)
}

// loss is Σ w·l / Σ w with l = softplus(z) - y·z, or log Σ exp(z) - z_label by a one-hot product.
func (s *stock) loss(logits *G.Node) (*G.Node, error) {
	outputs := s.spec.Outputs()
	target := tensor.New(tensor.WithShape(s.batch, outputs), tensor.Of(tensor.Float32))
	y := s.constant("target", target)
	share := tensor.New(tensor.WithShape(s.batch, outputs), tensor.Of(tensor.Float32))
	w := s.constant("share", share)
	s.feeds = append(s.feeds, func([]uint16) {
		var total float32
		for _, v := range s.session.weights {
			total += v
		}
		yd, wd := target.Data().([]float32), share.Data().([]float32)
		for b, l := range s.session.labels {
			if outputs == 1 {
				yd[b] = float32(s.goal.target(b, l, 1, 2))
			} else {
				for k := range outputs {
					yd[b*outputs+k] = float32(s.goal.target(b, l, k, outputs))
				}
			}
			for k := range outputs {
				wd[b*outputs+k] = s.session.weights[b] / total
			}
		}
	})
	c := chain{}
	var each *G.Node
	if outputs == 1 {
		each = c.do(G.Sub(c.do(G.Softplus(logits)), c.do(G.HadamardProd(logits, y))))
	} else {
		each = c.do(G.Neg(c.do(G.HadamardProd(c.do(G.LogSoftMax(logits)), y))))
	}
	total := c.do(G.Sum(c.do(G.HadamardProd(each, w))))
	return total, c.err
}

// chain runs graph constructors until one fails.
type chain struct{ err error }

func (c *chain) do(n *G.Node, err error) *G.Node {
	if c.err == nil {
		c.err = err
	}
	if c.err != nil || n == nil {
		// A node of the right kind keeps later constructors from failing on nil before the first error is reported.
		return G.NewConstant(float32(0))
	}
	return n
}

func (s *stock) constant(name string, t *tensor.Dense) *G.Node {
	s.made++
	name = fmt.Sprintf("%s.%d", name, s.made)
	if t.Dims() == 1 {
		return G.NewVector(s.graph, t.Dtype(), G.WithName(name), G.WithShape(t.Shape()...), G.WithValue(t))
	}
	return G.NewTensor(s.graph, t.Dtype(), t.Dims(), G.WithName(name), G.WithShape(t.Shape()...), G.WithValue(t))
}

func (s *stock) node(n model.Node, in []*G.Node) (*G.Node, error) {
	c := &chain{}
	var out *G.Node
	switch n.Kind {
	case model.KindEmbedding:
		out = c.do(G.ByIndices(s.par(n, 0), s.indices(func(b, t int) int { return b*n.Shape[0] + t }, n.Shape[0]), 0))
	case model.KindConv1D:
		out = s.conv(c, n, in[0])
	case model.KindLSTM:
		out = s.lstm(c, n, in[0])
	case model.KindImage, model.KindConv2D, model.KindMaxPool2D:
		out = s.picture(c, n, in[0])
	case model.KindThresholdedReLU:
		return apply(n.Name, newThreshold(s.step, n, in[0]), in[0].Shape().Clone(), in[0])
	case model.KindMaxPool, model.KindGlobalMaxPool:
		out = s.pool(c, n, in[0])
	case model.KindFlatten:
		out = c.do(G.Reshape(in[0], tensor.Shape{s.batch, n.Shape[0]}))
	case model.KindDropout:
		return apply(n.Name, &dropout{step: s.step, rate: n.Layer.Rate, name: n.Name}, in[0].Shape().Clone(), in[0])
	case model.KindDense:
		out = c.do(G.Mul(in[0], s.par(n, 0)))
		out = s.addBias(c, out, s.par(n, 1))
		if !s.isHead(n) {
			out = s.activation(c, out, n.Layer.Activation)
		}
	case model.KindConcatenate:
		out = c.do(G.Concat(1, in...))
	default:
		return nil, fmt.Errorf("kind %q cannot be trained here", n.Kind)
	}
	return out, c.err
}

// indices is an input node of time codes a sample, taken from the batch at position(b, t).
func (s *stock) indices(position func(b, t int) int, time int) *G.Node {
	data := make([]int, s.batch*time)
	n := s.constant("codes", tensor.New(tensor.WithShape(len(data)), tensor.WithBacking(data)))
	s.feeds = append(s.feeds, func(codes []uint16) {
		for b := range s.batch {
			for t := range time {
				data[b*time+t] = int(codes[position(b, t)])
			}
		}
	})
	return n
}

func (s *stock) addBias(c *chain, x, bias *G.Node) *G.Node {
	row := c.do(G.Reshape(bias, tensor.Shape{1, bias.Shape()[0]}))
	return c.do(G.BroadcastAdd(x, row, nil, []byte{0}))
}

func (s *stock) activation(c *chain, x *G.Node, name string) *G.Node {
	switch name {
	case model.ReLU:
		return c.do(G.Rectify(x))
	case model.Tanh:
		return c.do(G.Tanh(x))
	case model.Sigmoid:
		return c.do(G.Sigmoid(x))
	case model.Softmax:
		return c.do(G.SoftMax(x))
	}
	return x
}

// extend appends rows of one value before and after each sample of x [batch·time, features]; it gives
// [batch, 1, time', features].
func (s *stock) extend(c *chain, x *G.Node, time, features, before, after int, value float32) *G.Node {
	parts := []*G.Node{}
	fill := func(rows int) *G.Node {
		t := tensor.New(tensor.WithShape(s.batch, 1, rows, features), tensor.Of(tensor.Float32))
		d := t.Data().([]float32)
		for i := range d {
			d[i] = value
		}
		return s.constant("padding", t)
	}
	if before > 0 {
		parts = append(parts, fill(before))
	}
	parts = append(parts, c.do(G.Reshape(x, tensor.Shape{s.batch, 1, time, features})))
	if after > 0 {
		parts = append(parts, fill(after))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return c.do(G.Concat(2, parts...))
}

func (s *stock) conv(c *chain, n model.Node, x *G.Node) *G.Node {
	shape := s.inShape(n)
	k, filters := n.Layer.Kernel, n.Layer.Filters
	left, right := 0, 0
	if n.Layer.Padding == model.Same {
		left, right = model.SamePadding(k)
	}
	image := s.extend(c, x, shape[0], shape[1], left, right, 0)
	kernel := c.do(G.Transpose(s.par(n, 0), 1, 0)) // [filters, kernel·in]
	kernel = c.do(G.Reshape(kernel, tensor.Shape{filters, 1, k, shape[1]}))
	// [batch, filters, time, 1]
	y := c.do(G.Conv2d(image, kernel, tensor.Shape{k, shape[1]}, []int{0, 0}, []int{1, 1}, []int{1, 1}))
	y = c.do(G.Transpose(y, 0, 2, 1, 3))
	y = c.do(G.Reshape(y, tensor.Shape{s.batch * n.Shape[0], filters}))
	return s.activation(c, s.addBias(c, y, s.par(n, 1)), n.Layer.Activation)
}

func (s *stock) pool(c *chain, n model.Node, x *G.Node) *G.Node {
	shape := s.inShape(n)
	outTime, pool, before := poolWindows(n, shape[0])
	after := max(0, outTime*pool-shape[0]-before)
	image := s.extend(c, x, shape[0], shape[1], before, after, -1e30)
	y := c.do(G.MaxPool2D(image, tensor.Shape{pool, 1}, []int{0, 0}, []int{pool, 1}))
	return c.do(G.Reshape(y, tensor.Shape{s.batch * outTime, shape[1]}))
}

// selection gives four constant matrices [4·units, units] that pick the gates i, f, c, o out of a kernel.
func (s *stock) selection(units int) [4]*G.Node {
	if g, ok := s.gates[units]; ok {
		return g
	}
	var out [4]*G.Node
	for g := range out {
		t := tensor.New(tensor.WithShape(4*units, units), tensor.Of(tensor.Float32))
		for u := range units {
			t.Data().([]float32)[(g*units+u)*units+u] = 1
		}
		out[g] = s.constant("gate", t)
	}
	s.gates[units] = out
	return out
}

func (s *stock) lstm(c *chain, n model.Node, x *G.Node) *G.Node {
	h := s.direction(c, n, x, 0, false)
	if !n.Layer.Bidirectional {
		return h
	}
	return c.do(G.Concat(1, h, s.direction(c, n, x, 3, true)))
}

func (s *stock) direction(c *chain, n model.Node, x *G.Node, first int, reverse bool) *G.Node {
	units, time := n.Layer.Units, s.inShape(n)[0]
	var wx, wh, bias [4]*G.Node
	for g, sel := range s.selection(units) {
		wx[g], wh[g] = c.do(G.Mul(s.par(n, first), sel)), c.do(G.Mul(s.par(n, first+1), sel))
		bias[g] = c.do(G.Mul(c.do(G.Reshape(s.par(n, first+2), tensor.Shape{1, 4 * units})), sel))
	}
	zero := func() *G.Node {
		return s.constant("state", tensor.New(tensor.WithShape(s.batch, units), tensor.Of(tensor.Float32)))
	}
	h, cell := zero(), zero()
	all := make([]*G.Node, time)
	for i := range time {
		t := i
		if reverse {
			t = time - 1 - i
		}
		xt := s.stepInput(c, n, x, t, time)
		var gate [4]*G.Node
		for g := range gate {
			z := c.do(G.Add(c.do(G.Mul(xt, wx[g])), c.do(G.Mul(h, wh[g]))))
			gate[g] = c.do(G.BroadcastAdd(z, bias[g], nil, []byte{0}))
		}
		squash := func(z *G.Node) *G.Node { return c.do(G.Sigmoid(z)) }
		if n.Layer.RecurrentActivation == model.Clip { // 1 - relu(1 - relu(z))
			one := s.constant("ones", tensor.Ones(tensor.Float32, s.batch, units))
			squash = func(z *G.Node) *G.Node {
				return c.do(G.Sub(one, c.do(G.Rectify(c.do(G.Sub(one, c.do(G.Rectify(z))))))))
			}
		}
		in, forget, out := squash(gate[0]), squash(gate[1]), squash(gate[3])
		cell = c.do(G.Add(c.do(G.HadamardProd(forget, cell)), c.do(G.HadamardProd(in, c.do(G.Tanh(gate[2]))))))
		h = c.do(G.HadamardProd(out, c.do(G.Tanh(cell))))
		all[t] = h
	}
	if n.Layer.ReturnSequences {
		joined := h
		if time > 1 {
			joined = c.do(G.Concat(1, all...))
		}
		return c.do(G.Reshape(joined, tensor.Shape{s.batch * time, units}))
	}
	return h
}

// stepInput is x at step t, [batch, features]: gathered from the embedding's table, or by a row index from any other
// sequence.
func (s *stock) stepInput(c *chain, n model.Node, x *G.Node, t, time int) *G.Node {
	if s.readsEmbedding(n) {
		e := s.nodes[1]
		return c.do(G.ByIndices(s.par(e, 0), s.indices(func(b, _ int) int { return b*time + t }, 1), 0))
	}
	index := make([]int, s.batch)
	for b := range index {
		index[b] = b*time + t
	}
	return c.do(G.ByIndices(x, s.constant("rows", tensor.New(tensor.WithShape(s.batch), tensor.WithBacking(index))), 0))
}

// picture lowers the layers over pictures to gorgonia's own, which have the features before height and width.
func (s *stock) picture(c *chain, n model.Node, x *G.Node) *G.Node {
	if n.Kind == model.KindImage {
		t := tensor.New(tensor.WithShape(s.batch*s.inShape(n)[0], 1), tensor.Of(tensor.Float32))
		s.feeds = append(s.feeds, func(codes []uint16) {
			for i, v := range codes {
				t.Data().([]float32)[i] = float32(v)
			}
		})
		return s.constant("image", t)
	}
	in := s.inShape(n)
	x = c.do(G.Transpose(c.do(G.Reshape(x, tensor.Shape{s.batch, in[0], in[1], in[2]})), 0, 3, 1, 2))
	k := n.Layer.Kernel
	if n.Kind == model.KindMaxPool2D {
		x = c.do(G.MaxPool2D(x, tensor.Shape{n.Layer.Pool, n.Layer.Pool}, []int{0, 0}, []int{n.Layer.Pool, n.Layer.Pool}))
	} else {
		kernel := c.do(G.Transpose(c.do(G.Reshape(s.par(n, 0), tensor.Shape{k, k, in[2], n.Layer.Filters})), 3, 2, 0, 1))
		x = c.do(G.Conv2d(x, kernel, tensor.Shape{k, k}, []int{0, 0}, []int{1, 1}, []int{1, 1}))
	}
	x = c.do(G.Reshape(c.do(G.Transpose(x, 0, 2, 3, 1)), tensor.Shape{s.batch * n.Shape[0] * n.Shape[1], n.Shape[2]}))
	if n.Kind == model.KindMaxPool2D {
		return x
	}
	return s.activation(c, s.addBias(c, x, s.par(n, 1)), n.Layer.Activation)
}
