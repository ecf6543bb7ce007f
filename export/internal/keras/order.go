package keras

import (
	"cmp"
	"slices"

	"github.com/degas-dns/degas/model"
)

// order sorts nodes as Keras sorts a functional model's layers (map_graph in keras/src/ops/function.py, and
// _map_graph_network in tf_keras): by depth, which is the longest way to the output, deepest first. Nodes of equal
// depth come in the order in which a walk from the output, depth first and inputs in order, meets them. Keras loads
// weights by position in this order. In any other, branches of unequal length would load each other's weights, silently
// if shapes agree.
func order(list []model.Node) []model.Node {
	byName := map[string]model.Node{}
	for _, n := range list {
		byName[n.Name] = n
	}
	depth := map[string]int{}
	for _, n := range slices.Backward(list) { // every node before its inputs
		for _, in := range n.Inputs {
			depth[in] = max(depth[in], depth[n.Name]+1)
		}
	}
	met := map[string]int{}
	var walk func(name string)
	walk = func(name string) {
		if _, seen := met[name]; seen {
			return
		}
		met[name] = len(met)
		for _, in := range byName[name].Inputs {
			walk(in)
		}
	}
	walk(list[len(list)-1].Name)
	out := slices.Clone(list)
	slices.SortFunc(out, func(a, b model.Node) int {
		return cmp.Or(depth[b.Name]-depth[a.Name], met[a.Name]-met[b.Name])
	})
	return out
}
