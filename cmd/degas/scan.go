package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/scan"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
	_ "github.com/degas-dns/degas/events/all" // every format
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/printable"
)

func (c *command) scan() *cli.Command {
	return &cli.Command{
		Name:      "scan",
		Usage:     "read captures and DNS logs, and list the domains and clients whose names look malicious",
		ArgsUsage: "PATH…",
		Description: "PATH is a file, a folder, a pattern such as 'logs/*.gz', or - for standard input. Files may be\n" +
			"packed. Their formats are recognised: captures (pcap, pcapng, snoop), and the logs of resolvers, sensors and\n" +
			"proxies. --formats lists them. For a table that is not recognised, --field says which columns it has.\n\n" +
			"Each name is judged by itself. Your lists come first. Names that say nothing, such as reverse look-ups, are\n" +
			"not scored. The model scores the rest. --events writes every event with its score and decision.\n\n" +
			"A file that cannot be read is named, the others are still read, and the status is 1.\n\n" +
			"Example: degas scan capture.pcapng /var/log/named\n" +
			"Example: degas scan --events events.csv --field name=qname --field client=src table.csv",
		Flags: append(policyFlags(),
			&cli.StringFlag{Name: "format", Usage: "read every file as `FORMAT`, without recognising it"},
			&cli.StringSliceFlag{Name: "field", Usage: "`KEY=COLUMN` of a table; keys: " + strings.Join(fieldKeys, ", ")},
			&cli.IntSliceFlag{Name: "port", Usage: "`PORT` of DNS in captures, besides 53; may be given again"},
			falseAlarmsFlag, baselineFlag,
			&cli.StringFlag{Name: "learn", Usage: "write what is usual here to `FILE`, from traffic without malware"},
			&cli.StringFlag{Name: "html", Usage: "write a report to `FILE`, one page without links to elsewhere"},
			&cli.BoolFlag{Name: "fail", Usage: "end with status 3 if something was found"},
			&cli.StringFlag{Name: "events",
				Usage: "write every event to `FILE`, which ends in " + strings.Join(scan.LogSuffixes, ", ")},
			&cli.BoolFlag{Name: "rules", Usage: "also print what the rules of other detectors say"},
			&cli.StringFlag{Name: "compat",
				Usage: "write Simple-DNS-tunneling-detector's out.csv, stats.json and out.log to `DIR`"},
			&cli.BoolFlag{Name: "formats", Usage: "list the formats and stop"},
			jsonFlag,
		),
		Action: c.scanAction,
	}
}

var fieldKeys = []string{"name", "client", "server", "time", "type", "rcode"}

func (c *command) scanAction(ctx *cli.Context) error {
	if ctx.Bool("formats") {
		return c.listEventFormats()
	}
	o := scan.Options{Input: c.in, Rules: ctx.Bool("rules")}
	var err error
	if o.Events, err = eventOptions(ctx); err != nil {
		return err
	}
	if path := ctx.String("events"); path != "" && !slices.Contains(scan.LogSuffixes, filepath.Ext(path)) {
		return usagef("--events %s: its name must end in %s", path, strings.Join(scan.LogSuffixes, ", "))
	}
	if ctx.NArg() == 0 {
		return usagef("scan: name files or folders, or - for standard input")
	}
	paths, missing := scan.Expand(ctx.Args().Slice())
	if len(paths) == 0 {
		return missing
	}
	j, w, err := newWatch(ctx, watch.Options{Seed: scan.Seed(paths)})
	if err != nil {
		return err
	}
	o.Policy, o.Watch = j.policy, w
	if err := mayWrite(ctx, paths); err != nil {
		return err
	}
	if dir := ctx.String("compat"); dir != "" {
		if o.Compat, err = scan.NewCompat(dir); err != nil {
			return fmt.Errorf("compat: %w", err)
		}
		defer o.Compat.Discard()
	}
	bar := c.progress()
	defer bar.close()
	o.Progress = scanned(bar, paths)
	var r *scan.Report
	var stop func()
	o.Policies, stop = j.followLists(ctx.Context)
	err = withLog(ctx.String("events"), func(each func(string, *events.Event, *detect.Decision) error) error {
		o.Each = each
		r, err = scan.Run(ctx.Context, paths, o)
		return err
	})
	bar.close()
	if stop(); err != nil {
		return err
	}
	if err := j.lists.Reload(ctx.Context); err != nil { // what people decided meanwhile counts in the report
		return err
	}
	r.Revise(j.policy.With(j.lists.Lists()))
	if o.Compat != nil {
		if err := o.Compat.Close(r); err != nil {
			return fmt.Errorf("compat: %w", err)
		}
	}
	if path := ctx.String("learn"); path != "" {
		if err := errors.Join(missing, r.Err()); err != nil {
			return fmt.Errorf("%s stays as it is: nothing is learned of a part: %w", path, err)
		}
		if err := o.Watch.Learn(r.Findings, time.Now()).Write(path); err != nil {
			return err
		}
	}
	if path := ctx.String("html"); path != "" {
		if err := atomicfile.WriteFunc(path, func(w io.Writer) error { return scan.WriteHTML(w, r) }); err != nil {
			return err
		}
	}
	if ctx.Bool("json") {
		for _, f := range r.Files { // which the table would name
			if f.Error != "" {
				err = errors.Join(err, errors.New(f.Error))
			}
		}
		err = errors.Join(err, scan.WriteFindings(c.out, r.Findings))
	} else {
		printFindings(c.out, r.Findings)
		printScan(c.out, r)
	}
	if ctx.Bool("fail") && len(r.Findings) > 0 {
		err = errors.Join(err, foundError{len(r.Findings)})
	}
	return errors.Join(err, missing, r.Err())
}

// followLists keeps the lists up to date and sends a policy after each change, until stop is called.
func (j *judge) followLists(ctx context.Context) (policies <-chan *detect.Policy, stop func()) {
	changed := make(chan *detect.Policy)
	inner, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		j.lists.Run(inner, func() {
			select {
			case changed <- j.policy.With(j.lists.Lists()):
			case <-inner.Done():
			}
		})
	}()
	return changed, func() {
		cancel()
		<-ended
	}
}

// mayWrite is an error if what scan writes would take the place of what it reads, or of no file.
func mayWrite(ctx *cli.Context, paths []string) error {
	outputs := []string{}
	for _, flag := range []string{"events", "learn", "html"} {
		if path := ctx.String(flag); path != "" {
			outputs = append(outputs, path)
		}
	}
	if dir := ctx.String("compat"); dir != "" {
		for _, name := range scan.CompatFiles {
			outputs = append(outputs, filepath.Join(dir, name))
		}
	}
	inputs := slices.Concat(paths, ctx.StringSlice("allow"), ctx.StringSlice("block"))
	if path := ctx.String("baseline"); path != "" {
		inputs = append(inputs, path)
	}
	for i, out := range outputs {
		if err := scan.MayWrite(out, inputs); err != nil {
			return usageError{err}
		}
		if slices.Contains(outputs[:i], out) {
			return usagef("%s: two outputs cannot go to one file", out)
		}
	}
	return nil
}

// withLog runs f with a function that writes the event log at path, or with nil for "". The log appears whole or not at
// all.
func withLog(path string, f func(each func(string, *events.Event, *detect.Decision) error) error) error {
	if path == "" {
		return f(nil)
	}
	return atomicfile.WriteFunc(path, func(w io.Writer) error {
		l, err := scan.NewLog(w, path)
		if err != nil {
			return err
		}
		if err := f(l.Write); err != nil {
			return err
		}
		return l.Close()
	})
}

func eventOptions(ctx *cli.Context) (o events.Options, err error) {
	o.Format, o.Fields = ctx.String("format"), map[string]string{}
	if o.Format != "" {
		if _, err := events.Lookup(o.Format); err != nil {
			return o, usageError{err}
		}
	}
	for _, field := range ctx.StringSlice("field") {
		key, column, ok := strings.Cut(field, "=")
		if !ok || column == "" || !slices.Contains(fieldKeys, key) {
			return o, usagef("field %q: write it as KEY=COLUMN, with one of the keys %s", field, strings.Join(fieldKeys, ", "))
		}
		o.Fields[key] = column
	}
	o.Ports = []uint16{53}
	for _, p := range ctx.IntSlice("port") {
		if p < 1 || p > 65535 {
			return o, usagef("port %d: must be 1 to 65535", p)
		}
		o.Ports = append(o.Ports, uint16(p))
	}
	return o, nil
}

func (c *command) listEventFormats() error {
	w := tabwriter.NewWriter(c.out, 2, 0, 2, ' ', 0)
	for _, f := range events.Formats() {
		printable.Fprintf(w, "%s\t%s\n", f.Name, f.Title)
	}
	return w.Flush()
}

// printScan prints what was in the files, and the suspects.
func printScan(out io.Writer, r *scan.Report) {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	printable.Fprintf(w, "FILE\tFORMAT\tREAD\tEVENTS\tNAMES\tCLIENTS\tMALICIOUS\n")
	for _, f := range r.Files {
		printable.Fprintf(w, "%s\t%s\t%s %s\t%s\t%s\t%s\t%s\n", f.Path, f.Format, grouped(f.Units), f.Unit, grouped(f.Events),
			grouped(f.Names), grouped(f.Clients), grouped(f.Verdicts[detect.Malicious.String()]))
	}
	_ = w.Flush()
	skipped := map[string]int64{}
	for _, f := range r.Files {
		printReasons(out, f.Path+": not readable", f.Refused)
		if f.Error != "" {
			printable.Fprintf(out, "%s\n", f.Error)
		}
		for reason, n := range f.Skipped {
			skipped[reason] += n
		}
	}
	printReasons(out, "passed over", skipped)
	printable.Fprintf(out, "\n%s events, %s different names, %s clients.", grouped(r.Events), grouped(r.Names),
		grouped(r.Clients))
	for _, v := range slices.Sorted(maps.Keys(r.Verdicts)) {
		printable.Fprintf(out, " %s: %s.", v, grouped(r.Verdicts[v]))
	}
	printable.Fprintf(out, "\n")
	printRules(out, r)
}

func printReasons(out io.Writer, what string, reasons map[string]int64) {
	if len(reasons) == 0 {
		return
	}
	list := []string{}
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		list = append(list, fmt.Sprintf("%s %s", grouped(reasons[reason]), reason))
	}
	printable.Fprintf(out, "%s: %s\n", what, strings.Join(list, ", "))
}

// mostWindows is how many windows printRules prints.
const mostWindows = 20

// printRules prints what the rules of other detectors say.
func printRules(out io.Writer, r *scan.Report) {
	if len(r.Rules) > 0 {
		printable.Fprintf(out, "\n")
	}
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	for i, n := range r.Rules {
		if i == 0 {
			printable.Fprintf(w, "RULE OF\tSAYS\tREASON\tEVENTS\tSUCH AS\n")
		}
		printable.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", n.Detector, n.Label, n.Reason, grouped(n.Events),
			printable.Cut(n.Example, 60))
	}
	_ = w.Flush()
	if len(r.Windows) > 0 {
		printable.Fprintf(out, "\n")
	}
	for i, h := range r.Windows {
		if i == 0 {
			printable.Fprintf(w, "RULE OF\tDOMAIN\tFROM\tNAMES\tREASON\n")
		}
		if i == mostWindows {
			break
		}
		from := ""
		if !h.Start.IsZero() {
			from = h.Start.UTC().Format(time.RFC3339)
		}
		printable.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", h.Rule, h.Domain, from, grouped(h.Names), h.Reason)
	}
	_ = w.Flush()
	if more := len(r.Windows) - mostWindows; more > 0 {
		printable.Fprintf(out, "and %s more\n", grouped(more))
	}
}

func grouped[T int | int64 | uint64](n T) string { return printable.Grouped(int(n)) }

// scanned gives a function that is told the bytes read from the files at paths, by several goroutines.
func scanned(bar *progress, paths []string) func(int64) {
	var total int64
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil {
			total += info.Size()
		}
	}
	var mu sync.Mutex
	var done int64
	tell := bar.counting("scan", "B")
	return func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		done += n
		tell(done, max(total, done))
	}
}
