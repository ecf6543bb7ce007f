package main

import (
	"slices"

	"github.com/degas-dns/degas/evaluate/protocol"
	"github.com/degas-dns/degas/evaluate/report"
	"github.com/urfave/cli/v2"
)

// protocolFlags belong to evaluate-model: they train the run's recipe again without part of the data.
var protocolFlags = []cli.Flag{
	&cli.StringFlag{Name: "protocol", Usage: "train the run's recipe again and measure it on what it has not seen:" +
		" leave-family-out, leave-source-out or kfold"},
	&cli.IntFlag{Name: "folds", Usage: "`N` trainings for a protocol (0: one for each family or source, five for kfold)"},
	&cli.IntFlag{Name: "epochs",
		Usage: "at most `N` passes a training of a protocol, and the blend's where the recipe has one (the run's own)"},
	&cli.IntFlag{Name: "names", Usage: "use about `N` names of each split for a protocol (0: all)"},
}

// checkProtocol refuses flags that do not go together.
func checkProtocol(ctx *cli.Context) error {
	name, folds := ctx.String("protocol"), ctx.Int("folds")
	if name == "" {
		for _, f := range []string{"folds", "epochs", "names"} {
			if ctx.IsSet(f) {
				return usagef("--%s belongs to --protocol", f)
			}
		}
		return nil
	}
	for _, f := range []string{"split", "out", "fail-if", "markdown", "no-baselines"} {
		if ctx.IsSet(f) {
			return usagef("--%s belongs to the evaluation of a split: leave --protocol out", f)
		}
	}
	if folds == 1 || folds < 0 {
		return usagef("%d folds: at least 2 are needed", folds)
	}
	for _, f := range []string{"epochs", "names"} {
		if n := ctx.Int(f); n < 0 || f == "epochs" && n == 0 && ctx.IsSet(f) {
			return usagef("--%s %d: must be at least 1", f, n)
		}
	}
	if !slices.Contains(protocol.Names(), name) {
		return usagef("protocol %q: must be one of %v", name, protocol.Names())
	}
	return nil
}

// runProtocol does the trainings and prints the table.
func (c *command) runProtocol(ctx *cli.Context) error {
	bar := c.progress()
	g, err := protocol.Run(ctx.Context, protocol.Options{
		RunDir: ctx.Args().First(), Data: ctx.String("data"), Protocol: ctx.String("protocol"),
		Folds: ctx.Int("folds"), Epochs: ctx.Int("epochs"), Names: ctx.Int("names"), Observer: bar.training(),
		Fold: func(i, of int, what string) { bar.line("training %d of %d: without %s", i, of, what) },
	})
	bar.close()
	if err != nil {
		return err
	}
	if ctx.Bool("json") {
		return c.printJSON(g)
	}
	return report.PrintGeneralisation(c.out, g)
}
