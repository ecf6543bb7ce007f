// Package keras describes a model in Keras' terms: layers in the order in which Keras keeps them, their configuration
// and their weights.
//
// The configuration has the syntax of Keras 2, which tf-keras, Keras 3 and TensorFlow.js all load. It leaves out what
// some of them do not know: an LSTM's time_major, an Embedding's sparse, dtype policies and the training configuration.
package keras

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/degas-dns/degas/export/internal/nodes"
	"github.com/degas-dns/degas/model"
)

// OwnAttribute is the root's attribute with degas' model.json, which says how names become codes and what the outputs
// mean. Keras ignores it.
const OwnAttribute = "degas_model"

// Object is a JSON object.
type Object = map[string]any

// Layer is one Keras layer.
type Layer struct {
	Class, Name string
	Config      Object
	Inputs      []string
	Weights     []Weight // in the order of Keras' layer.weights
}

// Weight is one variable of a layer under the name that Keras 2 gives it: "lstm/lstm_cell/kernel:0".
type Weight struct {
	Name   string
	Tensor *model.Tensor
}

// Layers returns m's layers in the order of Keras' model.layers: see [order].
func Layers(m *model.Model) ([]Layer, error) {
	list, err := nodes.Of(m)
	if err != nil {
		return nil, err
	}
	var out []Layer
	for _, n := range order(withoutImage(list)) {
		l, err := layer(n)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
		for _, p := range n.Params {
			l.Weights = append(l.Weights, Weight{weightName(n, p.Name), m.Weights[p.Name]})
		}
		out = append(out, l)
	}
	return out, nil
}

// withoutImage makes an image layer part of the input, because Keras' models of pictures read [height, width, 1].
func withoutImage(list []model.Node) []model.Node {
	if list[1].Kind != model.KindImage {
		return list
	}
	input, image := list[0], list[1]
	input.Shape = image.Shape
	out := []model.Node{input}
	for _, n := range list[2:] {
		n.Inputs = slices.Clone(n.Inputs)
		for i, in := range n.Inputs {
			if in == image.Name {
				n.Inputs[i] = input.Name
			}
		}
		out = append(out, n)
	}
	return out
}

// Config returns the configuration of the model as Keras' functional API writes it.
func Config(spec *model.Spec, layers []Layer) Object {
	var list []any
	for _, l := range layers {
		inbound := []any{}
		if len(l.Inputs) > 0 {
			var node []any
			for _, in := range l.Inputs {
				node = append(node, []any{in, 0, 0, Object{}})
			}
			inbound = append(inbound, node)
		}
		list = append(list, Object{"class_name": l.Class, "name": l.Name, "config": l.Config, "inbound_nodes": inbound})
	}
	return Object{"class_name": "Functional", "config": Object{
		"name":          modelName(spec.Name),
		"trainable":     true,
		"layers":        list,
		"input_layers":  []any{[]any{layers[0].Name, 0, 0}},
		"output_layers": []any{[]any{layers[len(layers)-1].Name, 0, 0}},
	}}
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9_]+`)

// modelName turns a Spec's name into one that Keras takes: no '/', and a letter first.
func modelName(name string) string {
	name = strings.Trim(notInName.ReplaceAllString(name, "_"), "_")
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		return "model_" + name
	}
	return name
}

// weightName turns a parameter's name into Keras'. The variables of an LSTM or a GRU belong to its cell, and those of a
// bidirectional layer to the wrapped layer and its mirror image.
func weightName(n model.Node, param string) string {
	name := strings.TrimPrefix(param, n.Name+"/")
	if n.Kind == model.KindLSTM || n.Kind == model.KindGRU {
		cell := n.Kind + "_cell/"
		name = cell + name
		for _, side := range []string{"forward", "backward"} {
			name = strings.Replace(name, cell+side+"/", side+"_"+n.Kind+"/"+cell, 1)
		}
	}
	return n.Name + "/" + name + ":0"
}
