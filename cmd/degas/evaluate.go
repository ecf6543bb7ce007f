package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/evaluate"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/report"
	"github.com/urfave/cli/v2"
)

func (c *command) evaluate() *cli.Command {
	return &cli.Command{
		Name:      "evaluate-model",
		Usage:     "measure a run on the test split: metrics, plots, report",
		ArgsUsage: "RUN",
		Description: `Writes RUN/evaluation: metrics.json, plots/*.png, report.md, and report.html, one file that needs
nothing else.

With --protocol the run's recipe is trained again, each time without some families, sources or domains, and measured on
those; the table also goes to RUN/protocols and from there into the next report. Stopped, it goes on with the next
training.

Example: degas evaluate-model runs/first
Example: degas evaluate-model runs/first --protocol leave-family-out --folds 8 --epochs 2`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "`DIR` of process-data's output (the run's own)"},
			splitFlag,
			&cli.StringSliceFlag{Name: "fail-if",
				Usage: "end with status 1 when a `CONDITION` holds, such as auc<0.999 or tpr@fpr=1e-3<0.97"},
			&cli.BoolFlag{Name: "no-baselines",
				Usage: "leave out the plain classifiers that are trained beside the model"},
			&cli.BoolFlag{Name: "markdown", Usage: "print the report as Markdown, as a CI's summary shows it"},
			&cli.StringFlag{Name: "out", Usage: "`DIR` to write to (RUN/evaluation)"},
			jsonFlag,
		}, protocolFlags...),
		Action: action(1, 1, c.evaluateAction),
	}
}

func (c *command) evaluateAction(ctx *cli.Context) error {
	var gates []metrics.Gate
	for _, text := range ctx.StringSlice("fail-if") {
		g, err := metrics.ParseGate(text)
		if err != nil {
			return usagef("fail-if: %w", err)
		}
		gates = append(gates, g)
	}
	if err := checkProtocol(ctx); err != nil {
		return err
	}
	if ctx.String("protocol") != "" {
		return c.runProtocol(ctx)
	}
	if err := oneOfSplits(ctx, splits); err != nil {
		return err
	}
	bar := c.progress()
	o := runOptions(ctx)
	o.Baselines, o.Progress = !ctx.Bool("no-baselines"), bar.counting("score", "names")
	o.Out = cmp.Or(o.Out, filepath.Join(o.RunDir, "evaluation"))
	m, err := evaluate.Run(ctx.Context, o)
	bar.close()
	if err != nil {
		return err
	}
	if ctx.Bool("json") {
		err = c.printJSON(m)
	} else if ctx.Bool("markdown") {
		var text []byte
		if text, err = os.ReadFile(filepath.Join(o.Out, "report.md")); err == nil {
			_, err = c.out.Write(text)
		}
	} else if err = report.Print(c.out, m); err == nil {
		_, err = fmt.Fprintf(c.out, "\nreport      %s\n", filepath.Join(o.Out, "report.html"))
	}
	if err != nil {
		return err
	}
	return metrics.Check(m, gates)
}

var splitFlag = &cli.StringFlag{Name: "split", Value: "test", Usage: "train, validation or test"}

// runOptions are what the flags of a command that measures a run say.
func runOptions(ctx *cli.Context) evaluate.RunOptions {
	return evaluate.RunOptions{
		RunDir: ctx.Args().First(), Data: ctx.String("data"), Split: ctx.String("split"), Out: ctx.String("out"),
	}
}
