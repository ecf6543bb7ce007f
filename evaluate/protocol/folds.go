package protocol

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
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
		stems := r.stems()
		return r.leaveOut(func(w *row) string { return stems[w.family] }), nil
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

// variant is the end of a name that numbers a variant: vawtrak_v2, fobber-1.
var variant = regexp.MustCompile(`^[_.-]v?[0-9]+$`)

// stems says under which name each family is held out. Variants of one algorithm share it: holding out pykspa says
// little while pykspa_noise is trained on. A word that several names begin with makes no algorithm: unnamed_downloader
// and unnamed_script are two.
func (r *runner) stems() map[string]string {
	stems := map[string]string{}
	for i := range r.rows {
		stems[r.rows[i].family] = r.rows[i].family
	}
	for family := range stems {
		at := strings.IndexAny(family, "_-.")
		if at <= 0 {
			continue
		}
		base := family[:at]
		if _, is := stems[base]; is || datasets.KnownFamily(base) || variant.MatchString(family[at:]) {
			stems[family] = base
		}
	}
	return stems
}

// together lists, by the name that they are held out under, the families that share it.
func together(stems map[string]string) map[string][]string {
	out := map[string][]string{}
	for _, family := range slices.Sorted(maps.Keys(stems)) {
		out[stems[family]] = append(out[stems[family]], family)
	}
	maps.DeleteFunc(out, func(name string, all []string) bool { return len(all) == 1 && all[0] == name })
	return out
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
	others, stems := len(parts[benign]), r.stems()
	for i, w := range parts[heldOut] {
		g := group{f.without, ""}
		switch r.Protocol {
		case LeaveFamilyOut:
			g = group{stems[w.family], w.class.String()}
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
