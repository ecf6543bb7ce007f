package main

import (
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/report"
	"github.com/degas-dns/degas/export/publish"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/pipeline"
)

func (c *command) run() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "run the stages of a config, leaving out those whose work is done",
		ArgsUsage: "CONFIG.yaml",
		Description: `A stage is skipped when its parameters, its inputs' contents and degas are those of its last success
and its outputs are still there. What this pipeline did not make, or what somebody has changed since, is not replaced
without --force. Interrupted, the same command goes on.

configs/ has examples; docs/reference/config.md describes every key.

Example: degas run configs/quickstart.yaml`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "force", Usage: "run every stage, and let it replace what somebody else made or changed"},
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
	if err := cfg.CheckFiles(ctx.Context); err != nil {
		return err
	}
	bar := c.progress()
	var results []func(io.Writer)
	stages := cfg.Stages(release, c.hooks(bar, func(print func(io.Writer)) { results = append(results, print) }))
	verb := "done"
	if ctx.Bool("dry-run") {
		verb = "would run"
	}
	say := func(what string) func(string) {
		return func(stage string) { printable.Fprintf(c.out, "%-15s %s\n", stage, what) }
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
	for _, print := range results { // also those before a stage that failed
		print(c.out)
	}
	if err != nil {
		return err
	}
	if cfg.Evaluate != nil {
		printable.Fprintf(c.out, "report          %s\n", filepath.Join(cfg.Evaluate.Out, "report.html"))
	}
	if cfg.Compare != nil {
		printable.Fprintf(c.out, "comparison      %s\n", cfg.Compare.Out)
	}
	if cfg.Export != nil {
		printable.Fprintf(c.out, "model           %s\n", cfg.Export.To)
	}
	return nil
}

// hooks show what stages do. later is given what prints a result when all stages are through.
func (c *command) hooks(bar *progress, later func(func(io.Writer))) pipeline.Hooks {
	return pipeline.Hooks{
		Download: bar.fetching(),
		Process:  bar.counting("process", "B"),
		Train:    bar.training(),
		Fold:     func(i, of int, what string) { bar.line("training %d of %d: without %s", i, of, what) },
		Evaluate: bar.counting("score", "names"),
		Calibrate: func(r *metrics.Calibration) {
			later(func(w io.Writer) {
				printable.Fprintf(w, "calibration     error %.4f to %.4f on %d names of %s\n",
					r.ECEBefore, r.ECEAfter, r.Names, r.Split)
			})
		},
		Threshold: func(t *metrics.Threshold) {
			warnThreshold(t)
			later(func(w io.Writer) { printThreshold(w, t) })
		},
		Compare: func(r *metrics.Comparison) {
			later(func(w io.Writer) { _ = report.PrintComparison(w, r) }) // run says what could not be printed
		},
		Publish: func(r publish.Result) {
			later(func(w io.Writer) { printable.Fprintf(w, "published       %s\n", r.URL) })
		},
		Token: os.Getenv(tokenEnv),
	}
}
