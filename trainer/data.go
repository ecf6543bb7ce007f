package trainer

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/model"
)

// Targets a model can be trained for.
const (
	TargetBinary = "binary" // benign or malicious
	TargetClass  = "class"  // benign, dga, tunnel
	TargetFamily = "family" // benign or the family's name
)

// Targets lists the targets.
var Targets = []string{TargetBinary, TargetClass, TargetFamily}

// TargetOf is the target that a model's labels belong to.
func TargetOf(labels []string) string {
	if slices.Equal(labels, model.BinaryLabels) {
		return TargetBinary
	}
	for _, l := range labels {
		if !slices.Contains(datasets.ClassNames(), l) {
			return TargetFamily
		}
	}
	return TargetClass
}

// Labels lists the labels of a target in output order, benign first: fixed for binary, what occurs in split otherwise.
func Labels(ctx context.Context, split *datasets.Split, target string) ([]string, error) {
	switch target {
	case TargetBinary:
		return slices.Clone(model.BinaryLabels), nil
	case TargetClass, TargetFamily:
	default:
		return nil, fmt.Errorf("unknown target %q, known are %s, %s, %s", target, TargetBinary, TargetClass, TargetFamily)
	}
	seen := map[string]bool{}
	for b, err := range split.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		for i := range b.Names {
			seen[labelOf(split, &b, i, target)] = true
		}
	}
	benign := datasets.Benign.String()
	delete(seen, benign)
	out := append([]string{benign}, slices.Sorted(maps.Keys(seen))...)
	if len(out) < 2 {
		return nil, fmt.Errorf("target %s: the training split holds benign names only", target)
	}
	return out, nil
}

func labelOf(split *datasets.Split, b *datasets.Batch, i int, target string) string {
	return b.Class[i].Label(target, familyOf(split, b, i))
}

// familyOf is the family of row i of b, "" for a benign name.
func familyOf(split *datasets.Split, b *datasets.Batch, i int) string {
	if b.Class[i] == datasets.Benign {
		return ""
	}
	return split.Families()[b.Family[i]]
}
