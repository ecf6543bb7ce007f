package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/x/beamx"

	"github.com/degas-dns/degas/datasets/prepare"
	pipeline "github.com/degas-dns/degas/scale/beam"
)

func processFlags(fs *flag.FlagSet) func(context.Context) error {
	input := fs.String("input", "data/raw", "folder of raw files")
	output := fs.String("output", "data/shards", "folder for Arrow shards and summary.json")
	seed := fs.Uint64("seed", 1, "of the split")
	validation := fs.Float64("validation", 0.1, "share of the registered domains")
	test := fs.Float64("test", 0.1, "share of the registered domains")
	split := fs.String("split", "domain", "domain or random")
	holdout := fs.String("holdout-family", "", "families for the test split alone, separated by commas")
	maxBad := fs.Float64("max-bad", 0.01, "stop when a larger share of a file is refused")
	compression := fs.String("compression", "none", "none, lz4 or zstd")
	partitions := fs.Int("partitions", 64, "groups that rows are merged in")
	shards := fs.Int("shards", 8, "files a split")
	return func(ctx context.Context) error {
		o := pipeline.Options{Input: *input, Output: *output, Partitions: *partitions, Shards: *shards}
		o.Process = prepare.Options{
			Seed: *seed, Validation: prepare.Share(*validation), Test: prepare.Share(*test),
			MaxBad: prepare.Share(*maxBad), Split: *split, Compression: *compression,
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
}
