// Command degas-beam is degas process-data on Apache Beam. Beam's own flags choose the runner: --runner=prism (the
// default, in this process), flink, dataflow, universal.
//
//	degas-beam --input data/raw --output data/shards
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/x/beamx"

	"github.com/degas-dns/degas/datasets/prepare"
	pipeline "github.com/degas-dns/degas/scale/beam"
)

var (
	input       = flag.String("input", "data/raw", "folder of raw files")
	output      = flag.String("output", "data/shards", "folder for Arrow shards and summary.json")
	seed        = flag.Uint64("seed", 1, "of the split")
	validation  = flag.Float64("validation", 0.1, "share of the registered domains")
	test        = flag.Float64("test", 0.1, "share of the registered domains")
	split       = flag.String("split", "domain", "domain or random")
	holdout     = flag.String("holdout-family", "", "families for the test split alone, separated by commas")
	maxBad      = flag.Float64("max-bad", 0.01, "stop when a larger share of a file is refused")
	compression = flag.String("compression", "none", "none, lz4 or zstd")
	partitions  = flag.Int("partitions", 64, "groups that rows are merged in")
	shards      = flag.Int("shards", 8, "files a split")
)

func main() {
	flag.Parse()
	beam.Init() // a worker started by a runner ends in here
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "degas-beam: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	o := pipeline.Options{Input: *input, Output: *output, Partitions: *partitions, Shards: *shards}
	o.Process = prepare.Options{
		Seed: *seed, Validation: prepare.Share(*validation), Test: prepare.Share(*test), MaxBad: prepare.Share(*maxBad),
		Split: *split, Compression: *compression,
	}
	if *holdout != "" {
		o.Process.HoldoutFamilies = strings.Split(*holdout, ",")
	}
	p, s := beam.NewPipelineWithRoot()
	if err := pipeline.Build(ctx, s, o); err != nil {
		return err
	}
	began := time.Now()
	if err := beamx.Run(ctx, p); err != nil {
		return err
	}
	fmt.Printf("%s/%s after %s\n", *output, pipeline.SummaryFile, time.Since(began).Round(time.Millisecond))
	return nil
}
