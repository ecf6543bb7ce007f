// Package model holds what a model is (Spec), how a name becomes numbers (Encoder), the numbers that were learned
// (Weights), and the forward pass that makes a score of them.
//
// A Spec is data. Engines train it, and exporters write it for other runtimes. Both are checked against [Forward], the
// plain pass. To run a model takes this package alone, which imports no gorgonia, no Arrow and no plotting.
package model

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// SpecVersion is the version of the Spec's JSON written by this package. Readers refuse a higher one.
const SpecVersion = 1

// Layer kinds. The names are Keras' in snake case.
const (
	KindInput           = "input" // only in a Graph: the codes, [window]
	KindEmbedding       = "embedding"
	KindImage           = "image" // the codes as a picture of one feature
	KindConv1D          = "conv1d"
	KindConv2D          = "conv2d"
	KindThresholdedReLU = "thresholded_relu"
	KindMaxPool         = "max_pool"
	KindMaxPool2D       = "max_pool_2d"
	KindGlobalMaxPool   = "global_max_pool"
	KindFlatten         = "flatten"
	KindLSTM            = "lstm"
	KindGRU             = "gru"
	KindDropout         = "dropout"
	KindDense           = "dense"
	KindParallel        = "parallel"    // only in a Spec: branches whose outputs are concatenated
	KindConcatenate     = "concatenate" // only in a Graph: where the branches of a parallel layer meet
)

// Kinds lists the kinds that a Spec's layers have.
var Kinds = []string{KindEmbedding, KindImage, KindConv1D, KindConv2D, KindThresholdedReLU, KindMaxPool, KindMaxPool2D,
	KindGlobalMaxPool, KindFlatten, KindLSTM, KindGRU, KindDropout, KindDense, KindParallel}

// Activations of conv1d, conv2d and dense layers. The empty string is Linear.
const (
	Linear  = "linear"
	ReLU    = "relu"
	Tanh    = "tanh"
	Sigmoid = "sigmoid"
	Softmax = "softmax"
)

// Clip is a recurrent activation: x, but at least 0 and at most 1. Every hard sigmoid is a Clip of a·x + b, and a and b
// belong into the weights (see [Weights.ScaleGates]): Keras 1 and 2 call 0.2x + 0.5 hard_sigmoid, Keras 3 x/6 + 0.5.
const Clip = "clip"

// Paddings of conv1d and max_pool layers, with TensorFlow's meaning: Same puts the extra column at the end.
const (
	Valid = "valid"
	Same  = "same"
)

// Spec describes a model completely: the encoder, the layers and what the outputs mean. Its JSON is stable and
// versioned; two Specs with equal JSON are the same function of their weights.
type Spec struct {
	// Version is 1, or left out.
	Version int `json:"version"`
	// Name is what the model is called.
	Name string `json:"name"`
	// Encoder turns a name into codes.
	Encoder Encoder `json:"encoder"`
	// Layers run in order. The first is an embedding or an image. The last is a dense layer with a sigmoid (one unit) or
	// a softmax.
	Layers []Layer `json:"layers"`
	// Labels names the classes in output order; the first one is the benign class. A sigmoid head has two labels and gives
	// the probability of the second.
	Labels []string `json:"labels"`
	// InputName is the input's name in exported files ("domain_ids" when empty).
	InputName string `json:"input_name,omitempty"`
}

// Layer is one step of a Spec. Kind says which fields count; the others are zero.
type Layer struct {
	// Kind says what the layer does, and with it which other fields it has.
	Kind string `json:"kind"`
	// Rows is how many codes an embedding has values for: its table is [rows, dim].
	Rows int `json:"rows,omitempty"`
	// Dim is how many values an embedding has for each code.
	Dim int `json:"dim,omitempty"`
	// Height is an image's, in pixels: row after row of codes.
	Height int `json:"height,omitempty"`
	// Width is an image's, in pixels. Height times width is the encoder's window.
	Width int `json:"width,omitempty"`
	// Filters is how many features a convolution gives; its kernel is [kernel, in, filters], or [kernel, kernel, in,
	// filters] of a conv2d, the stride is 1.
	Filters int `json:"filters,omitempty"`
	// Kernel is how many steps a convolution reads, on both sides of a conv2d's.
	Kernel int `json:"kernel,omitempty"`
	// Padding of a conv1d or max_pool is valid, which "" stands for, or same, with TensorFlow's meaning.
	Padding string `json:"padding,omitempty"`
	// Pool is a max_pool's window and stride, on both sides of a max_pool_2d's.
	Pool int `json:"pool,omitempty"`
	// Units is the width of a dense, lstm or gru layer.
	Units int `json:"units,omitempty"`
	// Bidirectional makes an lstm or a gru run both ways and concatenates [forward, backward].
	Bidirectional bool `json:"bidirectional,omitempty"`
	// RecurrentActivation is that of an lstm's or a gru's gates: sigmoid, which "" stands for, or clip.
	RecurrentActivation string `json:"recurrent_activation,omitempty"`
	// ReturnSequences makes an lstm or a gru give its output at each step, not only the last.
	ReturnSequences bool `json:"return_sequences,omitempty"`
	// ResetAfter makes a gru apply its reset gate behind the recurrent product, which then has a bias of its own.
	ResetAfter bool `json:"reset_after,omitempty"`
	// Activation is applied to a conv1d's, conv2d's or dense layer's output.
	Activation string `json:"activation,omitempty"`
	// Theta is a thresholded_relu's bound: y = x where x > theta, else 0.
	Theta float64 `json:"theta,omitempty"`
	// Rate is the share of values a dropout layer zeroes in training, [0, 1). It does nothing in inference.
	Rate float64 `json:"rate,omitempty"`
	// Branches of a parallel layer, each fed the same input.
	Branches [][]Layer `json:"branches,omitempty"`
}

// Param is one named tensor a node learns. Shapes and names follow Keras.
type Param struct {
	Name  string // "conv1d_1/kernel"
	Shape []int
}

// Size is the number of values of p.
func (p Param) Size() int { return sizeOf(p.Shape) }

// Node is one operation of a Spec laid out as a graph, in an order in which every node follows its inputs.
type Node struct {
	Name   string   // unique, as Keras would number it: "conv1d", "conv1d_1"
	Kind   string   // one of the Kind constants, never KindParallel
	Layer  Layer    // the layer it came from (zero for input and concatenate)
	Inputs []string // names of the nodes it reads
	Params []Param
	// Shape is the output's, without the batch: [time, features], [height, width, features] or [features]. The input has
	// [window].
	Shape []int
}

// Graph lays the Spec out as nodes: first the input, last the head. It reports the first thing wrong with the Spec.
func (s *Spec) Graph() ([]Node, error) {
	b, err := s.lay()
	return b.nodes, err
}

// Activations is the number of values that one name takes in all nodes together.
func (s *Spec) Activations() (int, error) {
	b, err := s.lay()
	return int(b.activations), err
}

func (s *Spec) lay() (builder, error) {
	b := builder{seen: map[string]int{}}
	err := s.check()
	if err == nil {
		in := b.add(Node{Name: s.Input(), Kind: KindInput, Shape: []int{s.Encoder.Window}})
		err = b.chain(s.Layers, in)
	}
	if err == nil {
		err = s.checkHead(b.nodes[len(b.nodes)-1])
	}
	if err != nil {
		return builder{}, fmt.Errorf("model %q: %w", s.Name, err)
	}
	return b, nil
}

// Validate says whether the Spec can be built.
func (s *Spec) Validate() error {
	_, err := s.Graph()
	return err
}

// Input is the name of the input in exported files.
func (s *Spec) Input() string {
	return cmp.Or(s.InputName, "domain_ids")
}

// Params lists every learned tensor in graph order. The Spec must be valid.
func (s *Spec) Params() ([]Param, error) {
	nodes, err := s.Graph()
	if err != nil {
		return nil, err
	}
	var out []Param
	for _, n := range nodes {
		out = append(out, n.Params...)
	}
	return out, nil
}

// Codes is one more than the highest code the model takes.
func (s *Spec) Codes() int {
	if s.Layers[0].Kind == KindEmbedding {
		return s.Layers[0].Rows
	}
	return s.Encoder.Codes()
}

// Outputs is the number of values the head gives: 1 for a sigmoid, len(Labels) for a softmax.
func (s *Spec) Outputs() int {
	if len(s.Layers) == 0 {
		return 0
	}
	return s.Layers[len(s.Layers)-1].Units
}

// WithLabels returns a copy of s whose head fits labels: a sigmoid for two labels, otherwise a softmax over all. A head
// that is a softmax over two stays one.
func (s Spec) WithLabels(labels []string) Spec {
	s.Labels = slices.Clone(labels)
	s.Layers = slices.Clone(s.Layers)
	head := &s.Layers[len(s.Layers)-1]
	if len(labels) == 2 && (head.Activation != Softmax || head.Units != 2) {
		head.Units, head.Activation = 1, Sigmoid
	} else {
		head.Units, head.Activation = len(labels), Softmax
	}
	return s
}

func (s *Spec) check() error {
	switch {
	case s.Version > SpecVersion:
		return fmt.Errorf("version %d is newer than this degas reads (%d)", s.Version, SpecVersion)
	case len(s.Layers) < 2:
		return errors.New("needs at least an embedding and a dense layer")
	case s.Layers[0].Kind != KindEmbedding && s.Layers[0].Kind != KindImage:
		return fmt.Errorf("the first layer is %q, not an embedding or an image", s.Layers[0].Kind)
	case len(s.Labels) < 2:
		return fmt.Errorf("has %d labels, needs at least two", len(s.Labels))
	}
	seen := map[string]bool{}
	for _, l := range s.Labels { // a verdict must say which one it is
		if l == "" || l == InvalidLabel || seen[l] {
			return fmt.Errorf("label %q: labels must be different words, and %q stands for what is no name. Try: another word",
				l, InvalidLabel)
		}
		seen[l] = true
	}
	if err := s.Encoder.Validate(); err != nil {
		return err
	}
	if rows, need := s.Layers[0].Rows, s.Encoder.Codes(); s.Layers[0].Kind == KindEmbedding && rows < need {
		return fmt.Errorf("the embedding has %d rows, the encoder makes %d codes", rows, need)
	}
	return nil
}

func (s *Spec) checkHead(n Node) error {
	if n.Kind != KindDense {
		return fmt.Errorf("the last layer is %q, not dense", n.Kind)
	}
	switch n.Layer.Activation {
	case Sigmoid:
		if n.Layer.Units != 1 || len(s.Labels) != 2 {
			return fmt.Errorf("a sigmoid head needs 1 unit and 2 labels, has %d and %d", n.Layer.Units, len(s.Labels))
		}
	case Softmax:
		if n.Layer.Units != len(s.Labels) {
			return fmt.Errorf("a softmax head needs a unit a label, has %d and %d", n.Layer.Units, len(s.Labels))
		}
	default:
		return fmt.Errorf("the head's activation is %q, not sigmoid or softmax", n.Layer.Activation)
	}
	return nil
}
