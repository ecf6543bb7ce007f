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
	&cli.IntFlag{Name: "kfold", Usage: "short for --protocol kfold --folds `K`"},
	&cli.IntFlag{Name: "folds", Usage: "`N` trainings for a protocol (0: one for each family or source, five for kfold)"},
	&cli.IntFlag{Name: "epochs",
		Usage: "at most `N` passes a training of a protocol, and the blend's where the recipe has one (the run's own)"},
	&cli.IntFlag{Name: "names", Usage: "use about `N` names of each split for a protocol (0: all)"},
}

// protocolOf is the protocol that the flags ask for, "" for none.
func protocolOf(ctx *cli.Context) (name string, folds int, err error) {
	name, folds = ctx.String("protocol"), ctx.Int("folds")
	if k := ctx.Int("kfold"); ctx.IsSet("kfold") {
		if name != "" && name != protocol.KFold || ctx.IsSet("folds") {
			return "", 0, usagef("--kfold is a protocol and a number of folds: leave --protocol and --folds out")
		}
		name, folds = protocol.KFold, k
	}
	if name == "" {
		for _, f := range []string{"folds", "epochs", "names"} {
			if ctx.IsSet(f) {
				return "", 0, usagef("--%s belongs to --protocol", f)
			}
		}
		return "", 0, nil
	}
	for _, f := range []string{"split", "out", "fail-if", "markdown", "no-baselines"} {
		if ctx.IsSet(f) {
			return "", 0, usagef("--%s belongs to the evaluation of a split: leave --protocol and --kfold out", f)
		}
	}
	if folds == 1 || folds < 0 || folds == 0 && ctx.IsSet("kfold") {
		return "", 0, usagef("%d folds: at least 2 are needed", folds)
	}
	for _, f := range []string{"epochs", "names"} {
		if n := ctx.Int(f); n < 0 || f == "epochs" && n == 0 && ctx.IsSet(f) {
			return "", 0, usagef("--%s %d: must be at least 1", f, n)
		}
	}
	if !slices.Contains(protocol.Names(), name) {
		return "", 0, usagef("protocol %q: must be one of %v", name, protocol.Names())
	}
	return name, folds, nil
}

// runProtocol does the trainings and prints the table.
func (c *command) runProtocol(ctx *cli.Context, name string, folds int) error {
	bar := c.progress()
	defer bar.close()
	g, err := protocol.Run(ctx.Context, protocol.Options{
		RunDir: ctx.Args().First(), Data: ctx.String("data"), Protocol: name, Folds: folds,
		Epochs: ctx.Int("epochs"), Names: ctx.Int("names"), Observer: bar.training(),
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
