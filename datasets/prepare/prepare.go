// Package prepare makes a data set of raw files. [Run] reads every input, normalises the names, settles duplicates and
// label conflicts, draws the splits so that none leaks into another, and writes them as Arrow.
//
// Rows are partitioned by registered domain, so all that one decision needs is in one partition. A partition fits in
// memory; one that does not is cleaned in slices. The walk of a row, file by file:
//
//	read.go   the name is normalised; a refused row is counted by reason (input.go)
//	plan.go   the split is drawn: a hash of the registered domain, or the split of a whole family, source or day
//	merge.go  duplicates become one row, label conflicts are dropped, a registered domain goes to one split
//	select.go training rows over a cap, or of a class that is larger than the others, are left out
//	sort.go   rows come into their final order
//	output.go and are written, into one file a split or into shards
//	leak.go   the finished files are read again: nothing may be in two splits
//
// A [Job] has the same steps for a distributed runner (distribute.go).
package prepare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/formats"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/dirlock"
)

// Options are the options of Run. The zero value is a good default.
type Options struct {
	// Seed decides the splits and the order of rows.
	Seed uint64
	// Validation and Test are shares of the registered domains, 0 to 1. 0 means 0.1; a negative share means none.
	Validation, Test float64
	// Memory is what the stage may use, in bytes; 0 means 2 GiB, and less than 64 MiB is taken as 64 MiB. It does
	// not change the output.
	Memory int64
	// MaxBad is the share of a file's rows that may be refused, 0 to 1; 0 means 0.01, negative means none. Files may
	// always have ten bad rows among good ones.
	MaxBad float64
	// Workers is the number of goroutines; 0 means GOMAXPROCS. It does not change the output.
	Workers int
	// Compression of the Arrow files is "none" (default), "lz4" or "zstd". Not every Arrow reader knows the latter
	// two: apache-arrow for JavaScript does not.
	Compression string
	// Shards is the number of files a split is written as, 1 to Sections; 0 means one file that is no shard. Shards one
	// behind the other have the rows of the one file.
	Shards int
	// Split is SplitByDomain (default), SplitByFamily, SplitBySource, SplitByDate or SplitRandom.
	Split string
	// HoldoutFamilies are in test only, with their variants: "vawtrak" holds out vawtrak_v1 too.
	HoldoutFamilies []string
	// Exclude names sources whose files are not read. A source that no file has is an error.
	Exclude []string
	// TrainOnly names sources that are for training only, such as generated names: their registered domains are in no
	// other split, whatever else has names of those. A source that no file has is an error. It goes with SplitByDomain.
	TrainOnly []string
	// Balance is "" (default), BalanceBinary or BalanceClass. It drops random training rows of the larger classes, drawn
	// by the seed, until the classes are equal. Validation and test keep all their rows.
	Balance string
	// CapFamily, when not 0, is how many names of a family training keeps, also a random choice by the seed; it comes
	// before Balance. Variants (kraken_v1, kraken_v2) count by themselves, names without a family are not limited.
	CapFamily int64
	// Strict refuses what is not certain: labels that rest on a guess, and findings of the check of labels.
	Strict bool
	// Announce, when not nil, is told how the inputs will be read before they are.
	Announce func([]formats.Reading)
	// Version is the degas version to record.
	Version string
	// Progress, when not nil, is told how much of the work is done. The unit is bytes of input, scaled. It is called
	// from one goroutine at a time and must not block.
	Progress func(done, total int64)
}

// maxWorkers bounds Options.Workers: each has buffers.
const maxWorkers = 1024

// inputMemory is what one input takes in bytes, however small it is: an archive may hold 100,000.
const inputMemory = 6 << 10

// Plan is how the options split rows before anything is known of the data. Splits by family, source and date need
// counts besides, which Run takes itself. The error is about an option that makes no sense.
func (o Options) Plan() (*Plan, error) {
	_, p, err := o.resolve()
	return p, err
}

// resolve fills in defaults and refuses what makes no sense.
func (o Options) resolve() (Options, *Plan, error) {
	o.Validation, o.Test, o.MaxBad = shareOr(o.Validation, 0.1), shareOr(o.Test, 0.1), shareOr(o.MaxBad, 0.01)
	o.Memory = max(cmp.Or(o.Memory, 2<<30), 64<<20)
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	o.Split = cmp.Or(o.Split, datasets.SplitByDomain)
	o.Compression = cmp.Or(o.Compression, "none")
	switch o.Compression {
	case "none", "lz4", "zstd":
	default:
		return o, nil, fmt.Errorf("unknown compression %q, known are: none, lz4, zstd", o.Compression)
	}
	switch {
	case !(o.MaxBad >= 0 && o.MaxBad <= 1): // NaN too
		return o, nil, fmt.Errorf("share of bad rows %g: must be 0 to 1", o.MaxBad)
	case o.Balance != "" && o.Balance != datasets.BalanceBinary && o.Balance != datasets.BalanceClass:
		return o, nil, fmt.Errorf("unknown balance %q, known are: %s, %s", o.Balance, datasets.BalanceBinary,
			datasets.BalanceClass)
	case o.Workers > maxWorkers:
		return o, nil, fmt.Errorf("%d workers: must be at most %d", o.Workers, maxWorkers)
	case o.Shards < 0 || o.Shards > Sections:
		return o, nil, fmt.Errorf("%d shards: must be 1 to %d, or 0 for one file a split", o.Shards, Sections)
	case o.CapFamily < 0:
		return o, nil, fmt.Errorf("cap of %d names a family: must be at least 1, or 0 for none", o.CapFamily)
	}
	held := []string{}
	for _, f := range o.HoldoutFamilies {
		n := datasets.NormalizeFamily(f)
		if n == "" {
			return o, nil, fmt.Errorf("held-out family %q is no family's name", f)
		}
		held = append(held, n)
	}
	slices.Sort(held)
	o.HoldoutFamilies = slices.Compact(held)
	p := &Plan{Seed: o.Seed, Validation: o.Validation, Test: o.Test, By: o.Split, Holdout: o.HoldoutFamilies,
		TrainOnly: o.TrainOnly}
	return o, p, p.check()
}

// Share converts a share for Options, where 0 means the default and a negative number none.
func Share(x float64) float64 {
	if x == 0 {
		return -1
	}
	return x
}

func shareOr(v, fallback float64) float64 {
	switch {
	case v == 0:
		return fallback
	case v < 0:
		return 0
	}
	return v
}

// Run makes a data set in the folder out from the files in in, a folder or one file: it recognises formats, cleans
// names, drops duplicates and conflicting labels, splits, and writes train.arrow, validation.arrow, test.arrow, or
// their shards, and dataset.json. Memory is bounded whatever the size of the input; rows wait on the disk of out. The
// same inputs, seed and options give the same bytes, whatever the number of workers and the memory.
//
// What was in out stays as it is until the new files are complete, see datasets.Place. If Run is killed, the next one
// removes what it left behind. A second Run into the same folder is refused.
func Run(ctx context.Context, in, out string, o Options) (_ *datasets.Manifest, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("process %s: %w", in, err)
		}
	}()
	o, plan, err := o.resolve()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(in); err != nil {
		return nil, fmt.Errorf("%w. Try: degas download-data", err)
	}
	unlock, err := dirlock.LockInside(out)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := datasets.MayReplace(out); err != nil {
		return nil, err
	}
	temp, err := atomicfile.StageFor(out, "process")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()

	inputs, skipped, done, err := discover(ctx, in, temp, o)
	if err != nil {
		return nil, err
	}
	defer done()
	p := newPreparation(o, plan, temp, inputs, skipped)
	p.manifest.Input = inputName(in)
	if err := p.run(ctx); err != nil {
		return nil, err
	}
	return p.manifest, p.publish(out)
}

// discover finds the inputs that Run reads, and what it skips. It announces them, and refuses what o does not allow.
// done closes their files.
func discover(ctx context.Context, in, temp string, o Options) (
	inputs []*formats.Input, skipped []datasets.Skipped, done func(), err error,
) {
	all, skipped, err := formats.Discover(ctx, in, temp)
	if err != nil {
		return nil, nil, nil, err
	}
	done = func() { formats.Close(all) }
	if err = haveSources(all, slices.Concat(o.Exclude, o.TrainOnly)); err == nil {
		inputs, skipped = exclude(all, skipped, o.Exclude)
		if need := int64(len(inputs)) * inputMemory; len(inputs) == 0 {
			err = nothingRecognised(in, skipped)
		} else if need > o.Memory {
			err = fmt.Errorf("to keep track of %d files takes about %d MiB, more than the %d MiB allowed. "+
				"Try: --memory, or join them into fewer files", len(inputs), need>>20, o.Memory>>20)
		} else {
			err = announce(ctx, inputs, temp, o)
		}
	}
	if err != nil {
		done()
	}
	return inputs, skipped, done, err
}

// thins reports whether training leaves out good rows.
func (o Options) thins() bool { return o.CapFamily > 0 || o.Balance != "" }

// haveSources reports a source that no input is of.
func haveSources(inputs []*formats.Input, sources []string) error {
	found := map[string]bool{}
	for _, in := range inputs {
		found[in.Source()] = true
	}
	for _, s := range sources {
		if !found[s] {
			return fmt.Errorf("no file is of the source %q. Sources are: %s. A source is the first folder below IN, or what a "+
				"sidecar says. Try: for IN, the folder that holds %s", s, strings.Join(slices.Sorted(maps.Keys(found)), ", "), s)
		}
	}
	return nil
}

// exclude takes the files of some sources out of inputs.
func exclude(inputs []*formats.Input, skipped []datasets.Skipped, sources []string) (
	kept []*formats.Input, _ []datasets.Skipped,
) {
	for _, in := range inputs {
		if slices.Contains(sources, in.Source()) {
			skipped = append(skipped, datasets.Skipped{Path: in.Label(), Reason: "its source is excluded"})
			continue
		}
		kept = append(kept, in)
	}
	return kept, skipped
}

// nothingRecognised says what is there, and what each format missed in the first file.
func nothingRecognised(in string, skipped []datasets.Skipped) error {
	if len(skipped) == 0 {
		return fmt.Errorf("%s holds no data files. Try: degas download-data", in)
	}
	var names []string
	detail := ""
	slices.SortStableFunc(skipped, func(a, b datasets.Skipped) int { // what was looked into comes first
		return cmp.Compare(min(len(b.Detail), 1), min(len(a.Detail), 1))
	})
	for _, s := range skipped[:min(len(skipped), 5)] {
		names = append(names, s.Path+" ("+s.Reason+")")
		if detail == "" && s.Detail != "" {
			detail = fmt.Sprintf(" What %s misses: %s.", s.Path, s.Detail)
		}
	}
	if n := len(skipped) - len(names); n > 0 {
		names = append(names, fmt.Sprintf("and %d more", n))
	}
	return fmt.Errorf("nothing in it is recognised: %s.%s Formats: %s. FILE%s beside a file can say what it is, "+
		"for example {\"format\": \"list\", \"class\": \"dga\"}",
		strings.Join(names, ", "), detail, strings.Join(formats.Names(), ", "), formats.SidecarSuffix)
}

// inputName is how dataset.json calls the folder of raw files: as it was given, or from the working directory. An
// absolute path elsewhere says more about the machine than about the data.
func inputName(in string) string {
	if filepath.IsAbs(in) {
		working, err := os.Getwd()
		if err != nil {
			return ""
		}
		if in, err = filepath.Rel(working, in); err != nil || !filepath.IsLocal(in) {
			return ""
		}
	}
	return filepath.ToSlash(filepath.Clean(in))
}
