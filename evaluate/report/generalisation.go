package report

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/internal/chart"
)

// passes says how often a training of a protocol sees its names.
func passes(g metrics.Generalisation) string {
	blend := ""
	switch {
	case g.Format < metrics.GeneralisationFormat:
		blend = ", and the blend's where the recipe has one"
	case g.Blend > 0:
		blend = " and the blend's"
	}
	return fmt.Sprintf("at most %d epochs%s", g.Epochs, blend)
}

// cautions are what a reader must know before trusting the table of a protocol.
func cautions(g metrics.Generalisation) []string {
	var out []string
	if m := g.Mean; m.Plain.TPR3 >= m.Model.TPR3 || m.Plain.ROCAUC >= m.Model.ROCAUC {
		out = append(out, fmt.Sprintf("A plain classifier does better than this model on what neither has seen, or as well:"+
			" %s, mean ROC-AUC %s and %s found at 1 false alarm in 1,000; the model %s and %s.",
			g.Baseline, num(m.Plain.ROCAUC), percent(m.Plain.TPR3), num(m.Model.ROCAUC), percent(m.Model.TPR3)))
	}
	for _, rate := range []float64{1e-2, 1e-3} {
		if few := rate * float64(g.FewestBenign()); few < 10 {
			out = append(out, fmt.Sprintf("Rates at 1 false alarm in %s rest on %.1f benign names: too few to say much.",
				chart.Grouped(int(1/rate)), few))
		}
	}
	return out
}

// PrintGeneralisation writes the table of a protocol for a person.
func PrintGeneralisation(out io.Writer, g *metrics.Generalisation) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s of %s: %d trainings of %s in %.0f s\n\n", g.Protocol, g.Arch, g.Trainings, passes(*g), g.Seconds)
	fmt.Fprintf(w, "held out\tnames\tROC-AUC\tTPR at 1e-2\tat 1e-3\t%s: ROC-AUC\tat 1e-2\tat 1e-3\n", g.Baseline)
	row := func(name, names string, d metrics.Detections) {
		fmt.Fprintf(w, "%s\t%s", name, names)
		for _, x := range []metrics.Detection{d.Model, d.Plain} {
			fmt.Fprintf(w, "\t%s\t%s\t%s", num(x.ROCAUC), percent(x.TPR2), percent(x.TPR3))
		}
		fmt.Fprintln(w)
	}
	for _, h := range g.Groups {
		name := h.Name
		if h.Class == "benign" {
			name += " (benign: false alarms)"
		}
		row(name, chart.Grouped(h.Names), h.Detections)
	}
	row("mean", "", g.Mean)
	row("standard deviation", "", g.SD)
	for _, s := range cautions(*g) {
		fmt.Fprintf(w, "\n%s\n", s)
	}
	for _, s := range g.Skipped {
		fmt.Fprintf(w, "left out: %s\n", s)
	}
	return w.Flush()
}
