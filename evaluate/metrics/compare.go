package metrics

import (
	"context"
	"fmt"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Comparison is several runs measured on the same names.
type Comparison struct {
	Data  string       `json:"data"`
	Split string       `json:"split"`
	Names int          `json:"names"`
	Runs  []Compared   `json:"runs"`
	Pairs []Difference `json:"pairs"` // every run with the first
}

// Compared is one run of a Comparison.
type Compared struct {
	Run        string  `json:"run"`
	Parameters int     `json:"parameters"`
	Threshold  float64 `json:"threshold"`
	// Foreign says that it, or the model From, was not trained on this data set: it may have seen these names in training.
	Foreign bool `json:"trained_elsewhere"`
	// From is set where the run itself was trained on this data set: the model whose weights its training began with,
	// which may have seen these names.
	From       string    `json:"began_with,omitempty"`
	ROCAUC     Number    `json:"roc_auc"`
	ROCAUC95   [2]Number `json:"roc_auc_95"` // the paired bootstrap's, as those of Operating
	PartialAUC Number    `json:"partial_roc_auc_fpr_1e-2"`
	ECE        Number    `json:"ece"`
	// Recall and FPR are at Threshold: the share of malicious names found, and of benign names that are false alarms.
	Recall Number `json:"recall"`
	FPR    Number `json:"fpr"`
	// Sources are the same for the names of each source, such as the decisions of people.
	Sources   []GroupRecall    `json:"sources"`
	Operating []OperatingPoint `json:"operating_points"`

	Sample *Sample `json:"-"`
	// Curve and Band are for a picture: Band is the 95 % interval of the true-positive rate at each of BandRates.
	Curve *Curve      `json:"-"`
	Band  [][2]Number `json:"-"`
}

// Difference is how far a run is from the first one on the same names. Intervals are 95 % percentiles of a paired
// bootstrap: both are measured on the same drawn names each time.
type Difference struct {
	Run            string    `json:"run"`
	AUC            Number    `json:"roc_auc"`
	AUC95          [2]Number `json:"roc_auc_95"`
	TPR            Number    `json:"tpr_at_fpr_1e-3"`
	TPR95          [2]Number `json:"tpr_at_fpr_1e-3_95"`
	OnlyRunRight   int       `json:"only_it_right"` // names, at each one's threshold
	OnlyFirstRight int       `json:"only_first_right"`
	// McNemar is the exact p-value of the names that only one of the two runs gets right (McNemar 1947).
	McNemar Number `json:"mcnemar_p"`
}

// Compare measures runs on a split of a data set. Of each run the caller sets Run, Parameters, Threshold, Foreign and
// Sample; Compare sets the rest. Samples of different names, or without both kinds of names, are an error.
func Compare(ctx context.Context, data, split string, runs []Compared) (*Comparison, error) {
	first := &runs[0]
	for k := range runs {
		r := &runs[k]
		if !sameNames(r.Sample, first.Sample) {
			return nil, fmt.Errorf("compare %s: its labels leave out other names of %s than %s's do;"+
				" only runs that judge the same names can be compared", r.Run, data, first.Run)
		}
		c := NewCurve(r.Sample)
		if c.oneKind() {
			return nil, fmt.Errorf("compare: the %s split of %s has %d malicious and %d benign names, both are needed",
				split, data, c.Positives, c.Negatives)
		}
		r.Curve, r.ROCAUC, r.PartialAUC = c, c.ROCAUC(), c.partialAUC(partialRate)
		r.ECE, r.Operating = expectedError(CalibrationBins(r.Sample)), c.operatingPoints()
		r.atThreshold()
	}
	rounds, err := bootstrapTogether(ctx, runs)
	if err != nil {
		return nil, err
	}
	out := &Comparison{Data: data, Split: split, Names: len(first.Sample.Names), Runs: runs}
	for k := range runs {
		r := &runs[k]
		r.ROCAUC95 = percentiles(rounds[k].areas)
		rounds[k].setIntervals(r.Operating)
		for _, found := range rounds[k].found {
			r.Band = append(r.Band, percentiles(found))
		}
		if k > 0 {
			out.Pairs = append(out.Pairs, difference(first, r, rounds[0], rounds[k]))
		}
	}
	return out, nil
}

// sameNames says whether two samples judge the same names as benign or not.
func sameNames(a, b *Sample) bool {
	return slices.Equal(a.Names, b.Names) &&
		slices.EqualFunc(a.Truth, b.Truth, func(x, y int) bool { return (x != 0) == (y != 0) })
}

// difference measures b against a, whose rounds were drawn together.
func difference(a, b *Compared, roundsA, roundsB *drawn) Difference {
	minus := func(x, y []float64) [2]Number {
		out := make([]float64, len(x))
		for i := range x {
			out[i] = x[i] - y[i]
		}
		return percentiles(out)
	}
	fpr := reportedRates[AtFPR1e3]
	d := Difference{
		Run: b.Run, AUC: b.ROCAUC - a.ROCAUC, AUC95: minus(roundsB.areas, roundsA.areas),
		TPR:   b.Operating[AtFPR1e3].TPR - a.Operating[AtFPR1e3].TPR,
		TPR95: minus(roundsB.tprAt(fpr), roundsA.tprAt(fpr)),
	}
	for i, truth := range a.Sample.Truth {
		rightA := (a.Sample.Predicted(i, a.Threshold) != 0) == (truth != 0)
		rightB := (b.Sample.Predicted(i, b.Threshold) != 0) == (truth != 0)
		if rightA && !rightB {
			d.OnlyFirstRight++
		} else if rightB && !rightA {
			d.OnlyRunRight++
		}
	}
	d.McNemar = Number(mcNemar(d.OnlyFirstRight, d.OnlyRunRight))
	return d
}

// mcNemar is the two-sided probability that a+b fair coins divide at least as unevenly as a to b.
func mcNemar(a, b int) float64 {
	if a == b {
		return 1
	}
	coins := distuv.Binomial{N: float64(a + b), P: 0.5}
	return min(1, 2*coins.CDF(float64(min(a, b))))
}
