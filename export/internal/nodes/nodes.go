// Package nodes is what every export format does before it writes: it lays a model out and refuses what no other
// runtime could hold.
package nodes

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/degas-dns/degas/model"
)

// inputName is what every runtime accepts: Keras 3 refuses '/', TensorFlow a leading '_', and callers pass it as a
// keyword argument in Python.
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
	if name := list[0].Name; !inputName.MatchString(name) {
		return nil, fmt.Errorf("input name %q: letters, digits and '_' only, a letter first", name)
	}
	if name := list[0].Name; slices.Contains(reserved, name) {
		return nil, fmt.Errorf("input name %q means something else in exported files", name)
	}
	shapes := map[string][]int{}
	for _, n := range list {
		if _, dup := shapes[n.Name]; dup {
			return nil, fmt.Errorf("the input and a layer are both called %q", n.Name)
		}
		shapes[n.Name] = n.Shape
	}
	return list, nil
}

// PoolPadding is the number of columns that TensorFlow's Same pooling puts before and after an input of length steps,
// with the stride equal to the pool: as even as can be, the odd one behind.
func PoolPadding(l model.Layer, length int) (before, after int) {
	if l.Padding != model.Same {
		return 0, 0
	}
	return model.PoolPadding(length, l.Pool)
}
