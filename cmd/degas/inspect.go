package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/plots"
	"github.com/degas-dns/degas/evaluate/overview"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/printable"
)

func (c *command) inspect() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show what a processed data set holds",
		ArgsUsage: "[PATH]",
		Description: "PATH (data/processed) is a folder that process-data wrote, or one of its .arrow files. " +
			"Shows the schema, counts, the\nlargest families and some names of each class; " +
			"--plot draws lengths and characters. One shard means its split.\n\n" +
			"Example: degas inspect data/processed/train.arrow --samples 5 --plot train.png",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "samples", Value: 3, Usage: "names shown of each class"},
			&cli.IntFlag{Name: "families", Value: 10, Usage: "families shown, largest first; 0: all"},
			&cli.StringFlag{Name: "plot", Usage: "write a picture to `FILE.png`; for a folder one FILE-SPLIT.png a split"},
			jsonFlag,
		},
		Action: c.inspectAction,
	}
}

func (c *command) inspectAction(ctx *cli.Context) error {
	if err := arguments(ctx, 0, 1); err != nil {
		return err
	}
	if n := ctx.Int("samples"); n < 0 {
		return usagef("samples %d: must not be negative", n)
	}
	picture := ctx.String("plot")
	if picture != "" && !strings.EqualFold(filepath.Ext(picture), ".png") {
		return usagef("plot %s: only .png is written", picture)
	}
	path := argument(ctx, 0, "data/processed")
	if kind := overview.KindOf(path); kind == overview.KindRun || kind == overview.KindModel {
		return fmt.Errorf("%s is a %s, and inspect takes a data set. Try: degas show %s", path, kind, path)
	}
	m, splits, err := datasets.Locate(ctx.Context, path)
	if err != nil {
		return err
	}
	var found []*datasets.Description
	for _, split := range splits {
		d, err := m.Describe(ctx.Context, split, ctx.Int("samples"))
		if err != nil {
			return err
		}
		found = append(found, d)
	}
	if ctx.Bool("json") {
		err = c.printJSON(map[string]any{"dataset": m, "splits": found})
	} else {
		err = printDescriptions(c.out, m, found, ctx.Int("families"))
	}
	if err != nil || picture == "" {
		return err
	}
	return c.drawSplits(found, picture)
}

// drawSplits draws each split and says on stderr where.
func (c *command) drawSplits(found []*datasets.Description, picture string) error {
	for _, d := range found {
		if d.Split.Rows == 0 {
			printable.Fprintf(c.err, "picture     none: %s has no rows\n", d.Split.Name)
			continue
		}
		path := picture
		if len(found) > 1 {
			ext := filepath.Ext(picture)
			path = strings.TrimSuffix(picture, ext) + "-" + d.Split.Name + ext
		}
		if err := drawSplit(d, path); err != nil {
			return err
		}
		printable.Fprintf(c.err, "picture     %s\n", path)
	}
	return nil
}

func drawSplit(d *datasets.Description, path string) error {
	unlock, err := atomicfile.ClaimFile(path)
	if err != nil {
		return fmt.Errorf("draw %s: %w", d.Split.Name, err)
	}
	defer unlock()
	return plots.Write(d, path)
}

func printDescriptions(out io.Writer, m *datasets.Manifest, found []*datasets.Description, most int) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	printable.Fprintf(w, "data set\t%s\n", m.Dir())
	printable.Fprintf(w, "fingerprint\t%s\n", m.Fingerprint)
	printable.Fprintf(w, "split by\t%s, seed %d\n", m.Options.Split, m.Options.Seed)
	if len(m.Options.HoldoutFamilies) > 0 {
		printable.Fprintf(w, "held out\t%s\n", strings.Join(m.Options.HoldoutFamilies, ", "))
	}
	printTrainOnly(w, m.Options.TrainOnly)
	printable.Fprintf(w, "leak check\t%d different %ss, %d in two splits\n", m.Leaks.Keys, m.Leaks.Key, m.Leaks.Crossing)
	for i, d := range found {
		if i == 0 {
			printable.Fprintf(w, "\ncolumn\ttype\n")
			for _, column := range d.Schema {
				printable.Fprintf(w, "%s\t%s\n", column.Name, column.Type)
			}
		}
		printDescription(w, d, most)
	}
	return w.Flush()
}

// printTrainOnly names the sources that only the training split has.
func printTrainOnly(w io.Writer, sources []string) {
	if len(sources) > 0 {
		printable.Fprintf(w, "train only\t%s\n", strings.Join(sources, ", "))
	}
}

func printDescription(w io.Writer, d *datasets.Description, most int) {
	file := d.Split.File
	if n := len(d.Split.Shards); n > 0 {
		file = fmt.Sprintf("%d shards", n)
	}
	printable.Fprintf(w, "\n%s: %d rows in %s (%d bytes)\n", d.Split.Name, d.Split.Rows, file, d.Split.Bytes)
	printable.Fprintf(w, "class\trows\tshare\tmean length\tmedian\t95 %%\tlongest\n")
	for _, class := range datasets.ClassNames() {
		c := d.Classes[class]
		if c == nil {
			continue
		}
		printable.Fprintf(w, "%s\t%d\t%.1f %%\t%.1f\t%d\t%d\t%d\n", class, c.Rows,
			100*float64(c.Rows)/float64(max(d.Split.Rows, 1)), c.MeanLength(), c.LengthQuantile(0.5), c.LengthQuantile(0.95),
			c.LengthQuantile(1))
	}
	printLargest(w, "family", d.Split.ByFamily, most)
	printLargest(w, "source", d.Split.BySource, most)
	headed := false
	for _, class := range datasets.ClassNames() {
		c := d.Classes[class]
		if c == nil || len(c.Examples) == 0 {
			continue
		}
		if !headed {
			printable.Fprintf(w, "class\tfamily\tname\n")
			headed = true
		}
		for _, s := range c.Examples {
			printable.Fprintf(w, "%s\t%s\t%s\n", class, cmp.Or(s.Family, "-"), s.Name)
		}
	}
}

// printLargest prints the largest groups and how many more there are. Rows without a family have no line.
func printLargest(w io.Writer, what string, rows map[string]int64, most int) {
	names := slices.DeleteFunc(slices.Collect(maps.Keys(rows)), func(s string) bool { return s == "" })
	if len(names) == 0 {
		return
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(rows[b], rows[a]), strings.Compare(a, b)) })
	printable.Fprintf(w, "%s\trows\n", what)
	shown := len(names)
	if most > 0 {
		shown = min(shown, most)
	}
	for _, name := range names[:shown] {
		printable.Fprintf(w, "%s\t%d\n", name, rows[name])
	}
	if n := len(names) - shown; n > 0 {
		printable.Fprintf(w, "and %d more\t\n", n)
	}
}
