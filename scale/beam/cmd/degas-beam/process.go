package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam/x/beamx"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/prepare"
	pipeline "github.com/degas-dns/degas/scale/beam"
)

// release is the version of this source, which dataset.json records: that of cmd/degas.
const release = "0.1.0"

func processFlags(fs *flag.FlagSet) func(context.Context) error {
	input := fs.String("input", "data/raw", "folder of raw files")
	output := fs.String("output", "data/processed", "folder or URL for shards and dataset.json")
	seed := fs.Uint64("seed", 1, "of the split")
	validation := fs.Float64("validation", 0.1, "share of the names")
	test := fs.Float64("test", 0.1, "share of the names")
	split := fs.String("split", "domain", "domain, random, family, source or date")
	holdout := fs.String("holdout-family", "", "families for the test split alone, separated by commas")
	exclude := fs.String("exclude", "", "sources whose files are not read, separated by commas")
	trainOnly := fs.String("train-only", "", "sources for training only, separated by commas")
	capFamily := fs.Int64("cap-family", 0, "most training names of a family; 0: all")
	balance := fs.Bool("balance", false, "train on as many malicious names as benign ones")
	balanceClasses := fs.Bool("balance-classes", false, "train on equally many names of each class")
	maxBad := fs.Float64("max-bad", 0.01, "stop when a larger share of a file is refused")
	compression := fs.String("compression", "none", "none, lz4 or zstd")
	strict := fs.Bool("strict", false, "refuse files whose labels are not certain")
	memory := fs.Int64("memory-mib", 2048, "MiB that a step of a worker may use")
	partitions := fs.Int("partitions", 0, "groups that rows are merged in; 0: by the size of the input")
	shards := fs.Int("shards", 8, "files a split")
	return func(ctx context.Context) error {
		if *balance && *balanceClasses {
			return fmt.Errorf("give --balance or --balance-classes, not both")
		}
		o := pipeline.Options{Partitions: *partitions, Run: beamx.Run, Options: prepare.Options{
			Seed: *seed, Validation: prepare.Share(*validation), Test: prepare.Share(*test),
			MaxBad: prepare.Share(*maxBad), Split: *split, Compression: *compression, Shards: *shards,
			HoldoutFamilies: words(*holdout), Exclude: words(*exclude), TrainOnly: words(*trainOnly),
			CapFamily: *capFamily, Strict: *strict, Memory: *memory << 20, Version: release,
		}}
		if *balance {
			o.Balance = datasets.BalanceBinary
		} else if *balanceClasses {
			o.Balance = datasets.BalanceClass
		}
		if os.Getenv("GOGC") == "" { // Prism holds all rows in memory, several times over
			debug.SetGCPercent(50)
		}
		began := time.Now()
		m, err := pipeline.Process(ctx, *input, *output, o)
		if err != nil {
			return err
		}
		fmt.Printf("%d rows in, %d kept, fingerprint %.16s in %s after %s\n", m.RowsIn, m.Kept, m.Fingerprint, *output,
			time.Since(began).Round(time.Millisecond))
		return nil
	}
}

// words are the words of a flag, nil for none.
func words(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}
