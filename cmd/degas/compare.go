package main

import (
	"fmt"
	"path/filepath"

	"github.com/degas-dns/degas/evaluate"
	"github.com/degas-dns/degas/evaluate/report"
	"github.com/urfave/cli/v2"
)

func (c *command) compare() *cli.Command {
	return &cli.Command{
		Name:      "compare",
		Usage:     "measure runs on the same names and say which differences are more than chance",
		ArgsUsage: "RUN RUN…",
		Description: `Every run is compared with the first: areas and rates with 95 % intervals of a paired bootstrap, and
McNemar's test of the verdicts at each one's threshold.

Example: degas compare runs/cnn-1 runs/lstm-1 --out comparison`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "processed `DIR` (the first run's)"},
			splitFlag,
			&cli.StringFlag{Name: "out", Usage: "write compare.json and roc.png to `DIR`"},
			jsonFlag,
		},
		Action: action(2, -1, c.compareAction),
	}
}

func (c *command) compareAction(ctx *cli.Context) error {
	if err := oneOfSplits(ctx, splits); err != nil {
		return err
	}
	o := runOptions(ctx)
	r, err := evaluate.Compare(ctx.Context, ctx.Args().Slice(), o)
	if err != nil {
		return err
	}
	if ctx.Bool("json") {
		return c.printJSON(r)
	}
	if err := report.PrintComparison(c.out, r); err != nil || o.Out == "" {
		return err
	}
	_, err = fmt.Fprintf(c.out, "\nplot  %s\n", filepath.Join(o.Out, "roc.png"))
	return err
}
