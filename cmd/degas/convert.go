package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/convert"
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/printable"
)

func (c *command) convert() *cli.Command {
	return &cli.Command{
		Name:      "convert",
		Usage:     "write a processed data set as CSV or Parquet",
		ArgsUsage: "IN OUT",
		Description: "IN is a folder that process-data wrote, or one of its .arrow files. If IN is a folder, OUT is\n" +
			"one too and gets one file for each split. If IN is a file, OUT is a file; its suffix chooses the format.\n" +
			"If IN is one shard of a split, OUT gets all of the split.\n\n" +
			"Example: degas convert data/processed data/csv --format csv.gz\n" +
			"         degas convert data/processed/test.arrow test.parquet",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Usage: "csv, csv.gz or parquet (what OUT ends in; csv for a folder)"},
			jsonFlag,
		},
		Action: action(2, 2, c.convertAction),
	}
}

// converted says what became of one split.
type converted struct {
	Split string `json:"split"`
	File  string `json:"file"`
	Rows  int64  `json:"rows"`
}

func (c *command) convertAction(ctx *cli.Context) error {
	in, out := ctx.Args().Get(0), ctx.Args().Get(1)
	if bucket.IsURL(out) {
		return usagef("convert: OUT, %s, is a URL. Try: a folder or a file of this machine", out)
	}
	m, splits, err := datasets.Locate(ctx.Context, in)
	if err != nil {
		return err
	}
	toFile := len(splits) < len(m.Splits)
	format, err := convertFormat(ctx.String("format"), out, toFile)
	if err != nil {
		return usageError{err}
	}
	rows := make([]int64, 1)
	if toFile {
		rows[0], err = format.WriteFile(ctx.Context, m, splits[0], out)
	} else {
		rows, err = format.Write(ctx.Context, m, splits, out)
	}
	if err != nil {
		return fmt.Errorf("convert %s: %w", in, err)
	}
	var done []converted
	for i, n := range rows {
		path := out
		if !toFile {
			path = format.File(out, splits[i])
		}
		done = append(done, converted{splits[i], path, n})
	}
	if ctx.Bool("json") {
		return c.printJSON(done)
	}
	for _, d := range done {
		if _, err := printable.Fprintf(c.out, "%s\t%d rows\n", d.File, d.Rows); err != nil {
			return err
		}
	}
	return nil
}

// convertFormat is the format asked for, or that of OUT's name.
func convertFormat(name, out string, toFile bool) (convert.Format, error) {
	if name != "" {
		return convert.ByName(name)
	}
	if f, ok := convert.ForFile(out); ok {
		if !toFile {
			return f, fmt.Errorf("convert: IN is a folder and OUT, %s, looks like a file. "+
				"Try: --format %s and a folder, or one .arrow file", out, f.Name)
		}
		return f, nil
	}
	if toFile {
		var known []string
		for _, f := range convert.Formats() {
			known = append(known, "."+f.Name)
		}
		return convert.Format{}, fmt.Errorf("convert: %s ends in none of %s. Try: --format", out, strings.Join(known, ", "))
	}
	return convert.ByName("csv")
}
