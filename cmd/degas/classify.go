package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/classify"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/internal/userfile"
)

func (c *command) classify() *cli.Command {
	return &cli.Command{
		Name:      "classify",
		Usage:     "add scores and labels to tables of names, or list the malicious ones",
		ArgsUsage: "[FILE…]",
		Description: "FILE is a table in CSV or TSV or with semicolons, JSON Lines, or a plain list, also packed with\n" +
			"gzip, zstd or bzip2. Without FILE, or for -, standard input is read. The same table is written to standard\n" +
			"output, in its order and with every byte of its cells, and with four columns (keys of JSON) more: score,\n" +
			"label, registered_domain and reason. If the table has one of these, they are called degas_score and so on.\n\n" +
			"The label is dga, tunnel or benign; allowed or blocked for a name on a list; unscored for names such as\n" +
			"printer.lan that no model is asked about; invalid for a text that is no name. Only names that the model\n" +
			"was asked about have a score. Rows that cannot be read are kept, and counted at the end.\n\n" +
			"The column of names is recognised by its title or its values; otherwise, say it with --name-column.\n\n" +
			"Example: degas classify queries.csv.gz > scored.csv\n" +
			"Example: zcat dns.jsonl.gz | degas classify --name-column dns.rrname --format rpz > rpz.zone",
		Flags: append(policyFlags(),
			&cli.StringFlag{Name: "name-column", Usage: "`TITLE` of the column of names, its number from 1, or a path of JSON"},
			&cli.StringFlag{Name: "format", Usage: "write a list of what was found, each name once; `FORMAT`: " +
				strings.Join(classify.Formats(), ", ")},
		),
		Action: c.classifyAction,
	}
}

func (c *command) classifyAction(ctx *cli.Context) error {
	p, err := policy(ctx)
	if err != nil {
		return err
	}
	job, err := classify.New(classify.Options{Cache: detect.NewCache(p, 0), NameColumn: ctx.String("name-column"),
		Format: ctx.String("format")})
	if err != nil {
		return usageError{err}
	}
	files := ctx.Args().Slice()
	if len(files) == 0 {
		files = []string{"-"}
	}
	for _, path := range files {
		if err := c.classifyFile(ctx.Context, job, path); err != nil {
			return err
		}
	}
	c.classified(&job.Stats)
	return nil
}

func (c *command) classifyFile(ctx context.Context, job *classify.Classifier, path string) error {
	if path == "-" {
		return job.Run(ctx, c.in, "standard input", c.out)
	}
	f, err := userfile.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return job.Run(ctx, f, path, c.out)
}

// classified says on standard error what there was.
func (c *command) classified(s *classify.Stats) {
	if !c.quiet {
		parts := []string{fmt.Sprintf("%d rows", s.Rows)}
		for _, class := range slices.Sorted(maps.Keys(s.Classes)) {
			parts = append(parts, fmt.Sprintf("%d %s", s.Classes[class], class))
		}
		printable.Fprintf(c.err, "%s\n", strings.Join(parts, ", "))
	}
	if s.Unreadable > 0 {
		slog.Warn("rows without a name, or that cannot be read, have no label", "rows", s.Unreadable)
	}
	if s.LeftOut > 0 {
		slog.Warn("names with bytes that a list of this format cannot hold are left out; --format csv has them",
			"rows", s.LeftOut)
	}
}
