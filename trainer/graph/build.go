package graph

import (
	"fmt"

	"github.com/degas-dns/degas/model"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// builder walks a Spec's nodes and keeps what both ways of lowering need.
type builder struct {
	*session
	graph  *G.ExprGraph
	nodes  []model.Node
	byName map[string]model.Node
	users  map[string]int
	out    map[string]*G.Node
	params []param
	byPar  map[string]*G.Node
	low    lowering
	feed   func(codes []uint16)
}

func newBuilder(s *session, w model.Weights) (*builder, error) {
	nodes, err := s.spec.Graph()
	if err != nil {
		return nil, err
	}
	b := &builder{session: s, graph: G.NewGraph(), nodes: nodes, byName: map[string]model.Node{}, users: map[string]int{},
		out: map[string]*G.Node{}, byPar: map[string]*G.Node{}}
	for _, n := range nodes {
		b.byName[n.Name] = n
		for _, in := range n.Inputs {
			b.users[in]++
		}
		for _, p := range n.Params {
			b.addParam(p, w[p.Name])
		}
	}
	return b, nil
}

// addParam makes a node over a copy of t. A convolution's kernel [kernel, in, filters] is the matrix
// [kernel·in, filters], and [kernel, kernel, in, filters] is [kernel·kernel·in, filters]: the same memory.
func (b *builder) addParam(p model.Param, t *model.Tensor) {
	data := append([]float32(nil), t.Data...)
	shape := tensor.Shape(p.Shape).Clone()
	if last := len(shape) - 1; last > 1 {
		shape = tensor.Shape{shape[:last].TotalSize(), shape[last]}
	}
	value := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
	opts := []G.NodeConsOpt{G.WithName(p.Name), G.WithShape(shape...), G.WithValue(value)}
	var n *G.Node
	if len(shape) == 1 {
		n = G.NewVector(b.graph, tensor.Float32, opts...)
	} else {
		n = G.NewMatrix(b.graph, tensor.Float32, opts...)
	}
	b.params = append(b.params, param{p, n, data})
	b.byPar[p.Name] = n
}

// par is the i-th parameter of n.
func (b *builder) par(n model.Node, i int) *G.Node { return b.byPar[n.Params[i].Name] }

// lay lowers every node and returns the logits.
func (b *builder) lay(low lowering) (*G.Node, error) {
	b.low = low
	for _, n := range b.nodes[1:] {
		if b.out[n.Name] != nil { // done with the node before it
			continue
		}
		in := make([]*G.Node, len(n.Inputs))
		for i, name := range n.Inputs {
			in[i] = b.out[name]
		}
		out, err := low.node(n, in)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", n.Name, err)
		}
		b.out[n.Name] = out
	}
	return b.out[b.nodes[len(b.nodes)-1].Name], nil
}

// readsEmbedding reports whether n's input is the embedding itself.
func (b *builder) readsEmbedding(n model.Node) bool { return n.Inputs[0] == b.nodes[1].Name }

// isHead reports whether n gives the logits: the loss applies its activation.
func (b *builder) isHead(n model.Node) bool { return n.Name == b.nodes[len(b.nodes)-1].Name }

// time is the number of rows a sample of n's first input has.
func (b *builder) inShape(n model.Node) []int { return b.byName[n.Inputs[0]].Shape }
