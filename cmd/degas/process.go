package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/prepare"
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/bytesize"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model"
)

func (c *command) process() *cli.Command {
	return &cli.Command{
		Name:      "process-data",
		Usage:     "clean, deduplicate and split raw files into Arrow",
		ArgsUsage: "[IN] [OUT]",
		Description: "Reads the files of known formats below IN (data/raw). Writes train.arrow, validation.arrow,\n" +
			"test.arrow and dataset.json to OUT (data/processed). No registered domain is in two splits. --cap-family and\n" +
			"--balance leave out training rows only. With --split date, rows without a date are split by domain. With\n" +
			"--shards 8, train.arrow becomes train-00000-of-00008.arrow to train-00007-of-00008.arrow. OUT may be a URL of\n" +
			"object storage, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER, as wherever a data set is read.\n\n" +
			"Example: degas process-data data/raw data/processed --seed 7",
		Flags: []cli.Flag{
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "of the split"},
			&cli.Float64Flag{Name: "validation", Value: 0.1, Usage: "share of the names"},
			&cli.Float64Flag{Name: "test", Value: 0.1, Usage: "share of the names"},
			&cli.StringFlag{Name: "split", Value: "domain",
				Usage: "domain, random, family, source or date (oldest to train, newest to test)"},
			&cli.StringSliceFlag{Name: "holdout-family", Usage: "families kept for the test split alone"},
			&cli.StringSliceFlag{Name: "exclude", Usage: "`SOURCE` whose files are not read, such as sample"},
			&cli.StringSliceFlag{Name: "train-only", Usage: "`SOURCE` for training only, such as generated"},
			&cli.Int64Flag{Name: "cap-family", Usage: "at most `N` training names a family; 0: all"},
			&cli.BoolFlag{Name: "balance", Usage: "train on as many malicious names as benign ones, leaving out the surplus"},
			&cli.BoolFlag{Name: "balance-classes", Usage: "train on equally many names of each class"},
			&cli.StringFlag{Name: "memory", Value: "2GiB", Usage: "bound on the memory used"},
			&cli.StringFlag{Name: "max-bad", Value: "1%", Usage: "stop when a larger share of a file is refused"},
			&cli.StringFlag{Name: "compression", Value: "none", Usage: "none, lz4 or zstd"},
			&cli.IntFlag{Name: "shards", Usage: "write each split as `N` files; 0: as one"},
			&cli.IntFlag{Name: "workers", Usage: "0: one a core; the output does not depend on it"},
			&cli.BoolFlag{Name: "dry-run", Usage: "only say how each file would be read"},
			&cli.BoolFlag{Name: "strict", Usage: "refuse files whose labels are not certain"},
			jsonFlag,
		},
		Action: action(0, 2, c.processAction),
	}
}

func (c *command) processAction(ctx *cli.Context) error {
	memory, err := bytesize.Parse(ctx.String("memory"))
	if err != nil {
		return usagef("memory: %w", err)
	}
	maxBad, err := parseShare(ctx.String("max-bad"))
	if err != nil {
		return usagef("max-bad: %w", err)
	}
	balance, err := balanceOf(ctx)
	if err != nil {
		return err
	}
	if ctx.Bool("dry-run") {
		return c.survey(ctx)
	}
	bar := c.progress()
	defer bar.close()
	out := argument(ctx, 1, "data/processed")
	o := prepare.Options{
		Seed: ctx.Uint64("seed"), Validation: prepare.Share(ctx.Float64("validation")),
		Test: prepare.Share(ctx.Float64("test")), Memory: memory, MaxBad: prepare.Share(maxBad),
		Workers: ctx.Int("workers"), Compression: ctx.String("compression"), Shards: ctx.Int("shards"),
		Split:           ctx.String("split"),
		HoldoutFamilies: ctx.StringSlice("holdout-family"), Exclude: ctx.StringSlice("exclude"),
		TrainOnly: ctx.StringSlice("train-only"),
		Balance:   balance, CapFamily: ctx.Int64("cap-family"),
		Strict:  ctx.Bool("strict"),
		Version: release, Progress: bar.counting("process", "B"),
	}
	if !c.quiet {
		o.Announce = c.announce
	}
	if _, err := o.Plan(); err != nil {
		return usageError{err}
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(max(memory, 64<<20))) // collect garbage before the bound, not after
	m, err := processTo(ctx.Context, argument(ctx, 0, defaultRaw), out, o)
	bar.close()
	if err != nil {
		return err
	}
	warnOfSample(m)
	if empty := emptySplits(m); len(empty) > 0 {
		slog.Warn("a split has no name, so a model cannot be trained and measured. Try: names of more registered domains, "+
			"another --split, or fewer --train-only", "empty", strings.Join(empty, ", "))
	}
	if left := rowsOf(m, "validation") + rowsOf(m, "test"); 10*m.MovedToTrain > left {
		slog.Warn("many names went to training because they share a domain with a source that is for training only",
			"names", m.MovedToTrain, "left to validation and test", left)
	}
	for _, f := range m.Findings {
		slog.Warn("check this label", "file", f.Path, "finding", f.Text)
	}
	return c.show(ctx, m, func(w io.Writer) { printManifest(w, out, m) })
}

// processTo runs the preparation to a folder, or to a folder of temporary files and from there to a URL.
func processTo(ctx context.Context, in, out string, o prepare.Options) (*datasets.Manifest, error) {
	if inStorage(in) {
		return nil, usagef("process-data reads raw files from a folder, and no URL. Try: copy them to this machine")
	}
	if !bucket.IsURL(out) {
		return prepare.Run(ctx, in, out, o)
	}
	folder, err := bucket.Open(ctx, out)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	if dir := folder.Local(); dir != "" {
		return prepare.Run(ctx, in, dir, o)
	}
	if _, err := datasets.Uploaded(ctx, folder); err != nil { // before work of hours
		return nil, err
	}
	work, err := os.MkdirTemp("", "degas-process-")
	if err != nil {
		return nil, fmt.Errorf("process data: %w. Try: TMPDIR=DIR", err)
	}
	defer os.RemoveAll(work)
	m, err := prepare.Run(ctx, in, work, o)
	if err != nil {
		return nil, err
	}
	return m, datasets.Upload(ctx, work, folder)
}

// warnOfSample says that a data set mixes the built-in sample with other data. A data set of the sample alone is for
// trying degas out, and needs no warning.
func warnOfSample(m *datasets.Manifest) {
	train := m.Split("train")
	if train == nil || len(train.BySource) < 2 {
		return
	}
	if warning := model.SampleWarning(train.BySource); warning != "" {
		slog.Warn(warning)
	}
}

// balanceOf is what --balance and --balance-classes ask for.
func balanceOf(ctx *cli.Context) (string, error) {
	switch all, classes := ctx.Bool("balance"), ctx.Bool("balance-classes"); {
	case all && classes:
		return "", usagef("process-data: give --balance or --balance-classes, not both")
	case all:
		return datasets.BalanceBinary, nil
	case classes:
		return datasets.BalanceClass, nil
	}
	return "", nil
}

// mostRenamed is how many families printManifest names that are counted under another name.
const mostRenamed = 20

// printManifest prints what went in, what was left out and what came of it.
func printManifest(w io.Writer, dir string, m *datasets.Manifest) {
	printable.Fprintf(w, "rows in\t%d\tfrom %d files\n", m.RowsIn, len(m.Inputs))
	for _, reason := range slices.Sorted(maps.Keys(m.RefusedBy)) {
		printable.Fprintf(w, "refused\t%d\t%s\n", m.RefusedBy[reason], reason)
	}
	for _, reason := range slices.Sorted(maps.Keys(m.LeftOut)) {
		printable.Fprintf(w, "left out\t%d\t%s\n", m.LeftOut[reason], reason)
	}
	printable.Fprintf(w, "duplicates\t%d\n", m.Duplicates)
	printable.Fprintf(w, "conflicts\t%d\tnames with both labels, listed in dataset.json\n", m.Conflicts.Names)
	if m.Options.CapFamily > 0 {
		printable.Fprintf(w, "over the cap\t%d\ttraining keeps %d names a family\n", m.Capped, m.Options.CapFamily)
	}
	if m.Options.Balance != "" {
		printable.Fprintf(w, "balanced out\t%d\tof training\n", m.Balanced)
	}
	printable.Fprintf(w, "kept\t%d\n", m.Kept)
	if only := m.Options.TrainOnly; len(only) > 0 {
		printable.Fprintf(w, "train only\t%d\tnames of other sources went to training: they share a domain with %s\n",
			m.MovedToTrain, strings.Join(only, ", "))
	}
	if d := m.Dates; d != nil {
		printable.Fprintf(w, "with a date\t%d\ttraining from %s%s%s to %s\n", d.Dated, d.First,
			from("validation", d.ValidationFrom), from("test", d.TestFrom), d.Last)
		printable.Fprintf(w, "without\t%d\tsplit by registered domain\n", d.Undated)
	}
	printable.Fprintf(w, "\nsplit\trows")
	for _, class := range datasets.ClassNames() {
		printable.Fprintf(w, "\t%s", class)
	}
	printable.Fprintf(w, "\tfamilies\n")
	for _, s := range m.Splits {
		printable.Fprintf(w, "%s\t%d", s.Name, s.Rows)
		for _, class := range datasets.ClassNames() {
			printable.Fprintf(w, "\t%d", s.ByClass[class])
		}
		printable.Fprintf(w, "\t%d\n", families(s.ByFamily))
	}
	for i, from := range slices.Sorted(maps.Keys(m.RenamedFamilies)) {
		if i == mostRenamed {
			printable.Fprintf(w, "renamed\t%d more\t%s lists them\n", len(m.RenamedFamilies)-i, datasets.ManifestName)
			break
		}
		printable.Fprintf(w, "renamed\t%s\tcounted as family %s\n", from, m.RenamedFamilies[from])
	}
	printSkipped(w, m.Skipped)
	printable.Fprintf(w, "\nfingerprint %.16s in %s\n", m.Fingerprint, dir)
	if len(emptySplits(m)) == 0 {
		printable.Fprintf(w, "Next: degas train-model%s\n", map[bool]string{false: " " + dir}[dir == "data/processed"])
	}
}

// rowsOf counts the names of a split.
func rowsOf(m *datasets.Manifest, split string) int64 {
	if s := m.Split(split); s != nil {
		return s.Rows
	}
	return 0
}

// emptySplits are those that should have names and have none.
func emptySplits(m *datasets.Manifest) (names []string) {
	for name, share := range map[string]float64{"train": 1, "validation": m.Options.Validation, "test": m.Options.Test} {
		if share > 0 && rowsOf(m, name) == 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func from(split, day string) string {
	if day == "" {
		return ""
	}
	return ", " + split + " from " + day
}

// families counts the families of a split; "" stands for rows without one.
func families(rows map[string]int64) int {
	n := len(rows)
	if _, ok := rows[""]; ok {
		n--
	}
	return n
}

// parseShare reads a share: 0.01 or 1%.
func parseShare(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	x, err := strconv.ParseFloat(number, 64)
	if percent {
		x /= 100
	}
	if err != nil || !(x >= 0 && x <= 1) {
		return 0, fmt.Errorf("%q is no share such as 1%% or 0.01", s)
	}
	return x, nil
}
