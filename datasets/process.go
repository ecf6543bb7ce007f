package datasets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/gofrs/flock"
)

// ProcessOptions are the options of Process. The zero value is a good default.
type ProcessOptions struct {
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
	// Split is SplitByDomain (default), SplitByFamily, SplitBySource, SplitByDate or SplitRandom.
	Split string
	// HoldoutFamilies are in test only, with their variants: "vawtrak" holds out vawtrak_v1 too.
	HoldoutFamilies []string
	// Balance is "" (default), BalanceBinary or BalanceClass: training rows of what is more numerous are left out, a
	// random choice by the seed, until there are equally many. Validation and test keep all their rows.
	Balance string
	// CapFamily, when not 0, is how many names of a family training keeps, also a random choice by the seed; it comes
	// before Balance. Variants (kraken_v1, kraken_v2) count by themselves, names without a family are not limited.
	CapFamily int64
	// Version is the degas version to record.
	Version string
	// Progress, when not nil, is told how much of the work is done. The unit is bytes of input, scaled. It is called
	// from one goroutine at a time and must not block.
	Progress func(done, total int64)
}

// Plan is how the options split rows, before anything is known of the data: SplitByFamily, SplitBySource and SplitByDate
// also need its counts, which Process takes itself.
func (o ProcessOptions) Plan() (*Plan, error) {
	_, p, err := o.resolve()
	return p, err
}

// Check reports an option that makes no sense, before anything is read or written.
func (o ProcessOptions) Check() error {
	_, _, err := o.resolve()
	return err
}

// resolve fills in defaults and refuses what makes no sense.
func (o ProcessOptions) resolve() (ProcessOptions, *Plan, error) {
	o.Validation, o.Test, o.MaxBad = shareOr(o.Validation, 0.1), shareOr(o.Test, 0.1), shareOr(o.MaxBad, 0.01)
	if o.Memory == 0 {
		o.Memory = 2 << 30
	}
	o.Memory = max(o.Memory, 64<<20)
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Split == "" {
		o.Split = SplitByDomain
	}
	switch o.Compression {
	case "":
		o.Compression = "none"
	case "none", "lz4", "zstd":
	default:
		return o, nil, fmt.Errorf("unknown compression %q, known are: none, lz4, zstd", o.Compression)
	}
	switch {
	case o.Balance != "" && o.Balance != BalanceBinary && o.Balance != BalanceClass:
		return o, nil, fmt.Errorf("unknown balance %q, known are: %s, %s", o.Balance, BalanceBinary, BalanceClass)
	case o.CapFamily < 0:
		return o, nil, fmt.Errorf("cap of %d names a family: must be at least 1, or 0 for none", o.CapFamily)
	}
	held := []string{}
	for _, f := range o.HoldoutFamilies {
		n := NormalizeFamily(f)
		if n == "" {
			return o, nil, fmt.Errorf("held-out family %q is no family's name", f)
		}
		held = append(held, n)
	}
	slices.Sort(held)
	o.HoldoutFamilies = slices.Compact(held)
	p := &Plan{Seed: o.Seed, Validation: o.Validation, Test: o.Test, By: o.Split, Holdout: o.HoldoutFamilies}
	return o, p, p.check()
}

// Share is a share as ProcessOptions has it, where 0 stands for the default: none is below 0.
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

// Process makes a data set in the folder out from the files in in, a folder or one file: it recognises formats, cleans
// names, drops duplicates and conflicting labels, splits, and writes train.arrow, validation.arrow, test.arrow and
// dataset.json. Memory is bounded whatever the size of the input; rows wait on the disk of out. The same inputs, seed
// and options give the same bytes, whatever the number of workers and the memory.
//
// What was in out stays as it is until the new files are complete; dataset.json is put in place last. When Process is
// killed, the next one removes what it left behind. A second Process into the same folder is refused.
func Process(ctx context.Context, in, out string, o ProcessOptions) (_ *Manifest, err error) {
	o, plan, err := o.resolve()
	if err != nil {
		return nil, fmt.Errorf("process %s: %w", in, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("process %s: %w", in, err)
		}
	}()
	if _, err := os.Stat(in); err != nil {
		return nil, fmt.Errorf("%w. Try: degas download-data", err)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lockFolder(out)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeStale(out); err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp(out, tempPrefix)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()

	inputs, skipped, err := discover(ctx, in)
	if err != nil {
		return nil, err
	}
	defer closeInputs(inputs)
	if len(inputs) == 0 {
		return nil, nothingRecognised(in, skipped)
	}
	j := newJob(o, plan, temp, inputs, skipped)
	if err := j.run(ctx); err != nil {
		return nil, err
	}
	return j.manifest, j.publish(out)
}

// tempPrefix begins the names of folders that hold work in progress.
const tempPrefix = ".degas-process-"

// lockFolder keeps two runs from one output. The lock goes with the process, however that ends.
func lockFolder(out string) (unlock func(), err error) {
	l := flock.New(filepath.Join(out, ".degas-process.lock"))
	ok, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", out, err)
	}
	if !ok {
		return nil, fmt.Errorf("another degas process-data is writing to %s", out)
	}
	return func() { l.Unlock() }, nil
}

// removeStale removes what killed runs left. The caller holds the lock, so nobody is using it.
func removeStale(out string) error {
	entries, err := os.ReadDir(out)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), tempPrefix) {
			if err := os.RemoveAll(filepath.Join(out, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func closeInputs(inputs []*input) {
	for _, in := range inputs {
		in.file.close()
	}
}

// nothingRecognised says what was there and what would have been understood.
func nothingRecognised(in string, skipped []Skipped) error {
	if len(skipped) == 0 {
		return fmt.Errorf("%s holds no data files. Try: degas download-data", in)
	}
	var names, known []string
	for _, s := range skipped[:min(len(skipped), 5)] {
		names = append(names, s.Path+" ("+s.Reason+")")
	}
	if n := len(skipped) - len(names); n > 0 {
		names = append(names, fmt.Sprintf("and %d more", n))
	}
	for _, r := range Readers() {
		known = append(known, r.Name())
	}
	return fmt.Errorf("nothing in it is recognised: %s. Understood are the formats %s; FILE%s beside a file "+
		"can say what it is, for example {\"format\": \"list\", \"class\": \"dga\"}",
		strings.Join(names, ", "), strings.Join(known, ", "), sidecarSuffix)
}
