package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/overview"
	"github.com/degas-dns/degas/internal/printable"
)

func (c *command) showCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "show what a run, a model or a data set is",
		ArgsUsage: "[RUN|MODEL|DATA]",
		Description: "Shows a model's layers, labels, threshold and calibration, the data and the recipe it was\n" +
			"trained with, and the scores of its last evaluation. For a data set, shows its splits, sources and licences;\n" +
			"degas inspect shows more. Without an argument, shows the built-in model.\n\n" +
			"Example: degas show runs/first\nExample: degas show models/degas/1 --json",
		Flags: []cli.Flag{jsonFlag},
		Action: action(0, 1, func(ctx *cli.Context) error {
			page, err := overview.Open(ctx.Context, modelArgument(ctx))
			if err != nil {
				return err
			}
			return c.show(ctx, page, func(w io.Writer) { printPage(w, page) })
		}),
	}
}

func printPage(w io.Writer, p *overview.Page) {
	printable.Fprintf(w, "%s\t%s\n", p.Kind, p.Path)
	if p.Training != nil {
		printTraining(w, p.Training)
	}
	if p.Model != nil {
		printModel(w, p.Model)
	}
	if p.Scores != nil {
		printScores(w, p)
	}
	if p.Data != nil {
		printData(w, p.Data)
	}
	for _, note := range p.Notes {
		printable.Fprintf(w, "\n%s\n", note)
	}
}

func printTraining(w io.Writer, t *overview.Training) {
	printable.Fprintf(w, "architecture\t%s\ntarget\t%s\n", t.Arch, t.Target)
	for _, line := range [][2]string{
		{"began as", t.From}, {"teacher", t.Teacher}, {"engine", t.Engine}, {"degas", t.Degas}, {"machine", t.Machine},
	} {
		if line[1] != "" {
			printable.Fprintf(w, "%s\t%s\n", line[0], line[1])
		}
	}
	if t.Kept != nil {
		printable.Fprintf(w, "epochs\t%d; the model is of epoch %d: validation loss %.4f, AUC %.4f\n",
			t.Epochs, t.Kept.Epoch, t.Kept.ValidationLoss, t.Kept.ValidationAUC)
	}
}

func printModel(w io.Writer, m *overview.Model) {
	chosen := ""
	if m.ThresholdFPR > 0 {
		chosen = fmt.Sprintf(", chosen for a false-positive rate of %.3g", m.ThresholdFPR)
	}
	calibrated := "no"
	if m.Temperature > 0 {
		calibrated = fmt.Sprintf("yes, temperature %.4g", m.Temperature)
	}
	e := m.Encoder
	printable.Fprintf(w, "model\t%s, %s parameters, hash %.12s\nlabels\t%s\nthreshold\t%.6g%s\ncalibrated\t%s\n",
		m.Name, printable.Grouped(m.Parameters), m.Hash, strings.Join(labelsShort(m.Labels), ", "), m.Threshold, chosen,
		calibrated)
	printable.Fprintf(w, "input\tthe %s %d characters of a name, padded on the %s\n", e.Keep, e.Window, e.PadSide)
	printable.Fprintf(w, "trained on\tdata set %.12s\n", cmp.Or(m.Dataset, "unknown"))
	printLayers(w, m.Layers)
}

// printLayers prints a table of layers. A layer reads the one above it unless its line says otherwise.
func printLayers(w io.Writer, layers []overview.Layer) {
	printable.Fprintf(w, "\nLAYER\tOUTPUT\tPARAMETERS\tSETTINGS\n")
	above := ""
	for _, l := range layers {
		settings := l.Detail
		if reads := strings.Join(l.Reads, ", "); reads != above {
			settings = strings.TrimPrefix(settings+"; reads "+reads, "; ")
		}
		shape := strings.Trim(strings.ReplaceAll(fmt.Sprint(l.Shape), " ", " × "), "[]")
		printable.Fprintf(w, "%s\t%s\t%s\t%s\n", l.Name, shape, printable.Grouped(l.Parameters), settings)
		above = l.Name
	}
}

func printScores(w io.Writer, p *overview.Page) {
	s := p.Scores
	if s.Unfit != "" {
		printable.Fprintf(w, "\nDo not rely on these scores: %s. Try: degas evaluate-model %s\n", s.Unfit, p.Path)
	}
	printable.Fprintf(w, "\nSCORE\tVALUE\t%s names of the %s split\n", printable.Grouped(s.Names), s.Split)
	line := func(what string, x metrics.Number, note string) {
		printable.Fprintf(w, "%s\t%s\t%s\n", what, numberOr(&x, "%.4f"), note)
	}
	line("ROC-AUC", s.ROCAUC, "")
	at := "at the model's threshold"
	if s.Threshold != p.Model.Threshold {
		at = fmt.Sprintf("at the threshold %.6g, which the model had then", s.Threshold)
	}
	line("precision", s.Precision, at)
	line("recall", s.Recall, at)
	for _, o := range s.Operating {
		few := ""
		if o.TooFew {
			few = "too few benign names to rely on"
		}
		line(fmt.Sprintf("recall at FPR %g", o.FPR), o.TPR, few)
	}
	line("calibration error", s.ECE, "")
}

func printData(w io.Writer, d *overview.Data) {
	printable.Fprintf(w, "\ndata\t%s\nfingerprint\t%.12s\nsplit by\t%s, seed %d\n",
		d.Dir, d.Fingerprint, d.SplitBy, d.Seed)
	printTrainOnly(w, d.TrainOnly)
	printable.Fprintf(w, "families\t%d\nrefused rows\t%s\n", d.Families, grouped64(d.Refused))
	printable.Fprintf(w, "\nSPLIT\tNAMES")
	for _, class := range datasets.ClassNames() {
		printable.Fprintf(w, "\t%s", strings.ToUpper(class))
	}
	printable.Fprintf(w, "\n")
	for _, s := range d.Splits {
		printable.Fprintf(w, "%s\t%s", s.Name, grouped64(s.Rows))
		for _, class := range datasets.ClassNames() {
			printable.Fprintf(w, "\t%s", grouped64(s.ByClass[class]))
		}
		printable.Fprintf(w, "\n")
	}
	printable.Fprintf(w, "\nSOURCE\tNAMES\tLICENCE\n")
	for _, s := range d.Sources {
		printable.Fprintf(w, "%s\t%s\t%s\n", s.Name, grouped64(s.Rows), cmp.Or(s.Licence, "not known to degas"))
	}
}

func grouped64(n int64) string { return printable.Grouped(int(n)) }

// numberOr is x in a format, or – where there is none.
func numberOr[T ~float64](x *T, format string) string {
	if x == nil || metrics.Number(*x).Missing() {
		return "–"
	}
	return fmt.Sprintf(format, *x)
}

func (c *command) runs() *cli.Command {
	return &cli.Command{
		Name:  "runs",
		Usage: "list runs: architecture, epochs, validation loss, AUC on test, threshold",
		Description: "Lists the runs in the folder --runs, also those of degas tune. An AUC is that of the last\n" +
			"evaluate-model on the test split, if the model has not changed since. Runs may have different test splits:\n" +
			"to compare them on the same names, use degas compare.\n\n" +
			"Example: degas runs",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "runs", Value: "runs", Usage: "`DIR` that holds runs"},
			jsonFlag,
		},
		Action: action(0, 0, func(ctx *cli.Context) error {
			rows, err := overview.Runs(ctx.String("runs"))
			if err != nil {
				return err
			}
			return c.show(ctx, rows, func(w io.Writer) {
				if len(rows) == 0 {
					printable.Fprintf(w, "No runs in %s. Try: --runs DIR, or degas train-model\n", ctx.String("runs"))
					return
				}
				printRuns(w, rows)
			})
		}),
	}
}

func printRuns(w io.Writer, rows []overview.Row) {
	printable.Fprintf(w, "RUN\tARCHITECTURE\tTARGET\tEPOCHS\tVALIDATION LOSS\tAUC ON TEST\tTHRESHOLD\tTRAINED\tPROBLEM\n")
	for _, r := range rows {
		printable.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", r.Run, cmp.Or(r.Arch, "–"), cmp.Or(r.Target, "–"),
			r.Epochs, numberOr(r.ValidationLoss, "%.4f"), numberOr(r.TestAUC, "%.4f"), numberOr(r.Threshold, "%.4g"),
			r.Trained.Format(time.DateTime), r.Problem)
	}
}
