package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model"
)

// foundError is that scan --fail found something.
type foundError struct{ n int }

func (e foundError) Error() string { return fmt.Sprintf("%d findings, and --fail asks for none", e.n) }

// newWatch makes what decides and the Watch that a command's flags ask for.
func newWatch(ctx *cli.Context, o watch.Options) (j judge, w *watch.Watch, err error) {
	if err := falseAlarms(ctx, &o); err != nil {
		return j, nil, err
	}
	if j, err = newJudge(ctx); err != nil {
		return j, nil, err
	}
	w, err = watchFor(ctx, o, j.policy, j.model)
	return j, w, err
}

// falseAlarms puts --false-alarms into o.
func falseAlarms(ctx *cli.Context, o *watch.Options) error {
	o.FalseAlarms = ctx.Float64("false-alarms")
	if !(o.FalseAlarms > 0 && o.FalseAlarms <= 1e6) {
		return usagef("--false-alarms %v: must be above 0 and at most 1e6, such as 0.1 for one in ten days",
			o.FalseAlarms)
	}
	return nil
}

// watchFor makes a Watch for a policy and its model, with --baseline.
func watchFor(ctx *cli.Context, o watch.Options, p *detect.Policy, m *model.Model) (w *watch.Watch, err error) {
	if o.Tables, err = watch.TablesFor(p, m); err != nil {
		return nil, err
	}
	if builtin, err := model.IsBuiltin(m); err != nil {
		return nil, err
	} else if !builtin {
		slog.Warn("how many findings are false was measured for the built-in model alone. Try: degas evaluate-model MODEL " +
			"--protocol hosts")
	}
	if path := ctx.String("baseline"); path != "" {
		if o.Baseline, err = watch.ReadBaseline(path); err != nil {
			return nil, err
		}
	}
	return watch.New(o), nil
}

// printFindings prints a table of what was found, and then what is known of each.
func printFindings(out io.Writer, found []watch.Finding) {
	if len(found) == 0 {
		printable.Fprintf(out, "Nothing found.\n\n")
		return
	}
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	printable.Fprintf(w, "\tFOUND\tWHAT\tSINCE\tNAMES\tFALSE ALARMS A DAY\n")
	for i, f := range found {
		printable.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", i+1, f.Kind, printable.Cut(f.Subject(), 60), moment(f.First),
			grouped(f.Names), f.Alarms())
	}
	_ = w.Flush()
	for i, f := range found {
		printable.Fprintf(out, "\n%d. %s: %s.\n", i+1, f.Subject(), f.Reason)
		if len(f.Clients) > 0 {
			printable.Fprintf(out, "   clients   %s\n", strings.Join(f.Clients, ", "))
		}
		if len(f.SharedWith) > 0 {
			printable.Fprintf(out, "   same names as %s\n", strings.Join(f.SharedWith, ", "))
		}
		for k, name := range f.Examples {
			printable.Fprintf(out, "   %-9s %s\n", map[bool]string{true: "such as"}[k == 0], printable.Cut(name, 90))
			if k == 2 {
				break
			}
		}
		printable.Fprintf(out, "   next      %s\n", f.Next)
	}
	printable.Fprintf(out, "\n")
}

// moment is a time for people, "" if it is not known.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateTime)
}
