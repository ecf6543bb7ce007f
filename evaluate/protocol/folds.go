package protocol

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/metrics"
)

// defaultFolds is kfold's number of folds, as scikit-learn has it.
const defaultFolds = 5

// folds divides the rows as the protocol says.
func (r *runner) folds() ([]fold, error) {
	if r.Folds < 0 || r.Folds == 1 {
		return nil, fmt.Errorf("%d folds: at least 2 are needed", r.Folds)
	}
	switch r.Protocol {
	case LeaveFamilyOut:
		return r.leaveOut(func(w *row) string { return stem(w.family) }), nil
	case LeaveSourceOut:
		return r.leaveOut(func(w *row) string { return w.source }), nil
	case LeaveBenignOut:
		tells := r.tellingSources()
		return r.leaveOut(func(w *row) string {
			if !tells[w.source] {
				return ""
			}
			return w.source
		}), nil
	case KFold:
		return r.kfold(), nil
	}
	return nil, fmt.Errorf("unknown protocol, known are %s", strings.Join(Names(), ", "))
}

// fewestTelling is how many names a source must have to tell a rate of 1 in 1,000: five of them are above it.
const fewestTelling = 5000

// tellingSources are the sources of enough benign names and no others. Lists of both kinds were made for classifiers:
// their benign names are not what a network asks for.
func (r *runner) tellingSources() map[string]bool {
	counts, mixed := map[string]int{}, map[string]bool{}
	for _, w := range r.rows {
		counts[w.source]++
		mixed[w.source] = mixed[w.source] || w.class != datasets.Benign
	}
	tells := map[string]bool{}
	for s, n := range counts {
		tells[s] = n >= fewestTelling && !mixed[s]
	}
	return tells
}

// stem is what variants of one family share: holding out pykspa says little while pykspa_noise is trained on.
func stem(family string) string {
	if at := strings.IndexAny(family, "_-."); at > 0 {
		return family[:at]
	}
	return family
}

// leaveOut makes folds of the groups that key divides rows into. "" is never held out.
func (r *runner) leaveOut(key func(*row) string) []fold {
	counts := map[string]int{}
	for i := range r.rows {
		if k := key(&r.rows[i]); k != "" {
			counts[k]++
		}
	}
	groups := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var out []fold
	for _, held := range deal(groups, counts, r.Folds) {
		// Other sources have names of the same registered domains, and what was trained on would be measured. Families
		// are told apart by more: what one has under a dynamic DNS service says nothing of another's names there.
		shared := map[float64]bool{} // registered domains of held-out sources, as their parts
		for _, w := range r.rows {
			if r.Protocol != LeaveFamilyOut && slices.Contains(held, key(&w)) {
				shared[w.part] = true
			}
		}
		out = append(out, fold{without: strings.Join(held, ", "), use: func(w *row) use {
			switch {
			case slices.Contains(held, key(w)):
				return heldOut // wherever it was: none of it is trained on
			case w.split != "test" && shared[w.part]:
				return leftOut
			case w.split == "train":
				return train
			case w.split == "validation":
				return validate
			case w.class == datasets.Benign:
				return benign
			}
			return leftOut
		}})
	}
	return out
}

// deal gives each group, largest first, to the fold that has the fewest names so far. 0 folds are as many as groups.
func deal(groups []string, counts map[string]int, folds int) [][]string {
	if folds == 0 || folds > len(groups) {
		folds = len(groups)
	}
	out, sizes := make([][]string, folds), make([]int, folds)
	for _, g := range groups {
		least := 0
		for k, s := range sizes {
			if s < sizes[least] {
				least = k
			}
		}
		out[least], sizes[least] = append(out[least], g), sizes[least]+counts[g]
	}
	return out
}

// kfold divides by registered domain; a tenth of what is left validates.
func (r *runner) kfold() []fold {
	k := cmp.Or(r.Folds, defaultFolds)
	var out []fold
	for i := range k {
		out = append(out, fold{without: fmt.Sprintf("fold %d", i+1), use: func(w *row) use {
			at := w.part * float64(k)
			switch {
			case int(at) == i && w.class == datasets.Benign:
				return benign
			case int(at) == i:
				return heldOut
			case at-float64(int(at)) < 0.1:
				return validate
			}
			return train
		}})
	}
	return out
}

// measure adds what was found of each held-out group to the result. The scores are of the benign names, then of those
// held out.
func (r *runner) measure(f fold, parts map[use][]*row, byModel, byPlain []float64) {
	type group struct{ name, class string }
	at := map[group][]int{} // places among the scores
	others := len(parts[benign])
	for i, w := range parts[heldOut] {
		g := group{f.without, ""}
		switch r.Protocol {
		case LeaveFamilyOut:
			g = group{stem(w.family), w.class.String()}
		case LeaveSourceOut, LeaveBenignOut:
			g = group{w.source, w.class.String()}
		}
		at[g] = append(at[g], others+i)
	}
	order := slices.SortedFunc(maps.Keys(at), func(a, b group) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.class, b.class))
	})
	for _, g := range order {
		detect := metrics.Detect
		if g.class == datasets.Benign.String() {
			detect = metrics.Alarms
		}
		held := metrics.HeldOut{
			Name: g.name, Class: g.class, Names: len(at[g]), Benign: others, Detections: metrics.Detections{
				Model: detect(byModel[:others], pick(byModel, at[g])),
				Plain: detect(byPlain[:others], pick(byPlain, at[g])),
			},
		}
		if r.Protocol == LeaveBenignOut {
			held.Needed = metrics.Needed(byModel[:others], pick(byModel, at[g]))
		}
		r.result.Groups = append(r.result.Groups, held)
	}
}

func pick(x []float64, at []int) []float64 {
	out := make([]float64, len(at))
	for i, k := range at {
		out[i] = x[k]
	}
	return out
}
