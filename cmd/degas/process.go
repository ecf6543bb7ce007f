package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/degas-dns/degas/datasets"
	"github.com/urfave/cli/v2"
)

func (c *command) process() *cli.Command {
	return &cli.Command{
		Name:      "process-data",
		Usage:     "clean, deduplicate and split raw files into Arrow",
		ArgsUsage: "[IN] [OUT]",
		Description: "IN (data/raw) is searched for files of known formats. OUT (data/processed) gets train.arrow, validation.arrow,\n" +
			"test.arrow and dataset.json. No registered domain is in two splits.\n\n" +
			"Example: degas process-data data/raw data/processed --seed 7",
		Flags: []cli.Flag{
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "of the split"},
			&cli.Float64Flag{Name: "validation", Value: 0.1, Usage: "share of the names"},
			&cli.Float64Flag{Name: "test", Value: 0.1, Usage: "share of the names"},
			&cli.StringFlag{Name: "split", Value: "domain", Usage: "domain, random, family or source"},
			&cli.StringSliceFlag{Name: "holdout-family", Usage: "families kept for the test split alone"},
			&cli.StringFlag{Name: "memory", Value: "2GiB", Usage: "bound on the memory used"},
			&cli.StringFlag{Name: "max-bad", Value: "1%", Usage: "stop when a larger share of a file is refused"},
			&cli.StringFlag{Name: "compression", Value: "none", Usage: "none, lz4 or zstd"},
			&cli.IntFlag{Name: "workers", Usage: "0: one a core; the output does not depend on it"},
			jsonFlag,
		},
		Action: c.processAction,
	}
}

func (c *command) processAction(ctx *cli.Context) error {
	if err := arguments(ctx, 0, 2); err != nil {
		return err
	}
	memory, err := parseBytes(ctx.String("memory"))
	if err != nil {
		return usagef("memory: %w", err)
	}
	maxBad, err := parseShare(ctx.String("max-bad"))
	if err != nil {
		return usagef("max-bad: %w", err)
	}
	bar := c.progress()
	defer bar.close()
	out := argument(ctx, 1, "data/processed")
	o := datasets.ProcessOptions{
		Seed: ctx.Uint64("seed"), Validation: share(ctx.Float64("validation")), Test: share(ctx.Float64("test")), Memory: memory, MaxBad: share(maxBad),
		Workers: ctx.Int("workers"), Compression: ctx.String("compression"), Split: ctx.String("split"),
		HoldoutFamilies: ctx.StringSlice("holdout-family"), Version: release, Progress: bar.counting("process", "B"),
	}
	if err := o.Check(); err != nil {
		return usageError{err}
	}
	m, err := datasets.Process(ctx.Context, argument(ctx, 0, defaultRaw), out, o)
	bar.close()
	if err != nil {
		return err
	}
	if ctx.Bool("json") {
		return c.printJSON(m)
	}
	return printManifest(c.out, out, m)
}

// printManifest prints what went in, what was left out and what came of it.
func printManifest(out io.Writer, dir string, m *datasets.Manifest) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	fmt.Fprintf(w, "rows in\t%d\tfrom %d files\n", m.RowsIn, len(m.Inputs))
	for _, reason := range slices.Sorted(maps.Keys(m.RefusedBy)) {
		fmt.Fprintf(w, "refused\t%d\t%s\n", m.RefusedBy[reason], reason)
	}
	fmt.Fprintf(w, "duplicates\t%d\n", m.Duplicates)
	fmt.Fprintf(w, "conflicts\t%d\tnames with both labels, listed in dataset.json\n", m.Conflicts.Names)
	fmt.Fprintf(w, "kept\t%d\n\n", m.Kept)
	fmt.Fprintln(w, "split\trows\t"+strings.Join(datasets.ClassNames(), "\t")+"\tfamilies")
	for _, s := range m.Splits {
		fmt.Fprintf(w, "%s\t%d", s.Name, s.Rows)
		for _, class := range datasets.ClassNames() {
			fmt.Fprintf(w, "\t%d", s.ByClass[class])
		}
		fmt.Fprintf(w, "\t%d\n", families(s.ByFamily))
	}
	for _, s := range m.Skipped {
		fmt.Fprintf(w, "skipped\t%s\t%s\n", s.Path, s.Reason)
	}
	fmt.Fprintf(w, "\nfingerprint %.16s in %s\nNext: degas train-model%s\n", m.Fingerprint, dir, map[bool]string{false: " " + dir}[dir == "data/processed"])
	return w.Flush()
}

// share says "none" for a flag's 0 as ProcessOptions does, whose own 0 stands for the default.
func share(x float64) float64 {
	if x == 0 {
		return -1
	}
	return x
}

// families counts the families of a split; "" stands for rows without one.
func families(rows map[string]int64) int {
	n := len(rows)
	if _, ok := rows[""]; ok {
		n--
	}
	return n
}
