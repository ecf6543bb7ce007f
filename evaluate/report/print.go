package report

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/internal/chart"
)

// Print writes the numbers a person looks at first.
func Print(out io.Writer, m *metrics.Metrics) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	for _, s := range m.Warnings {
		fmt.Fprintf(w, "WARNING: %s\n", s)
	}
	fmt.Fprintf(w, "names\t%s\t(%s benign, %s malicious)\n",
		chart.Grouped(m.Names), chart.Grouped(m.Benign), chart.Grouped(m.Malicious))
	interval := ""
	if len(m.ROCAUC95) == 2 {
		interval = fmt.Sprintf("95 %% interval %s to %s", num(m.ROCAUC95[0]), num(m.ROCAUC95[1]))
	}
	fmt.Fprintf(w, "ROC-AUC\t%s\t%s\n", num(m.ROCAUC), interval)
	fmt.Fprintf(w, "PR-AUC\t%s\n", num(m.PRAUC))
	fmt.Fprintf(w, "accuracy\t%s\tprecision %s, recall %s, F1 %s\n",
		num(m.Accuracy), num(m.Precision), num(m.Recall), num(m.F1))
	fmt.Fprintf(w, "calibration error\t%s\n", num(m.ECE))
	if len(m.Labels) > 2 {
		fmt.Fprintf(w, "macro F1\t%s\tweighted %s\n", num(m.MacroF1), num(m.WeightedF1))
	}
	for _, o := range m.Operating {
		few := ""
		if o.TooFew {
			few = fmt.Sprintf("too few benign names to trust (%d above)", o.BenignAbove)
		}
		fmt.Fprintf(w, "TPR at FPR %.0e\t%s\t%s\n", o.FPR, num(o.TPR), few)
	}
	for _, b := range m.Baselines {
		beats := ""
		if b.Beats {
			beats = "NOT BEATEN BY THE MODEL"
		}
		fmt.Fprintf(w, "%s\t%s\tTPR at FPR 1e-02 %s, 1e-03 %s  %s\n", b.Name, num(b.ROCAUC),
			num(b.Operating[metrics.Loose].TPR), num(b.Operating[metrics.Strict].TPR), beats)
	}
	return w.Flush()
}
