package evaluate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/chart"
)

// Generalisation is what a model's recipe finds of names that resemble nothing it was trained on: the recipe is trained
// again without some families, sources or domains, and measured on those. Package protocol makes it.
type Generalisation struct {
	Format   int    `json:"format"`
	Protocol string `json:"protocol"` // leave-family-out, leave-source-out or kfold
	Arch     string `json:"arch"`
	Epochs   int    `json:"epochs"` // at most, a training
	// Blend is the recipe's: above 0, each training has an epoch more.
	Blend float64 `json:"blend,omitempty"`
	// Folds and Names are as they were asked for, 0 for a training a group and for all names.
	Folds       int     `json:"folds,omitempty"`
	Names       int     `json:"names,omitempty"`
	Fingerprint string  `json:"dataset"`
	Seconds     float64 `json:"seconds"`
	Trainings   int     `json:"trainings"`
	// Baseline is the plain classifier that was trained on the same names each time.
	Baseline string `json:"baseline"`
	// Groups are the families or sources that were held out, hardest first, or the folds of kfold in order.
	Groups []HeldOut `json:"groups"`
	// Mean is over the groups, each counting the same; SD is their standard deviation. A source of benign names counts in
	// neither.
	Mean HeldOutMean `json:"mean"`
	SD   HeldOutMean `json:"sd"`
	// Skipped are groups without which nothing could be trained, and why.
	Skipped []string `json:"skipped,omitempty"`
}

// HeldOut is one group of names that training did not see.
type HeldOut struct {
	Name   string `json:"name"`
	Class  string `json:"class,omitempty"`
	Names  int    `json:"names"`
	Benign int    `json:"benign"` // names that the thresholds were read off; they were not trained on either
	// Model and Plain are what the recipe and the baseline find.
	Model Detection `json:"model"`
	Plain Detection `json:"baseline"`
}

// Detection is how well a scorer tells held-out malicious names from benign ones. For a held-out source of benign names
// the rates are the shares of them called malicious at the thresholds for 1e-2 and 1e-3 of other benign names, and there
// is no area.
type Detection struct {
	ROCAUC Number `json:"roc_auc"`
	TPR2   Number `json:"tpr_at_fpr_1e-2"`
	TPR3   Number `json:"tpr_at_fpr_1e-3"`
}

// HeldOutMean is one number for each column of HeldOut.
type HeldOutMean struct {
	Model Detection `json:"model"`
	Plain Detection `json:"baseline"`
}

// Detect measures the scores of held-out malicious names against those of benign ones.
func Detect(benign, malicious []float64) Detection {
	return between(benign, malicious).detection()
}

// between is the curve of two lists of scores.
func between(benign, malicious []float64) *curve {
	return newCurveOf(slices.Concat(benign, malicious), func(i int) bool { return i >= len(benign) })
}

func (c *curve) detection() Detection {
	if c.positives == 0 || c.negatives == 0 {
		return Detection{Number(math.NaN()), Number(math.NaN()), Number(math.NaN())}
	}
	return Detection{Number(c.rocAUC()), c.operating(rates[0]).TPR, c.operating(rates[1]).TPR}
}

// byClass measures each class of malicious names against all benign ones. seed draws the bootstrap.
func byClass(ctx context.Context, s *Sample, seed uint64) ([]ClassDetection, error) {
	scores := map[datasets.Class][]float64{}
	for i, c := range s.Class {
		if s.Truth[i] == 0 {
			c = datasets.Benign
		}
		scores[c] = append(scores[c], s.Score(i))
	}
	out := []ClassDetection{}
	for _, c := range []datasets.Class{datasets.DGA, datasets.Tunnel} {
		if len(scores[c]) == 0 {
			continue
		}
		k := between(scores[datasets.Benign], scores[c])
		d, points := ClassDetection{Class: c.String(), Names: len(scores[c]), Detection: k.detection()}, k.atRates()[:2]
		var err error
		if d.ROCAUC95, err = k.bootstrap(ctx, seed, points); err != nil {
			return nil, err
		}
		d.TPR295, d.TPR395 = points[0].TPR95, points[1].TPR95
		out = append(out, d)
	}
	return out, nil
}

// Alarms is the share of held-out benign names at or above the thresholds for 1e-2 and 1e-3 of other benign names.
func Alarms(benign, held []float64) Detection {
	d := Detect(benign, held) // what is found of names called malicious is the same count
	d.ROCAUC = Number(math.NaN())
	return d
}

// Summarise sorts the groups, unless they are folds, and fills in means and deviations.
func (g *Generalisation) Summarise() {
	if g.Protocol != "kfold" {
		slices.SortStableFunc(g.Groups, func(a, b HeldOut) int {
			switch {
			case a.Model.TPR3 < b.Model.TPR3:
				return -1
			case a.Model.TPR3 > b.Model.TPR3:
				return 1
			}
			return 0
		})
	}
	columns := func(m *HeldOutMean) []*Number {
		return []*Number{&m.Model.ROCAUC, &m.Model.TPR2, &m.Model.TPR3, &m.Plain.ROCAUC, &m.Plain.TPR2, &m.Plain.TPR3}
	}
	mean, sd := columns(&g.Mean), columns(&g.SD)
	for k := range mean {
		var sum, squares, n float64
		for _, h := range g.Groups {
			x := float64(*columns(&HeldOutMean{h.Model, h.Plain})[k])
			if h.Class != "benign" && !math.IsNaN(x) {
				sum, squares, n = sum+x, squares+x*x, n+1
			}
		}
		*mean[k], *sd[k] = Number(sum/n), Number(math.Sqrt(max(0, squares-sum*sum/n)/(n-1)))
	}
}

// GeneralisationFormat is Generalisation.Format as it is written; 1 had no blend, folds and names.
const GeneralisationFormat = 2

// Passes says how often a training sees its names.
func (g *Generalisation) Passes() string {
	switch {
	case g.Format < GeneralisationFormat:
		return fmt.Sprintf("at most %d epochs, and the blend's where the recipe has one", g.Epochs)
	case g.Blend > 0:
		return fmt.Sprintf("at most %d epochs and the blend's", g.Epochs)
	}
	return fmt.Sprintf("at most %d epochs", g.Epochs)
}

// command is how it was asked for of the run in dir; nil where that is not known.
func (g *Generalisation) command(dir string) []string {
	if g.Format < GeneralisationFormat {
		return nil
	}
	words := []string{"degas", "evaluate-model", dir, "--protocol", g.Protocol, "--epochs", fmt.Sprint(g.Epochs)}
	for _, f := range []struct {
		name  string
		value int
	}{{"--folds", g.Folds}, {"--names", g.Names}} {
		if f.value > 0 {
			words = append(words, f.name, fmt.Sprint(f.value))
		}
	}
	return words
}

// Fewest is the least number of benign names that a group's thresholds were read off.
func (g *Generalisation) Fewest() int {
	n := math.MaxInt
	for _, h := range g.Groups {
		n = min(n, h.Benign)
	}
	return n
}

// Cautions are what a reader must know before trusting the table.
func (g *Generalisation) Cautions() []string {
	var out []string
	if m := g.Mean; m.Plain.TPR3 >= m.Model.TPR3 || m.Plain.ROCAUC >= m.Model.ROCAUC {
		out = append(out, fmt.Sprintf("A plain classifier does better than this model on what neither has seen, or as well: %s, mean ROC-AUC %s and %s found at 1 false alarm in 1,000; the model %s and %s.",
			g.Baseline, num(m.Plain.ROCAUC), percent(m.Plain.TPR3), num(m.Model.ROCAUC), percent(m.Model.TPR3)))
	}
	for _, rate := range rates[:2] {
		if few := rate * float64(g.Fewest()); few < 10 {
			out = append(out, fmt.Sprintf("Rates at 1 false alarm in %s rest on %.1f benign names: too few to say much.", chart.Grouped(int(math.Round(1/rate))), few))
		}
	}
	return out
}

// Print writes the table.
func (g *Generalisation) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s of %s: %d trainings of %s in %.0f s\n\n", g.Protocol, g.Arch, g.Trainings, g.Passes(), g.Seconds)
	fmt.Fprintf(w, "held out\tnames\tROC-AUC\tTPR at 1e-2\tat 1e-3\t%s: ROC-AUC\tat 1e-2\tat 1e-3\n", g.Baseline)
	row := func(name, names string, m, p Detection) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, names, num(m.ROCAUC), percent(m.TPR2), percent(m.TPR3), num(p.ROCAUC), percent(p.TPR2), percent(p.TPR3))
	}
	for _, h := range g.Groups {
		name := h.Name
		if h.Class == "benign" {
			name += " (benign: false alarms)"
		}
		row(name, chart.Grouped(h.Names), h.Model, h.Plain)
	}
	row("mean", "", g.Mean.Model, g.Mean.Plain)
	row("standard deviation", "", g.SD.Model, g.SD.Plain)
	for _, s := range g.Cautions() {
		fmt.Fprintf(w, "\n%s\n", s)
	}
	for _, s := range g.Skipped {
		fmt.Fprintf(w, "left out: %s\n", s)
	}
	return w.Flush()
}

// ProtocolDir is where a run keeps its Generalisations, a JSON file each.
const ProtocolDir = "protocols"

// readGeneralisations reads those of a run that belong to a data set.
func readGeneralisations(run, fingerprint string) ([]Generalisation, error) {
	entries, err := os.ReadDir(filepath.Join(run, ProtocolDir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var out []Generalisation
	for _, e := range entries {
		p := filepath.Join(run, ProtocolDir, e.Name())
		if filepath.Ext(p) != ".json" {
			continue
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return nil, err
		}
		var g Generalisation
		if err := json.Unmarshal(data, &g); err != nil {
			return nil, fmt.Errorf("read %s: %w", p, err)
		}
		if g.Fingerprint == fingerprint {
			out = append(out, g)
		}
	}
	return out, nil
}
