package report

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/internal/chart"
)

// WriteComparison writes compare.json and roc.png to dir, which it makes.
func WriteComparison(dir string, c *metrics.Comparison) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(writeJSON(filepath.Join(dir, "compare.json"), c), drawCurves(c, filepath.Join(dir, "roc.png")))
}

// PrintComparison writes the comparison for a person.
func PrintComparison(out io.Writer, c *metrics.Comparison) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s names of %s, %s\n\n", chart.Grouped(c.Names), c.Split, c.Data)
	few := func(rate int) string { // the names are the same for all runs
		if c.Runs[0].Operating[rate].TooFew {
			return " (TOO FEW)"
		}
		return ""
	}
	const loose, strict = metrics.Loose, metrics.Strict
	fmt.Fprintf(w, "RUN\tPARAMETERS\tROC-AUC\t95 %%\tUP TO 1E-2\tTPR AT 1E-2%s\tAT 1E-3%s\t95 %%\tCALIBRATION ERROR\n",
		few(loose), few(strict))
	for _, r := range c.Runs {
		interval := r.Operating[strict].TPR95
		fmt.Fprintf(w, "%s\t%s\t%s\t%s to %s\t%s\t%s\t%s\t%s to %s\t%s\n", r.Run, chart.Grouped(r.Parameters),
			num(r.ROCAUC), num(r.ROCAUC95[0]), num(r.ROCAUC95[1]), num(r.PartialAUC),
			num(r.Operating[loose].TPR), num(r.Operating[strict].TPR), num(interval[0]), num(interval[1]), num(r.ECE))
	}
	for _, r := range c.Runs {
		if r.Foreign {
			fmt.Fprintf(w, "\n%s was trained on another data set, or on an unknown one:"+
				" these names may have been seen in training.\n", r.Run)
		}
	}
	fmt.Fprintf(w, "\nAGAINST %s\tROC-AUC\t95 %%\tTPR AT 1E-3%s\t95 %%\tONLY IT RIGHT\tONLY THE FIRST\tMCNEMAR P\n",
		c.Runs[0].Run, few(strict))
	for _, d := range c.Pairs {
		fmt.Fprintf(w, "%s\t%+.4f\t%+.4f to %+.4f\t%+.4f\t%+.4f to %+.4f\t%d\t%d\t%.2g\n", d.Run,
			d.AUC, d.AUC95[0], d.AUC95[1], d.TPR, d.TPR95[0], d.TPR95[1], d.OnlyRunRight, d.OnlyFirstRight, d.McNemar)
	}
	return w.Flush()
}
