package graph

import (
	"fmt"
	"slices"
	"sync"

	"github.com/degas-dns/degas/model"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// builder turns a Spec's nodes into gorgonia's. Sequences are matrices [batch·time, features], vectors are
// [batch, features].
type builder struct {
	*session
	graph     *G.ExprGraph
	nodes     []model.Node
	byName    map[string]model.Node
	readers   map[string]int     // how many nodes read a node
	out       map[string]*G.Node // what a node gives
	byParam   map[string]*G.Node
	codesNode *G.Node // the session's codes
}

func newBuilder(s *session, w model.Weights) (*builder, error) {
	nodes, err := s.spec.Graph()
	if err != nil {
		return nil, err
	}
	b := &builder{session: s, graph: G.NewGraph(), nodes: nodes, byName: map[string]model.Node{},
		readers: map[string]int{}, out: map[string]*G.Node{}, byParam: map[string]*G.Node{}}
	for _, n := range nodes {
		b.byName[n.Name] = n
		for _, in := range n.Inputs {
			b.readers[in]++
		}
		for _, p := range n.Params {
			b.addParam(p, w[p.Name])
		}
	}
	b.codesNode = input(b, "codes", tensor.Uint16, s.codes)
	return b, nil
}

// addParam makes a node over a copy of t. A convolution's kernel [kernel, in, filters] is the matrix
// [kernel·in, filters], and [kernel, kernel, in, filters] is [kernel·kernel·in, filters]: the same memory.
func (b *builder) addParam(p model.Param, t *model.Tensor) {
	data := slices.Clone(t.Data)
	shape := tensor.Shape(p.Shape).Clone()
	if last := len(shape) - 1; last > 1 {
		shape = tensor.Shape{shape[:last].TotalSize(), shape[last]}
	}
	value := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
	n := G.NewTensor(b.graph, tensor.Float32, len(shape), G.WithName(p.Name), G.WithShape(shape...), G.WithValue(value))
	b.params = append(b.params, param{p, n, data})
	b.byParam[p.Name] = n
}

// input makes a vector over memory of the session.
func input[T any](b *builder, name string, kind tensor.Dtype, data []T) *G.Node {
	value := tensor.New(tensor.WithShape(len(data)), tensor.WithBacking(data))
	return G.NewVector(b.graph, kind, G.WithShape(len(data)), G.WithName(name), G.WithValue(value))
}

func (b *builder) par(n model.Node, i int) *G.Node { return b.byParam[n.Params[i].Name] }

// lay lowers every node and returns the logits.
func (b *builder) lay(lower func(n model.Node, in []*G.Node) (*G.Node, error)) (*G.Node, error) {
	for _, n := range b.nodes[1:] {
		if b.out[n.Name] != nil { // done with the node before it
			continue
		}
		in := make([]*G.Node, len(n.Inputs))
		for i, name := range n.Inputs {
			in[i] = b.out[name]
		}
		out, err := lower(n, in)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", n.Name, err)
		}
		b.out[n.Name] = out
	}
	return b.out[b.nodes[len(b.nodes)-1].Name], nil
}

func (b *builder) readsEmbedding(n model.Node) bool { return n.Inputs[0] == b.nodes[1].Name }

// isHead reports whether n gives the logits: the loss applies its activation.
func (b *builder) isHead(n model.Node) bool { return n.Name == b.nodes[len(b.nodes)-1].Name }

// inShape is the shape of n's first input, of one name.
func (b *builder) inShape(n model.Node) []int { return b.byName[n.Inputs[0]].Shape }

// building is held while a graph is made: gorgonia counts groups of nodes in a variable of its own, without a lock.
var building sync.Mutex

// build makes the session's graph and machine from fused layers.
func (s *session) build(w model.Weights) error {
	building.Lock()
	defer building.Unlock()
	b, err := newBuilder(s, w)
	if err != nil {
		return err
	}
	logits, err := b.lay(b.layer)
	if err != nil {
		return err
	}
	cost, err := b.crossEntropy(logits)
	if err != nil {
		return err
	}
	return b.compile(cost)
}

// compile differentiates the loss by the parameters and makes the machine that computes both.
func (b *builder) compile(cost *G.Node) error {
	G.Read(cost, &b.loss)
	var nodes, bound G.Nodes
	for _, p := range b.params {
		nodes = append(nodes, p.node)
		if grad := b.soleGradient(p.node); grad != nil {
			b.values = append(b.values, soleGradient{p.node, grad})
			continue
		}
		b.values = append(b.values, p.node)
		bound = append(bound, p.node)
	}
	if _, err := G.Grad(cost, nodes...); err != nil {
		return fmt.Errorf("differentiate: %w", err)
	}
	var options []G.VMOpt
	if len(bound) > 0 {
		options = append(options, G.BindDualValues(bound...))
	}
	b.machine = G.NewTapeMachine(b.graph, options...)
	return nil
}

// soleGradient is a parameter that one layer alone uses, with the gradient where that layer's backward pass leaves it.
// Others have theirs added up by gorgonia, into memory that has to be cleared before: three passes more over it.
type soleGradient struct {
	*G.Node
	grad G.Value
}

func (g soleGradient) Grad() (G.Value, error) { return g.grad, nil }

// soleGradient is where the gradient of n ends up when one fused layer is all that reads it, else nil. It must be asked
// before the graph has gradients.
func (b *builder) soleGradient(n *G.Node) G.Value {
	readers := b.graph.To(n.ID())
	if readers.Len() != 1 || !readers.Next() {
		return nil
	}
	o, ok := readers.Node().(*G.Node).Op().(*fused)
	if !ok {
		return nil
	}
	return o.grads[slices.Index(o.inputs, n)]
}
