// Package beam runs degas' data pipeline on Apache Beam: the same reading, cleaning and splitting as degas
// process-data, spread over the machines of a runner. It is a module of its own, so that degas itself does not carry
// Beam.
//
//	files -> read and normalise -> partition by registered domain -> merge -> shards of Arrow files
//
// Partitions are independent (prepare.MergePartition), which is all that Beam has to know. Every worker must see the
// input and output folders: a mounted bucket, NFS, or one machine.
package beam

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/transforms/stats"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/formats"
	"github.com/degas-dns/degas/datasets/prepare"
)

// Options are what the pipeline does.
type Options struct {
	// Input is a folder of raw files as process-data takes it, Output the folder for shards and summary.json.
	Input, Output string
	// Process has the options of degas process-data. Of these Memory, Workers, Balance and CapFamily do not apply here,
	// and Split must be by domain or random: the others need counts of the whole input first.
	Process prepare.Options
	// Partitions is the number of groups that rows are merged in; 0 means 64. It does not change the rows.
	Partitions int
	// Shards is the number of files a split is written as; 0 means 8.
	Shards int
}

func (o *Options) resolve() (*prepare.Plan, error) {
	o.Partitions, o.Shards = cmp.Or(o.Partitions, 64), cmp.Or(o.Shards, 8)
	o.Process.MaxBad = cmp.Or(o.Process.MaxBad, 0.01)
	if o.Partitions < 1 || o.Shards < 1 || o.Shards > 99999 {
		return nil, fmt.Errorf("%d partitions and %d shards: must be at least 1", o.Partitions, o.Shards)
	}
	if o.Process.Balance != "" || o.Process.CapFamily != 0 {
		return nil, errors.New("balancing and caps need the counts of the whole input: use degas process-data")
	}
	plan, err := o.Process.Plan()
	if err != nil {
		return nil, err
	}
	if plan.By != datasets.SplitByDomain && plan.By != datasets.SplitRandom {
		return nil, fmt.Errorf("split by %s needs the counts of the whole input: use degas process-data", plan.By)
	}
	return plan, nil
}

// Build adds the pipeline to s. It lists the input folder, so that is done on the machine that starts the pipeline.
func Build(ctx context.Context, s beam.Scope, o Options) error {
	plan, err := o.resolve()
	if err != nil {
		return err
	}
	inputs, skipped, err := formats.Locate(ctx, o.Input)
	if err != nil {
		return fmt.Errorf("process %s: %w", o.Input, err)
	}
	if len(inputs) == 0 {
		return fmt.Errorf("process %s: none of its %d files is recognised", o.Input, len(skipped))
	}
	if err := os.MkdirAll(o.Output, 0o755); err != nil {
		return fmt.Errorf("process %s: %w", o.Input, err)
	}
	files := beam.Reshuffle(s, beam.CreateList(s, inputs)) // one file a bundle
	rows, read := beam.ParDo2(s.Scope("Read"),
		&readFn{Plan: *plan, Partitions: o.Partitions, MaxBad: max(o.Process.MaxBad, 0)}, files)
	kept, merged := beam.ParDo2(s.Scope("Merge"), &mergeFn{Plan: *plan, Shards: o.Shards}, beam.GroupByKey(s, rows))
	shards := beam.ParDo(s.Scope("Write"), &writeFn{Dir: o.Output, Seed: plan.Seed, Version: o.Process.Version,
		Compression: o.Process.Compression}, beam.GroupByKey(s, kept))
	counts := stats.SumPerKey(s, beam.Flatten(s, read, merged))
	beam.ParDo0(s.Scope("Summary"), &summaryFn{Dir: o.Output}, beam.CoGroupByKey(s,
		beam.ParDo(s, keyCount, counts), beam.ParDo(s, keyShard, shards)))
	return nil
}

// Row is a datasets.Record, or prepare.Placed, in types that Beam's row coder knows.
type Row struct {
	Name, Family, Source string
	Class, Split, Day    int64
	Weak                 bool
}

func rowOf(r datasets.Record) Row {
	return Row{Name: r.Name, Family: r.Family, Source: r.Source, Class: int64(r.Class), Day: int64(r.Day), Weak: r.Weak}
}

func (r Row) record() datasets.Record {
	return datasets.Record{Name: r.Name, Family: r.Family, Source: r.Source, Class: datasets.Class(r.Class),
		Day: datasets.Day(r.Day), Weak: r.Weak}
}

func init() {
	register.DoFn4x1[context.Context, formats.Location, func(int64, Row), func(string, int64), error](&readFn{})
	register.DoFn4x1[int64, func(*Row) bool, func(string, Row), func(string, int64), error](&mergeFn{})
	register.DoFn3x1[string, func(*Row) bool, func(string), error](&writeFn{})
	register.DoFn3x1[string, func(*count) bool, func(*string) bool, error](&summaryFn{})
	register.Function2x2(keyCount)
	register.Function1x2(keyShard)
	register.Emitter2[int64, Row]()
	register.Emitter2[string, Row]()
	register.Emitter2[string, int64]()
	register.Emitter1[string]()
	register.Iter1[Row]()
	register.Iter1[count]()
	register.Iter1[string]()
}
