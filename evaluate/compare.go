package evaluate

import (
	"context"
	"encoding/json"
	"fmt"
	"image/color"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/chart"
	"github.com/degas-dns/degas/model"
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
	// Foreign says that it was not trained on this data set: it may have seen these names in training.
	Foreign    bool             `json:"trained_elsewhere"`
	ROCAUC     Number           `json:"roc_auc"`
	ROCAUC95   [2]Number        `json:"roc_auc_95"` // the paired bootstrap's, as those of Operating
	PartialAUC Number           `json:"partial_roc_auc_fpr_1e-2"`
	ECE        Number           `json:"ece"`
	Operating  []OperatingPoint `json:"operating_points"`
}

// Difference is how far a run is from the first one on the same names. Intervals are 95 % percentiles of a paired
// bootstrap: both are measured on the same drawn names each time.
type Difference struct {
	Run      string    `json:"run"`
	AUC      Number    `json:"roc_auc"`
	AUC95    [2]Number `json:"roc_auc_95"`
	TPR      Number    `json:"tpr_at_fpr_1e-3"`
	TPR95    [2]Number `json:"tpr_at_fpr_1e-3_95"`
	OnlyIt   int       `json:"only_it_right"` // at each one's threshold
	OnlyThis int       `json:"only_first_right"`
	// McNemar is the chance of so uneven a division of the names that one of them alone gets right, if neither were better
	// (McNemar 1947, exact).
	McNemar Number `json:"mcnemar_p"`
}

// Compare measures runs on one split of one data set, the first run's unless o says otherwise (o.RunDir is not read).
// With o.Out set it writes compare.json and roc.png there.
func Compare(ctx context.Context, runs []string, o RunOptions) (*Comparison, error) {
	if len(runs) < 2 {
		return nil, fmt.Errorf("compare: %d runs, needs two", len(runs))
	}
	if o.Split == "" {
		o.Split = "test"
	}
	c := &Comparison{Split: o.Split}
	var samples []*Sample
	var curves []*curve
	var data *datasets.Manifest
	for _, run := range runs {
		cfg, s, m, err := compared(ctx, run, &o)
		if err != nil {
			return nil, fmt.Errorf("compare %s: %w", run, err)
		}
		if data == nil { // the first run has said which
			if data, err = datasets.ReadManifest(o.Data); err != nil {
				return nil, err
			}
		}
		if len(samples) > 0 && !sameNames(s, samples[0]) {
			return nil, fmt.Errorf("compare %s: its labels leave out other names of %s than %s's do; only runs that judge the same names can be compared", run, o.Data, runs[0])
		}
		k := newCurve(s)
		if k.positives == 0 || k.negatives == 0 {
			return nil, fmt.Errorf("compare: the %s split of %s has %d malicious and %d benign names, both are needed", o.Split, o.Data, k.positives, k.negatives)
		}
		one := Compared{Run: run, Threshold: m.Threshold, Foreign: m.Dataset != data.Fingerprint || cfg.foreign(data), ROCAUC: Number(k.rocAUC()), PartialAUC: Number(k.partialAUC(partialRate)), ECE: Number(ece(calibrationOf(s))), Parameters: m.Weights.Size(), Operating: k.atRates()}
		c.Runs, samples, curves = append(c.Runs, one), append(samples, s), append(curves, k)
	}
	c.Data, c.Names = o.Data, len(samples[0].Names)
	boot, err := bootstrapTogether(ctx, curves)
	if err != nil {
		return nil, err
	}
	for k := range c.Runs {
		c.Runs[k].intervals(&boot[k])
	}
	for k := 1; k < len(runs); k++ {
		d := difference(curves[0], curves[k], boot[0], boot[k])
		d.Run = runs[k]
		d.verdicts(samples[0], samples[k], c.Runs[0].Threshold, c.Runs[k].Threshold)
		c.Pairs = append(c.Pairs, d)
	}
	if o.Out == "" {
		return c, nil
	}
	return c, c.write(o.Out, curves, boot)
}

// intervals sets the run's 95 % intervals.
func (r *Compared) intervals(d *bootstrapped) {
	r.ROCAUC95 = percentiles(slices.Clone(d.areas))
	for i := range r.Operating {
		r.Operating[i].TPR95 = d.interval(slices.Index(bandRates, r.Operating[i].FPR))
	}
}

// compared scores a run; the first one sets the data set.
func compared(ctx context.Context, run string, o *RunOptions) (*runConfig, *Sample, *model.Model, error) {
	o.RunDir = run
	cfg, m, err := openRun(o)
	if err != nil {
		return nil, nil, nil, err
	}
	s, err := score(ctx, m, cfg.Target, *o)
	if err != nil {
		return nil, nil, nil, err
	}
	return cfg, s, m, s.validate()
}

// sameNames says whether two samples judge the same names as benign or not.
func sameNames(a, b *Sample) bool {
	if !slices.Equal(a.Names, b.Names) {
		return false
	}
	for i := range a.Truth {
		if (a.Truth[i] != 0) != (b.Truth[i] != 0) {
			return false
		}
	}
	return true
}

// difference measures b against a, whose rounds were drawn together.
func difference(a, b *curve, drawsA, drawsB bootstrapped) Difference {
	d := Difference{AUC: Number(b.rocAUC() - a.rocAUC()), TPR: b.operating(1e-3).TPR - a.operating(1e-3).TPR}
	var areas, found []float64
	for r, area := range drawsB.areas {
		areas = append(areas, area-drawsA.areas[r])
		found = append(found, drawsB.found[strictBand][r]-drawsA.found[strictBand][r])
	}
	d.AUC95, d.TPR95 = percentiles(areas), percentiles(found)
	return d
}

// verdicts counts the names that one of two models alone judges right at its threshold.
func (d *Difference) verdicts(a, b *Sample, thresholdA, thresholdB float64) {
	for i := range a.Names {
		truth := a.Truth[i] != 0
		right, other := (a.Predicted(i, thresholdA) != 0) == truth, (b.Predicted(i, thresholdB) != 0) == truth
		switch {
		case right && !other:
			d.OnlyThis++
		case other && !right:
			d.OnlyIt++
		}
	}
	d.McNemar = Number(mcNemar(d.OnlyThis, d.OnlyIt))
}

// mcNemar is the two-sided probability of a division of a+b as uneven as a to b by fair coins.
func mcNemar(a, b int) float64 {
	if a == b {
		return 1
	}
	coins := distuv.Binomial{N: float64(a + b), P: 0.5}
	return min(1, 2*coins.CDF(float64(min(a, b))))
}

// write puts compare.json and roc.png, the curves with their intervals shaded, into dir.
func (c *Comparison) write(dir string, curves []*curve, boot []bootstrapped) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(dir, "compare.json"), append(data, '\n')); err != nil {
		return err
	}
	p := chart.New(fmt.Sprintf("ROC on %s names of %s, 95 %% intervals shaded", chart.Grouped(c.Names), c.Split), "false-positive rate (benign names called malicious)", "true-positive rate")
	if err := rocAxes(p, curves[0].negatives); err != nil {
		return err
	}
	colors := []color.RGBA{chart.Blue, chart.Orange, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0x8b, 0x45, 0x13, 0xff}, chart.Ink, chart.Grey}
	for i := range curves {
		if err := band(p, boot[i], colors[i%len(colors)]); err != nil {
			return err
		}
	}
	for i, k := range curves {
		if err := line(p, k.steps(), colors[i%len(colors)], fmt.Sprintf("%s, area %.4f", chart.Shorten(filepath.Base(c.Runs[i].Run), 30), float64(c.Runs[i].ROCAUC)), false); err != nil {
			return err
		}
	}
	return chart.Save(p, 8, 5, filepath.Join(dir, "roc.png"))
}

// Print writes the comparison for a person.
func (c *Comparison) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s names of %s, %s\n\n", chart.Grouped(c.Names), c.Split, c.Data)
	var few [2]string // at 1e-2 and 1e-3; the names are the same for all
	for i := range few {
		if c.Runs[0].Operating[i].TooFew {
			few[i] = " (TOO FEW)"
		}
	}
	fmt.Fprintf(w, "RUN\tPARAMETERS\tROC-AUC\t95 %%\tUP TO 1E-2\tTPR AT 1E-2%s\tAT 1E-3%s\t95 %%\tCALIBRATION ERROR\n", few[0], few[1])
	for _, r := range c.Runs {
		strict := r.Operating[1]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s to %s\t%s\t%s\t%s\t%s to %s\t%s\n", r.Run, chart.Grouped(r.Parameters), num(r.ROCAUC), num(r.ROCAUC95[0]), num(r.ROCAUC95[1]), num(r.PartialAUC),
			num(r.Operating[0].TPR), num(strict.TPR), num(strict.TPR95[0]), num(strict.TPR95[1]), num(r.ECE))
	}
	for _, r := range c.Runs {
		if r.Foreign {
			fmt.Fprintf(w, "\n%s was trained on another data set, or on an unknown one: these names may have been seen in training.\n", r.Run)
		}
	}
	fmt.Fprintf(w, "\nAGAINST %s\tROC-AUC\t95 %%\tTPR AT 1E-3%s\t95 %%\tONLY IT RIGHT\tONLY THE FIRST\tMCNEMAR P\n", c.Runs[0].Run, few[1])
	for _, d := range c.Pairs {
		fmt.Fprintf(w, "%s\t%+.4f\t%+.4f to %+.4f\t%+.4f\t%+.4f to %+.4f\t%d\t%d\t%.2g\n", d.Run, float64(d.AUC), float64(d.AUC95[0]), float64(d.AUC95[1]),
			float64(d.TPR), float64(d.TPR95[0]), float64(d.TPR95[1]), d.OnlyIt, d.OnlyThis, float64(d.McNemar))
	}
	return w.Flush()
}
