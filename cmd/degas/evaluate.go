package main

import (
	"cmp"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/evaluate"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/protocol"
	"github.com/degas-dns/degas/evaluate/report"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/model"
)

func (c *command) evaluate() *cli.Command {
	return &cli.Command{
		Name:      "evaluate-model",
		Usage:     "measure a run on the test split: metrics, plots, report",
		ArgsUsage: "[RUN]",
		Description: `Writes RUN/evaluation: metrics.json, plots/*.png, report.md, and report.html, one file that needs
nothing else. Without RUN it measures the built-in model on data/processed, and writes runs/builtin/evaluation.

With --protocol the run's recipe is trained again, each time without some families, sources or domains, and measured on
those; the table also goes to RUN/protocols and from there into the next report. Stopped, it goes on with the next
training.

--protocol hosts trains nothing. It simulates clean clients, clients with malware of every DGA family, and tunnels. It
says how many false alarms there are, and how many names it takes to find the others. For a run it writes
RUN/protocols/hosts.json, for another model DIR/hosts.json of --out.

Metrics of --fail-if: auc and pr-auc are areas under curves. accuracy, precision, recall, fpr, f1 and mcc are at the
model's own threshold. macro-f1 and weighted-f1 are means over labels. tpr@fpr=1e-2, tpr@fpr=1e-3 and tpr@fpr=1e-4 are
the recall at the threshold that gives that rate of false alarms. names is how many were measured.

Example: degas evaluate-model runs/first
Example: degas evaluate-model builtin --data data/processed
Example: degas evaluate-model runs/first --protocol leave-family-out --folds 8 --epochs 2
Example: degas evaluate-model builtin --data data/processed --protocol hosts`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "`DIR` or URL of process-data's output (the run's own)"},
			splitFlag,
			&cli.StringSliceFlag{Name: "fail-if",
				Usage: "end with status 1 when a `CONDITION` holds, such as auc<0.999 or tpr@fpr=1e-3<0.97"},
			&cli.BoolFlag{Name: "no-baselines",
				Usage: "leave out the plain classifiers that are trained beside the model"},
			&cli.BoolFlag{Name: "markdown", Usage: "print the report as Markdown, as a CI's summary shows it"},
			&cli.StringFlag{Name: "out", Usage: "`DIR` to write to (RUN/evaluation)"},
			jsonFlag,
		}, protocolFlags...),
		Action: action(0, 1, c.evaluateAction),
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
	if ctx.String("protocol") == protocol.Hosts {
		return c.simulateHosts(ctx)
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
	o.Out = cmp.Or(o.Out, evaluate.OutputDir(o.RunDir))
	m, err := evaluate.Run(ctx.Context, o)
	bar.close()
	if err != nil {
		return err
	}
	warn(m.Warnings)
	if ctx.Bool("json") {
		err = c.printJSON(m)
	} else if ctx.Bool("markdown") {
		var text []byte
		if text, err = userfile.Read(filepath.Join(o.Out, "report.md"), userfile.Text); err == nil {
			_, err = c.out.Write(text)
		}
	} else if err = report.Print(c.out, m); err == nil {
		_, err = printable.Fprintf(c.out, "\nreport      %s\n", filepath.Join(o.Out, "report.html"))
	}
	if err != nil {
		return err
	}
	warn(metrics.Guesses(m, gates))
	return metrics.Check(m, gates)
}

// warn logs what a reader must know before trusting a result.
func warn(texts []string) {
	for _, text := range texts {
		slog.Warn(text)
	}
}

var splitFlag = &cli.StringFlag{Name: "split", Value: "test", Usage: "train, validation or test"}

// runOptions are what the flags of a command that measures a run say.
func runOptions(ctx *cli.Context) evaluate.RunOptions {
	return evaluate.RunOptions{
		RunDir: modelArgument(ctx), Data: ctx.String("data"), Split: ctx.String("split"), Out: ctx.String("out"),
	}
}

// protocolFlags belong to evaluate-model: they train the run's recipe again without part of the data.
var protocolFlags = []cli.Flag{
	&cli.StringFlag{Name: "protocol", Usage: "train the run's recipe again and measure it on what it has not seen:" +
		" " + strings.Join(protocol.Names(), ", ") + "; or " + protocol.Hosts +
		", which trains nothing and simulates clients"},
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
		if ctx.IsSet(f) && !(f == "out" && name == protocol.Hosts) {
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
	if name == protocol.Hosts {
		return checkHosts(ctx)
	}
	if !slices.Contains(protocol.Names(), name) {
		return usagef("protocol %q: must be one of %v", name, append(protocol.Names(), protocol.Hosts))
	}
	return nil
}

// runProtocol does the trainings and prints the table.
func (c *command) runProtocol(ctx *cli.Context) error {
	bar := c.progress()
	g, err := protocol.Run(ctx.Context, protocol.Options{
		RunDir: modelArgument(ctx), Data: ctx.String("data"), Protocol: ctx.String("protocol"),
		Folds: ctx.Int("folds"), Epochs: ctx.Int("epochs"), Names: ctx.Int("names"), Observer: bar.training(),
		Fold: func(i, of int, what string) { bar.line("training %d of %d: without %s", i, of, what) },
	})
	bar.close()
	if err != nil {
		return err
	}
	warn(report.Cautions(g))
	if ctx.Bool("json") {
		return c.printJSON(g)
	}
	return report.PrintGeneralisation(c.out, g)
}

func (c *command) compare() *cli.Command {
	return &cli.Command{
		Name:      "compare",
		Usage:     "measure runs on the same names and say which differences are more than chance",
		ArgsUsage: "RUN [RUN…]",
		Description: `Every run is compared with the first: areas and rates with 95 % intervals of a paired bootstrap, and
McNemar's test of the verdicts at each one's threshold. A single run is compared with the built-in model.

Example: degas compare runs/cnn-1 runs/lstm-1 --out comparison`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "processed `DIR` or URL (the first run's)"},
			splitFlag,
			&cli.StringFlag{Name: "out", Usage: "write compare.json and roc.png to `DIR`"},
			jsonFlag,
		},
		Action: action(1, -1, c.compareAction),
	}
}

func (c *command) compareAction(ctx *cli.Context) error {
	if err := oneOfSplits(ctx, splits); err != nil {
		return err
	}
	o := runOptions(ctx)
	runs := ctx.Args().Slice()
	if len(runs) == 1 && runs[0] != model.BuiltinName {
		runs = append(runs, model.BuiltinName)
	}
	r, err := evaluate.Compare(ctx.Context, runs, o)
	if err != nil {
		return err
	}
	warn(report.ComparisonWarnings(r))
	if ctx.Bool("json") {
		return c.printJSON(r)
	}
	if err := report.PrintComparison(c.out, r); err != nil || o.Out == "" {
		return err
	}
	_, err = printable.Fprintf(c.out, "\nplot  %s\n", filepath.Join(o.Out, "roc.png"))
	return err
}
