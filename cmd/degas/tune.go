package main

import (
	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/trainer/tune"
)

func (c *command) tune() *cli.Command {
	return &cli.Command{
		Name:      "tune",
		Usage:     "search for a better architecture and recipe",
		ArgsUsage: "CONFIG.yaml",
		Description: "Trials with values drawn at random train for a few epochs, and the best of them for more. " +
			"Every trial is a run.\nInterrupted, the same command goes on. Validation decides; " +
			"the test split is not looked at.\n\nExample: degas tune configs/tune.yaml",
		Flags:  []cli.Flag{jsonFlag},
		Action: c.tuneAction,
	}
}

func (c *command) tuneAction(ctx *cli.Context) error {
	if err := arguments(ctx, 1, 1); err != nil {
		return err
	}
	cfg, err := tune.ReadConfig(ctx.Args().First())
	if err != nil {
		return err
	}
	cfg.Release = release
	bar := c.progress()
	defer bar.close()
	r, err := tune.Run(ctx.Context, cfg, tune.Observer{Observer: bar.training(), Trial: func(t tune.Trial, epochs int) {
		bar.line("trial %d to epoch %d: %s", t.Number, epochs, t.Describe())
	}})
	bar.close()
	if err != nil {
		return err
	}
	if ctx.Bool("json") {
		return c.printJSON(r)
	}
	return r.Print(c.out)
}
