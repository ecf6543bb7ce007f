package importer

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/degas-dns/degas/model"
)

// chains turns a graph of layers into chains with parallel branches, which is what a Spec has.
type chains struct {
	byName  map[string]*kerasLayer
	readers map[string]int // how many layers read a layer
	done    map[string][]placed
	depth   int
}

// maxLayers bounds a configuration and the layers of its Spec. A Spec repeats layers that several branches read, so
// their number can double at every Concatenate.
const maxLayers = 1000

// chain lays m out from its input, which it leaves out, to its output.
func (m *kerasModel) chain() ([]placed, error) {
	if len(m.Layers) > maxLayers {
		return nil, fmt.Errorf("%d layers, more than %d", len(m.Layers), maxLayers)
	}
	c := &chains{byName: map[string]*kerasLayer{}, readers: map[string]int{}, done: map[string][]placed{}}
	for i := range m.Layers {
		l := &m.Layers[i]
		if c.byName[l.Name] != nil {
			return nil, fmt.Errorf("two layers are called %q", l.Name)
		}
		c.byName[l.Name] = l
		for _, in := range l.Inputs {
			c.readers[in]++
		}
	}
	return c.upTo(m.Output)
}

// upTo returns the chain that ends with a layer.
func (c *chains) upTo(name string) ([]placed, error) {
	if got, ok := c.done[name]; ok {
		return got, nil
	}
	l := c.byName[name]
	if l == nil {
		return nil, fmt.Errorf("there is no layer %q", name)
	}
	if c.depth++; c.depth > maxLayers {
		return nil, fmt.Errorf("layer %s feeds itself", name)
	}
	defer func() { c.depth-- }()
	var out []placed
	var err error
	switch {
	case l.Class == "InputLayer":
		_, _ = l.inputShape(), l.Config.number(0, "input_length") // which Parse reads again
		err = l.Config.err()
	case l.Class == "Concatenate" || l.Class == "Merge" && l.Config.text("mode") == "concat":
		out, err = c.concatenate(l)
	case len(l.Inputs) != 1:
		err = fmt.Errorf("reads %d layers, which only Concatenate can", len(l.Inputs))
	default:
		if out, err = c.upTo(l.Inputs[0]); err == nil {
			out, err = c.appendLayer(slices.Clone(out), l)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", name, err)
	}
	c.done[name] = out
	return out, nil
}

// appendLayer adds l to a chain. An activation goes into the layer before it if that has none.
func (c *chains) appendLayer(out []placed, l *kerasLayer) ([]placed, error) {
	if l.norm != nil {
		return appendNorm(out, l, c.readers[l.Inputs[0]] == 1)
	}
	if n := len(out); l.Class == "Activation" && n > 0 {
		last, a := &out[n-1], l.Config.text("activation")
		takes := last.Kind == model.KindDense || last.Kind == model.KindConv1D && (a == model.ReLU || a == model.Tanh)
		if takes && last.Activation == "" && l.Config.err() == nil {
			last.Activation = l.Config.activation()
			return out, nil
		}
	}
	converted, ok, err := l.convert()
	err = cmp.Or(l.Config.err(), err) // the second may follow from the first
	if err != nil || !ok {
		return out, err
	}
	return append(out, placed{Layer: converted, from: l}), nil
}

// concatenate joins chains. The layers that all of them begin with come first. The rest are the branches.
func (c *chains) concatenate(l *kerasLayer) ([]placed, error) {
	if n := len(l.Inputs); n < 2 || n > maxLayers {
		return nil, fmt.Errorf("joins %d layers", n)
	}
	var ends [][]placed
	for _, in := range l.Inputs {
		chain, err := c.upTo(in)
		if err != nil {
			return nil, err
		}
		ends = append(ends, chain)
	}
	shared := 0
	for ; ; shared++ {
		for _, e := range ends {
			if len(e) <= shared || !same(e[shared], ends[0][shared]) {
				return split(ends, shared)
			}
		}
	}
}

// same reports whether a and b are the same layer of the graph.
func same(a, b placed) bool {
	chains := func(a, b []placed) bool { return slices.EqualFunc(a, b, same) }
	return a.from == b.from && a.Activation == b.Activation && slices.Equal(a.norms, b.norms) &&
		slices.EqualFunc(a.branches, b.branches, chains)
}

func split(ends [][]placed, shared int) ([]placed, error) {
	joined := placed{Layer: model.Layer{Kind: model.KindParallel}}
	size := count(ends[0][:shared])
	for _, e := range ends {
		if len(e) == shared {
			return nil, errors.New("a branch without layers is not read")
		}
		if size += count(e[shared:]); size > maxLayers {
			return nil, fmt.Errorf("its branches lay out more than %d layers", maxLayers)
		}
		joined.branches = append(joined.branches, e[shared:])
	}
	return append(slices.Clone(ends[0][:shared]), joined), nil
}

func count(chain []placed) int {
	n := len(chain)
	for _, p := range chain {
		for _, b := range p.branches {
			n += count(b)
		}
	}
	return n
}

// layers returns the layers of a chain as a Spec has them.
func layers(chain []placed) []model.Layer {
	var out []model.Layer
	for _, p := range chain {
		l := p.Layer
		for _, b := range p.branches {
			l.Branches = append(l.Branches, layers(b))
		}
		out = append(out, l)
	}
	return out
}

// sequence lists what came from a Keras layer in the order in which a Spec's graph has its nodes.
func sequence(chain []placed) []placed {
	var out []placed
	for _, p := range chain {
		for _, b := range p.branches {
			out = append(out, sequence(b)...)
		}
		if p.from != nil {
			out = append(out, p)
		}
	}
	return out
}
