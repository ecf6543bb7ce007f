package main

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/evaluate"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/internal/printable"
)

func (c *command) threshold() *cli.Command {
	return &cli.Command{
		Name:      "choose-threshold",
		Usage:     "set the score from which a run's model calls names malicious, for a rate of false alarms",
		ArgsUsage: "RUN",
		Description: `Scores the validation names and takes the lowest threshold at which no more than --fpr of the benign
ones are called malicious. It is kept in the run's model: evaluate-model, predict and every export use it from then on.

--alarms-per-day and --lookups-per-day make the rate: how many alarms you can look at, of how many benign look-ups. To
set a threshold yourself, such as a new model's 0.5, give --threshold.

Names from elsewhere give more false alarms. --worst-source lowers the rate on validation for that: so far that a model
that had not seen the worst benign source keeps its promise there. It needs evaluate-model --protocol
leave-benign-out first.

Example: degas choose-threshold runs/first --fpr 1e-3
Example: degas choose-threshold runs/first --alarms-per-day 50 --lookups-per-day 2e6
Example: degas choose-threshold runs/first --threshold 0.5`,
		Flags: append([]cli.Flag{
			&cli.Float64Flag{Name: "fpr", Value: 1e-3, Usage: "false alarms a benign name"},
			&cli.Float64Flag{Name: "alarms-per-day", Usage: "false alarms that you can look at, with --lookups-per-day"},
			&cli.Float64Flag{Name: "lookups-per-day", Usage: "benign names a day, with --alarms-per-day"},
			&cli.Float64Flag{Name: "threshold", Usage: "the threshold itself, above 0 and below 1"},
			&cli.BoolFlag{Name: "worst-source", Usage: "one in 1,000 of the benign source that leave-benign-out found worst"},
		}, tuningFlags...),
		Action: action(1, 1, c.thresholdAction),
	}
}

// tuningFlags belong to the commands that change a run's model by what they measure.
var tuningFlags = []cli.Flag{
	&cli.StringFlag{Name: "data", Usage: "processed `DIR` or URL (the run's own)"},
	&cli.StringFlag{Name: "split", Value: "validation", Usage: "validation or train; test is for measuring"},
	jsonFlag,
}

// Splits to measure on, and those that something may be chosen on.
var (
	splits       = []string{"train", "validation", "test"}
	tuningSplits = splits[:2]
)

// oneOfSplits refuses a --split that is none of known.
func oneOfSplits(ctx *cli.Context, known []string) error {
	switch s := ctx.String("split"); {
	case slices.Contains(known, s):
		return nil
	case slices.Contains(splits, s):
		return usagef("--split %s: it is for measuring, and what is chosen on it would look better than it is."+
			" Try: --split validation", s)
	default:
		return usagef("--split %q: must be %s", s, strings.Join(known, " or "))
	}
}

func (c *command) thresholdAction(ctx *cli.Context) error {
	if err := oneOfSplits(ctx, tuningSplits); err != nil {
		return err
	}
	t, err := threshold(ctx)
	if err != nil {
		return err
	}
	warnThreshold(t)
	return c.show(ctx, t, func(w io.Writer) {
		printThreshold(w, t)
		printBefore(w, t, ctx.Args().First())
	})
}

// warnThreshold says when a threshold rests on too few names.
func warnThreshold(t *metrics.Threshold) {
	if t.TooFew {
		slog.Warn("too few benign names for that rate: it is little more than a guess", "benign", t.Benign, "fpr", t.Wanted,
			"needed", metrics.NamesFor(t.Wanted))
	}
	if t.FewDomains {
		slog.Warn("few registered domains make the false alarms: names of other domains may give a very different rate",
			"alarms", t.Alarms, "domains", t.AlarmDomains)
	}
}

// printThreshold prints what a threshold does.
func printThreshold(w io.Writer, t *metrics.Threshold) {
	printable.Fprintf(w, "threshold   %.6g\n"+
		"%-11s %d of %d benign names called malicious (%.2g), %.1f %% of the malicious found\n"+
		"            the false alarms are of %d registered domains; 95 %% interval over domains %.2g to %.2g\n",
		t.Value, t.Split, t.Alarms, t.Benign, t.FPR, 100*t.TPR,
		t.AlarmDomains, float64(t.FPR95[0]), float64(t.FPR95[1]))
}

// printBefore prints the threshold that a run's model had before t, and the command that sets it again.
func printBefore(w io.Writer, t *metrics.Threshold, run string) {
	back := fmt.Sprintf("--threshold %v", t.Before)
	if t.BeforeFPR > 0 {
		back = fmt.Sprintf("--fpr %v", t.BeforeFPR)
	}
	if t.Before != t.Value {
		printable.Fprintf(w, "before      %.6g. To set it again: degas choose-threshold %s %s\n", t.Before, run, back)
	}
}

// threshold sets the threshold that the flags ask for.
func threshold(ctx *cli.Context) (*metrics.Threshold, error) {
	ways := 0
	for _, flag := range []string{"fpr", "alarms-per-day", "threshold", "worst-source"} {
		if ctx.IsSet(flag) {
			ways++
		}
	}
	if ways > 1 || ctx.IsSet("alarms-per-day") != ctx.IsSet("lookups-per-day") {
		return nil, usagef("give one of --fpr, --threshold, --worst-source, or both --alarms-per-day and --lookups-per-day")
	}
	o, fpr := runOptions(ctx), ctx.Float64("fpr")
	switch {
	case ctx.IsSet("threshold"):
		t := ctx.Float64("threshold")
		if !(t > 0 && t < 1) {
			return nil, usagef("--threshold %g: must be above 0 and below 1", t)
		}
		return evaluate.SetThreshold(ctx.Context, o, t)
	case ctx.IsSet("alarms-per-day"):
		if lookups := ctx.Float64("lookups-per-day"); !(lookups > 0) {
			return nil, usagef("--lookups-per-day %g: must be above 0", lookups)
		}
		fpr = ctx.Float64("alarms-per-day") / ctx.Float64("lookups-per-day")
	case ctx.Bool("worst-source"):
		worst, err := evaluate.WorstSource(ctx.Context, o)
		if err != nil {
			return nil, err
		}
		slog.Info("the worst source decides", "source", worst.Name, "names", worst.Names, "fpr", float64(worst.Needed))
		fpr = float64(worst.Needed)
	}
	if !(fpr > 0 && fpr < 1) {
		return nil, usagef("a rate of %g false alarms a benign name: must be above 0 and below 1", fpr)
	}
	return evaluate.ChooseThreshold(ctx.Context, o, fpr)
}

func (c *command) calibrate() *cli.Command {
	return &cli.Command{
		Name:      "calibrate",
		Usage:     "make a run's scores probabilities, by one temperature fitted on validation",
		ArgsUsage: "RUN",
		Description: `Scales the model's logits so that the validation names are as likely as can be. The scale goes into the
head's weights: every export has it. The order of scores and, at the threshold that moves along, the verdicts stay the
same; of more than two labels, the number of false alarms does. If scores would fit names worse that the temperature was
not fitted on, the run stays as it is, unless --force. --undo takes every calibration of the run back.

Example: degas calibrate runs/first
Example: degas calibrate runs/first --undo`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "undo", Usage: "take the calibration back"},
			&cli.BoolFlag{Name: "force", Usage: "even if names that the temperature was not fitted on lose"},
		}, tuningFlags...),
		Action: action(1, 1, c.calibrateAction),
	}
}

func (c *command) calibrateAction(ctx *cli.Context) error {
	if err := oneOfSplits(ctx, tuningSplits); err != nil {
		return err
	}
	var r *metrics.Calibration
	var err error
	if ctx.Bool("undo") {
		r, err = evaluate.Uncalibrate(ctx.Context, runOptions(ctx))
	} else {
		r, err = evaluate.Calibrate(ctx.Context, runOptions(ctx), ctx.Bool("force"))
	}
	if err != nil {
		return err
	}
	return c.show(ctx, r, func(w io.Writer) {
		printable.Fprintf(w, "temperature\t%.4g\n"+
			"log-likelihood\t%.4f to %.4f a name\n"+
			"calibration error\t%.4f to %.4f on %d names of %s\n"+
			"threshold\t%.6g\n",
			r.Temperature, -r.NLLBefore, -r.NLLAfter, r.ECEBefore, r.ECEAfter, r.Names, r.Split, r.Threshold)
		switch {
		case r.Restored:
			printable.Fprintf(w, "undone: the model is again as it was before calibrate\n")
		case ctx.Bool("undo"):
			printable.Fprintf(w, "undone: scores are again as they were before calibrate; "+
				"the threshold, chosen since, moved along\n")
		}
	})
}
