package simulate

import (
	"context"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/synth"
)

// fewestOfFamily is how many names of a family a data set must have, so that its clients can be found.
const fewestOfFamily = 60

// Names reads the benign names of a split, at most most of them if that is not 0, and the names of DGA families that
// datasets/synth does not have: those of word lists are among them.
func Names(ctx context.Context, split *datasets.Split, most int) (
	benign []string, families map[string][]string, err error,
) {
	known := map[string]bool{"": true, datasets.BlocklistFamily: true}
	for _, f := range synth.Families() {
		known[f.Name] = true
	}
	families = map[string][]string{}
	for b, err := range split.Batches(ctx) {
		if err != nil {
			return nil, nil, err
		}
		for i, name := range b.Names {
			family := split.Families()[b.Family[i]]
			switch {
			case b.Class[i] == datasets.Benign:
				benign = append(benign, strings.Clone(name))
			case b.Class[i] == datasets.DGA && !known[family]:
				families[family] = append(families[family], strings.Clone(name))
			}
		}
	}
	for family, names := range families {
		if len(names) < fewestOfFamily {
			delete(families, family)
		}
	}
	if most > 0 && len(benign) > most { // the split's order is no order of chance
		newRand(1).Shuffle(len(benign), func(i, j int) { benign[i], benign[j] = benign[j], benign[i] })
		benign = slices.Clip(benign[:most])
	}
	return benign, families, nil
}
