package metrics

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/degas-dns/degas/datasets"
)

// Generalisation is what a model's recipe finds of names that resemble nothing it was trained on: the recipe is trained
// again without some families, sources or domains, and measured on those. Package protocol makes it.
type Generalisation struct {
	Format   int    `json:"format"`
	Protocol string `json:"protocol"` // leave-family-out, leave-source-out, leave-benign-out or kfold
	Arch     string `json:"arch"`
	Epochs   int    `json:"epochs"` // at most, a training
	// Blend is the recipe's: above 0, each training has an epoch more.
	Blend float64 `json:"blend,omitempty"`
	// Folds and Names are as asked for. Folds 0: one training per group. Names 0: all names.
	Folds       int     `json:"folds,omitempty"`
	Names       int     `json:"names,omitempty"`
	Fingerprint string  `json:"dataset"`
	Seconds     float64 `json:"seconds"`
	Trainings   int     `json:"trainings"`
	// Baseline is the plain classifier that was trained on the same names each time.
	Baseline string `json:"baseline"`
	// Groups are the families or sources that were held out, hardest first, or the folds of kfold in order.
	Groups []HeldOut `json:"groups"`
	// Together are the families that were held out under one name, by that name: variants of one algorithm.
	Together map[string][]string `json:"together,omitempty"`
	// Mean is over the groups, each counting the same; SD is their standard deviation. A source of benign names counts
	// in neither.
	Mean Detections `json:"mean"`
	SD   Detections `json:"sd"`
	// Skipped are groups without which nothing could be trained, and why.
	Skipped []string `json:"skipped,omitempty"`
}

// GeneralisationFormat is Generalisation.Format.
const GeneralisationFormat = 2

// HeldOut is one group of names that training did not see.
type HeldOut struct {
	Name       string `json:"name"`
	Class      string `json:"class,omitempty"`
	Names      int    `json:"names"`
	Benign     int    `json:"benign"` // names that the thresholds were read off; they were not trained on either
	Detections        // of the group
	// Needed is, of leave-benign-out, the false-positive rate to choose a threshold for, if the group's own is to be
	// NeededFor.
	Needed Number `json:"needed_fpr,omitempty"`
}

// NeededFor is the rate of false alarms among held-out benign names that HeldOut.Needed is for.
const NeededFor = 1e-3

// Needed is the share of benign names above the threshold at which NeededFor of the held-out ones are called malicious.
func Needed(benign, held []float64) Number { return Detect(held, benign).TPR1e3 }

// WorstSource is the benign source whose names ask for the lowest false-positive rate, by leave-benign-out.
func (g *Generalisation) WorstSource() HeldOut {
	return slices.MinFunc(g.Groups, func(a, b HeldOut) int { return cmp.Compare(a.Needed, b.Needed) })
}

// Detections are what a recipe's model and the baseline beside it find.
type Detections struct {
	Model Detection `json:"model"`
	Plain Detection `json:"baseline"`
}

// Detection is how well a scorer tells held-out malicious names from benign ones. For held-out benign names there is no
// area, and the rates are the shares called malicious at the thresholds for 1e-2 and 1e-3 of other benign names.
type Detection struct {
	ROCAUC Number `json:"roc_auc"`
	TPR1e2 Number `json:"tpr_at_fpr_1e-2"`
	TPR1e3 Number `json:"tpr_at_fpr_1e-3"`
}

// ClassDetection is how well names of one class, dga or tunnel, are told from benign ones, with the bootstrap's 95 %
// intervals.
type ClassDetection struct {
	Class string `json:"class"`
	Names int    `json:"names"`
	Detection
	ROCAUC95       [2]Number `json:"roc_auc_95"`
	TPR1e2Interval [2]Number `json:"tpr_at_fpr_1e-2_95"`
	TPR1e3Interval [2]Number `json:"tpr_at_fpr_1e-3_95"`
}

// Detect measures the scores of held-out malicious names against those of benign ones.
func Detect(benign, malicious []float64) Detection {
	return curveBetween(benign, malicious).detection()
}

// Alarms is the share of held-out benign names at or above the thresholds for 1e-2 and 1e-3 of other benign names.
func Alarms(benign, held []float64) Detection {
	d := Detect(benign, held) // the FPR on held-out benign names is computed like a TPR
	d.ROCAUC = none
	return d
}

// curveBetween is the curve of two lists of scores.
func curveBetween(benign, malicious []float64) *Curve {
	return newCurve(slices.Concat(benign, malicious), func(i int) bool { return i >= len(benign) })
}

func (c *Curve) detection() Detection {
	return Detection{c.ROCAUC(), c.operating(1e-2).TPR, c.operating(1e-3).TPR}
}

// detectClasses measures each class of malicious names against all benign ones. seed draws the bootstrap.
func detectClasses(ctx context.Context, s *Sample, seed uint64) ([]ClassDetection, error) {
	scores := map[datasets.Class][]float64{}
	for i, c := range s.Class {
		if s.Truth[i] == 0 {
			c = datasets.Benign
		}
		scores[c] = append(scores[c], s.Score(i))
	}
	out := []ClassDetection{}
	for _, class := range []datasets.Class{datasets.DGA, datasets.Tunnel} {
		if len(scores[class]) == 0 {
			continue
		}
		c := curveBetween(scores[datasets.Benign], scores[class])
		points := c.operatingPoints()[:AtFPR1e3+1]
		interval, err := c.bootstrap(ctx, seed, points)
		if err != nil {
			return nil, err
		}
		out = append(out, ClassDetection{
			class.String(), c.Positives, c.detection(), interval, points[AtFPR1e2].TPR95, points[AtFPR1e3].TPR95,
		})
	}
	return out, nil
}

// Summarise sorts the groups, unless they are folds, and fills in means and deviations.
func (g *Generalisation) Summarise() {
	if g.Protocol != "kfold" {
		slices.SortStableFunc(g.Groups, func(a, b HeldOut) int { return cmp.Compare(a.Model.TPR1e3, b.Model.TPR1e3) })
	}
	mean, sd := g.Mean.columns(), g.SD.columns()
	for k := range mean {
		var sum, squares, n float64
		for _, h := range g.Groups {
			x := float64(*h.columns()[k])
			if h.Class != datasets.Benign.String() && !math.IsNaN(x) {
				sum, squares, n = sum+x, squares+x*x, n+1
			}
		}
		*mean[k], *sd[k] = Number(sum/n), Number(math.Sqrt(max(0, squares-sum*sum/n)/(n-1)))
	}
}

// columns are the numbers of a row of the table.
func (d *Detections) columns() []*Number {
	m, p := &d.Model, &d.Plain
	return []*Number{&m.ROCAUC, &m.TPR1e2, &m.TPR1e3, &p.ROCAUC, &p.TPR1e2, &p.TPR1e3}
}

// FewestBenign is the least number of benign names that a group's thresholds were read off.
func (g *Generalisation) FewestBenign() int {
	least := math.MaxInt
	for _, h := range g.Groups {
		least = min(least, h.Benign)
	}
	return least
}
