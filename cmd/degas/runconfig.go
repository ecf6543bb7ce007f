package main

import (
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/pipeline"
)

func (c *command) run() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "run the stages of a config, leaving out those whose work is done",
		ArgsUsage: "CONFIG.yaml",
		Description: "A stage is skipped when its parameters, its inputs' contents and degas are those of its last success " +
			"and its\noutputs are still there.\n\nExample: degas run configs/quickstart.yaml",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "force", Usage: "run every stage"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would run"},
		},
		Action: action(1, 1, c.runAction),
	}
}

func (c *command) runAction(ctx *cli.Context) error {
	cfg, err := pipeline.ReadConfig(ctx.Args().First())
	if err != nil {
		return err
	}
	bar := c.progress()
	stages := cfg.Stages(release, pipeline.Hooks{
		Download: bar.fetching(),
		Process:  bar.counting("process", "B"),
		Train:    bar.training(),
		Evaluate: bar.counting("score", "names"),
	})
	verb := "done"
	if ctx.Bool("dry-run") {
		verb = "would run"
	}
	say := func(what string) func(string) {
		return func(stage string) { printable.Fprintf(c.out, "%-16s%s\n", stage, what) }
	}
	o := pipeline.Options{
		State:    filepath.Join(".degas", cfg.Name+".json"),
		Version:  release,
		Force:    ctx.Bool("force"),
		DryRun:   ctx.Bool("dry-run"),
		Observer: pipeline.Observer{Skipped: say("up to date"), Finished: say(verb)},
	}
	o.Started = func(stage string) { bar.line("%s …", stage) }
	if o.DryRun {
		o.Started = say(verb)
	}
	err = pipeline.Run(ctx.Context, stages, o)
	bar.close()
	if err != nil {
		return err
	}
	if cfg.Evaluate != nil {
		printable.Fprintf(c.out, "report          %s\n", filepath.Join(cfg.Evaluate.Out, "report.html"))
	}
	if cfg.Export != nil {
		printable.Fprintf(c.out, "model           %s\n", cfg.Export.To)
	}
	return nil
}
