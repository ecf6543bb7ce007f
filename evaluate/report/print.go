package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/internal/printable"
)

// legend explains columns, a line each. A tab behind the column's name keeps the explanations in a column.
func legend(w io.Writer, lines ...[2]string) {
	printable.Fprintf(w, "\n")
	for _, l := range lines {
		printable.Fprintf(w, "%s\t%s\n", l[0], l[1])
	}
}

// Explanations that several tables share.
const (
	aboutAUC = "how often a malicious name scores higher than a benign one: 1 is best, 0.5 is chance"
	aboutECE = "how far scores and truth are apart on average: 0 is best"
)

// Print writes the numbers a person looks at first. What to know before trusting them is in m.Warnings.
func Print(out io.Writer, m *metrics.Metrics) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	printable.Fprintf(w, "names\t%s\t(%s benign, %s malicious)\n",
		printable.Grouped(m.Names), printable.Grouped(m.Benign), printable.Grouped(m.Malicious))
	interval := ""
	if len(m.ROCAUC95) == 2 {
		interval = fmt.Sprintf("95 %% interval %s to %s; ", num(m.ROCAUC95[0]), num(m.ROCAUC95[1]))
	}
	printable.Fprintf(w, "ROC-AUC\t%s\t%s%s\n", num(m.ROCAUC), interval, aboutAUC)
	printable.Fprintf(w, "PR-AUC\t%s\taverage precision on this split\n", num(m.PRAUC))
	own := ownPoint(m)
	printable.Fprintf(w, "at threshold %.6g\t\tfinds %s of malicious names; "+
		"%s of %s benign names are false alarms (%s): %s a day at a million look-ups\n",
		m.Threshold, percent(m.Recall), printable.Grouped(own.Alarms), printable.Grouped(m.Benign), own.Rate(), own.ADay())
	printable.Fprintf(w, "accuracy\t%s\tat that threshold; precision %s, recall %s, F1 %s\n",
		num(m.Accuracy), num(m.Precision), num(m.Recall), num(m.F1))
	printable.Fprintf(w, "calibration error\t%s\t%s\n", num(m.ECE), aboutECE)
	if len(m.Labels) > 2 {
		printable.Fprintf(w, "macro F1\t%s\tmean over labels; weighted by their names %s\n", num(m.MacroF1),
			num(m.WeightedF1))
	}
	for _, o := range m.Operating {
		few := ""
		if o.TooFew {
			few = fmt.Sprintf("; too few benign names to trust (%d above)", o.BenignAbove)
		}
		printable.Fprintf(w, "TPR at FPR %.0e\t%s\tfound with %s benign names a false alarm%s\n", o.FPR, num(o.TPR),
			oneIn(o.FPR), few)
	}
	for _, b := range m.Baselines {
		beats := ""
		if b.Beats {
			beats = "; NOT BEATEN BY THE MODEL"
		}
		printable.Fprintf(w, "%s\t%s\tROC-AUC of a plain classifier; TPR at FPR 1e-02 %s, 1e-03 %s%s\n", b.Name,
			num(b.ROCAUC), num(b.Operating[metrics.AtFPR1e2].TPR), num(b.Operating[metrics.AtFPR1e3].TPR), beats)
	}
	return w.Flush()
}

// PrintComparison writes the comparison for a person.
func PrintComparison(out io.Writer, c *metrics.Comparison) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	printable.Fprintf(w, "%s names of %s, %s\n\n", printable.Grouped(c.Names), c.Split, c.Data)
	few := func(rate int) string { // the names are the same for all runs
		if c.Runs[0].Operating[rate].TooFew {
			return " (TOO FEW)"
		}
		return ""
	}
	const at1e2, at1e3 = metrics.AtFPR1e2, metrics.AtFPR1e3
	printable.Fprintf(w, "RUN\tPARAMETERS\tROC-AUC\t95 %%\tPARTIAL AUC\t"+
		"TPR AT 1E-2%s\tTPR AT 1E-3%s\t95 %%\tCALIBRATION ERROR\n", few(at1e2), few(at1e3))
	for _, r := range c.Runs {
		interval := r.Operating[at1e3].TPR95
		printable.Fprintf(w, "%s\t%s\t%s\t%s to %s\t%s\t%s\t%s\t%s to %s\t%s\n", r.Run, printable.Grouped(r.Parameters),
			num(r.ROCAUC), num(r.ROCAUC95[0]), num(r.ROCAUC95[1]), num(r.PartialAUC),
			num(r.Operating[at1e2].TPR), num(r.Operating[at1e3].TPR), num(interval[0]), num(interval[1]), num(r.ECE))
	}
	printable.Fprintf(w, "\nAGAINST %s\tROC-AUC\t95 %%\tTPR AT 1E-3%s\t95 %%\tFIRST WRONG\tFIRST RIGHT\tMCNEMAR P\n",
		c.Runs[0].Run, few(at1e3))
	for _, d := range c.Pairs {
		printable.Fprintf(w, "%s\t%+.4f\t%+.4f to %+.4f\t%+.4f\t%+.4f to %+.4f\t%d\t%d\t%s\n", d.Run,
			d.AUC, d.AUC95[0], d.AUC95[1], d.TPR, d.TPR95[0], d.TPR95[1], d.OnlyRunRight, d.OnlyFirstRight,
			pValue(d.McNemar))
	}
	legend(w,
		[2]string{"ROC-AUC", aboutAUC},
		[2]string{"PARTIAL AUC", "the same where at most 1 benign name in 100 is a false alarm"},
		[2]string{"TPR AT 1E-2", "malicious names found, if 1 benign name in 100 is a false alarm; 1E-3: if 1 in 1,000 is"},
		[2]string{"95 %", "interval of the number on its left; if that of a difference leaves out 0, it is no chance"},
		[2]string{"CALIBRATION ERROR", aboutECE},
		[2]string{"FIRST WRONG", "names that the run has right and the first run wrong, each at its own threshold"},
		[2]string{"FIRST RIGHT", "names that the run has wrong and the first run right"},
		[2]string{"MCNEMAR P", "the chance of numbers as uneven as these two if both runs were equally good"})
	printSources(w, c)
	return w.Flush()
}

// printSources shows what each run makes of the sources of names, where there are several.
func printSources(w io.Writer, c *metrics.Comparison) {
	several := slices.ContainsFunc(c.Runs[0].Sources, func(s metrics.GroupRecall) bool {
		return s.Name != c.Runs[0].Sources[0].Name
	})
	if !several {
		return
	}
	printable.Fprintf(w, "\nNames that a run has right at its own threshold, by their source:\n\nSOURCE\tCLASS\tNAMES")
	for _, r := range c.Runs {
		printable.Fprintf(w, "\t%s", r.Run)
	}
	printable.Fprintf(w, "\n")
	for _, of := range c.Runs[0].Sources {
		printable.Fprintf(w, "%s\t%s\t%d", of.Name, of.Class, of.Names)
		for _, r := range c.Runs {
			for _, s := range r.Sources {
				if s.Name == of.Name && s.Class == of.Class {
					printable.Fprintf(w, "\t%s", num(s.Recall))
				}
			}
		}
		printable.Fprintf(w, "\n")
	}
}

// pValue is a p-value. The smallest ones are no numbers that a sample can tell, and print as 0.
func pValue(p metrics.Number) string {
	if p < 1e-6 {
		return "< 1e-6"
	}
	return formatted("%.2g", p)
}

// ComparisonWarnings are what a reader must know before trusting c.
func ComparisonWarnings(c *metrics.Comparison) (out []string) {
	for _, r := range c.Runs {
		switch {
		case r.From != "":
			out = append(out, fmt.Sprintf("The training of %s began with the weights of %s, which may have seen these names.",
				r.Run, r.From))
		case r.Foreign:
			out = append(out, fmt.Sprintf("%s was trained on another data set, or on an unknown one:"+
				" these names may have been seen in training.", r.Run))
		}
	}
	return out
}

// passes says how often a training of a protocol sees its names.
func passes(g metrics.Generalisation) string {
	if g.Blend > 0 {
		return fmt.Sprintf("at most %d epochs and the blend's", g.Epochs)
	}
	return fmt.Sprintf("at most %d epochs", g.Epochs)
}

// Cautions are what a reader must know before trusting g, and what could not be held out.
func Cautions(g *metrics.Generalisation) []string {
	out := cautions(*g)
	for _, s := range g.Skipped {
		out = append(out, "Left out: "+s)
	}
	return out
}

// cautions are what a reader must know before trusting the table of a protocol.
func cautions(g metrics.Generalisation) []string {
	var out []string
	if m := g.Mean; m.Plain.TPR1e3 >= m.Model.TPR1e3 || m.Plain.ROCAUC >= m.Model.ROCAUC {
		out = append(out, fmt.Sprintf("A plain classifier does better than this model on what neither has seen, or as well:"+
			" %s, mean ROC-AUC %s and %s found at 1 false alarm in 1,000; the model %s and %s.",
			g.Baseline, num(m.Plain.ROCAUC), percent(m.Plain.TPR1e3), num(m.Model.ROCAUC), percent(m.Model.TPR1e3)))
	}
	for _, rate := range []float64{1e-2, 1e-3} {
		if few := rate * float64(g.FewestBenign()); few < 10 {
			out = append(out, fmt.Sprintf("Rates at 1 false alarm in %s rest on %.1f benign names: too few to say much.",
				printable.Grouped(int(1/rate)), few))
		}
	}
	return out
}

// PrintGeneralisation writes the table of a protocol for a person.
func PrintGeneralisation(out io.Writer, g *metrics.Generalisation) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	printable.Fprintf(w, "%s of %s: %d trainings of %s in %.0f s\n\n",
		g.Protocol, g.Arch, g.Trainings, passes(*g), g.Seconds)
	printable.Fprintf(w, "held out\tnames\tROC-AUC\tTPR at 1e-2\tat 1e-3\t%s: ROC-AUC\tat 1e-2\tat 1e-3\n", g.Baseline)
	row := func(name, names string, d metrics.Detections) {
		printable.Fprintf(w, "%s\t%s", name, names)
		for _, x := range []metrics.Detection{d.Model, d.Plain} {
			printable.Fprintf(w, "\t%s\t%s\t%s", num(x.ROCAUC), percent(x.TPR1e2), percent(x.TPR1e3))
		}
		printable.Fprintf(w, "\n")
	}
	for _, h := range g.Groups {
		name := h.Name
		if h.Class == "benign" {
			name += " (benign: false alarms)"
		}
		row(name, printable.Grouped(h.Names), h.Detections)
	}
	row("mean", "", g.Mean)
	row("standard deviation", "", g.SD)
	legend(w,
		[2]string{"held out", "what this training did not see, and what it was then measured on"},
		[2]string{"ROC-AUC", aboutAUC},
		[2]string{"TPR at 1e-2", "held-out names found, if 1 benign name in 100 is a false alarm; at 1e-3, if 1 in 1,000 is"},
		[2]string{g.Baseline, "a plain classifier, trained without the same names"})
	for _, name := range slices.Sorted(maps.Keys(g.Together)) {
		printable.Fprintf(w, "%s\tis held out with its variants: %s\n", name, strings.Join(g.Together[name], ", "))
	}
	return w.Flush()
}
