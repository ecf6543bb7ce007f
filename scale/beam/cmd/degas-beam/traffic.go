package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/x/beamx"

	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/scale/beam/traffic"
)

// list is a flag that may be given again.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(s string) error {
	*l = append(*l, s)
	return nil
}

// trafficFlags are the flags that score and watch have in common.
func trafficFlags(fs *flag.FlagSet) func() (traffic.Options, error) {
	var o traffic.Options
	var fields list
	fs.Var((*list)(&o.Input), "input", "`PATH` or URL of files: captures, logs, lists of names; may be given again")
	fs.StringVar(&o.Output, "output", "", "`FOLDER` or URL to write to, empty or not there")
	fs.StringVar(&o.Model, "model", model.BuiltinName, "`MODEL` that every worker sees, or builtin")
	fs.StringVar(&o.Events.Format, "format", "", "read every file as `FORMAT`, without recognising it")
	fs.Var(&fields, "field", "`KEY=COLUMN` of a table, as of degas scan; may be given again")
	fs.Int64Var(&o.RangeSize, "range", traffic.DefaultRangeSize, "`BYTES` of a log that are read at once")
	return func() (traffic.Options, error) {
		o.Events.Fields, o.Events.Ports = map[string]string{}, []uint16{53}
		for _, field := range fields {
			key, column, ok := strings.Cut(field, "=")
			if !ok || column == "" {
				return o, fmt.Errorf("--field %q: write it as KEY=COLUMN", field)
			}
			o.Events.Fields[key] = column
		}
		return o, nil
	}
}

func scoreFlags(fs *flag.FlagSet) func(context.Context) error {
	options := trafficFlags(fs)
	form := fs.String("form", traffic.JSONLines, "`FORM` of the output: jsonl or parquet")
	return func(ctx context.Context) error {
		o, err := options()
		if err != nil {
			return err
		}
		return runTraffic(ctx, o.Output, traffic.ScoreFile, func(s beam.Scope) error {
			return traffic.Score(ctx, s, o, *form)
		})
	}
}

func watchFlags(fs *flag.FlagSet) func(context.Context) error {
	options := trafficFlags(fs)
	lanes := fs.Int("lanes", traffic.DefaultLanes, "how many parts the evidence is kept in")
	falseAlarms := fs.Float64("false-alarms", watch.DefaultFalseAlarms,
		"findings about clean traffic that may be expected a day")
	return func(ctx context.Context) error {
		o, err := options()
		if err != nil {
			return err
		}
		return runTraffic(ctx, o.Output, traffic.WatchFile, func(s beam.Scope) error {
			return traffic.Watch(ctx, s, o, *lanes, *falseAlarms)
		})
	}
}

// runTraffic runs a pipeline and prints what its report says.
func runTraffic(ctx context.Context, output, report string, build func(beam.Scope) error) error {
	p, s := beam.NewPipelineWithRoot()
	if err := build(s); err != nil {
		return err
	}
	began := time.Now()
	if err := beamx.Run(ctx, p); err != nil {
		return err
	}
	data, err := traffic.ReadReport(ctx, output, report)
	if err != nil {
		return err
	}
	var r traffic.Report
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("read %s: %w", report, err)
	}
	for _, e := range r.Errors {
		printable.Fprintf(os.Stderr, "%s\n", e)
	}
	fmt.Printf("%s/%s: %d events, %d names, %d findings in %d files after %s\n", output, report, r.Events, r.Names,
		r.Findings, r.Files, time.Since(began).Round(time.Millisecond))
	return r.Err()
}
