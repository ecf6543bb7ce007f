// Package nodes holds what export formats share: it lays a model out and refuses what no other runtime could hold.
package nodes

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/degas-dns/degas/model"
)

// inputName matches what every runtime accepts as an input's name: Keras 3 refuses '/', TensorFlow a leading '_', and
// Python callers pass it as a keyword argument.
var inputName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// reserved are names that exported files use for something else.
var reserved = []string{"score", "probabilities", "top_level_model_weights"}

// Of returns m's graph, input first and head last, after checking m's weights against it.
func Of(m *model.Model) ([]model.Node, error) {
	list, err := m.Spec.Graph()
	if err != nil {
		return nil, err
	}
	if err := m.Weights.Check(&m.Spec); err != nil {
		return nil, err
	}
	name := list[0].Name
	if !inputName.MatchString(name) {
		return nil, fmt.Errorf("input name %q: letters, digits and '_' only, a letter first", name)
	}
	if slices.Contains(reserved, name) {
		return nil, fmt.Errorf("input name %q means something else in exported files", name)
	}
	for _, n := range list[1:] {
		if n.Name == name {
			return nil, fmt.Errorf("the input and a layer are both called %q", name)
		}
	}
	return list, nil
}

// Operators names the operators of element-wise activations, which TensorFlow and ONNX call alike. Softmax takes the
// last axis. There is none for a linear activation.
var Operators = map[string]string{
	model.ReLU:    "Relu",
	model.Tanh:    "Tanh",
	model.Sigmoid: "Sigmoid",
	model.Softmax: "Softmax",
}
