package main

import (
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/evaluate"
	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/versions"
	"github.com/degas-dns/degas/trainer"
)

func (c *command) export() *cli.Command {
	return &cli.Command{
		Name:      "export-model",
		Usage:     "write a run's model as a version directory that Keras, TensorFlow Serving and ONNX Runtime load",
		ArgsUsage: "[RUN]",
		Description: "The directory appears whole or not at all. It also holds degas' own model.json and SHA256SUMS.\n" +
			"Without RUN, it is the built-in model's.\n\n" +
			"Example: degas export-model runs/first --to models/degas/1\n" +
			"Example: degas export-model --to models/degas/1",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "version `DIR`, such as models/degas/1"},
			&cli.StringFlag{Name: "format", Value: strings.Join(export.DefaultFormats, ","),
				Usage: "formats to write, or all; list shows them"},
			&cli.BoolFlag{Name: "verify",
				Usage: "read back the files that degas can read, and compare the scores of 2,000 names"},
			&cli.BoolFlag{Name: "overwrite", Usage: "replace an existing directory"},
			jsonFlag,
		},
		Action: c.exportAction,
	}
}

func (c *command) exportAction(ctx *cli.Context) error {
	if ctx.String("format") == "list" {
		return c.listFormats(ctx)
	}
	if err := arguments(ctx, 0, 1); err != nil {
		return err
	}
	run, to := modelArgument(ctx), ctx.String("to")
	if to == "" {
		return usagef("export-model: --to DIR is missing. Try: --to models/degas/1")
	}
	formats := strings.Split(ctx.String("format"), ",")
	if ctx.String("format") == "all" {
		formats = nil
		for _, f := range export.Formats() {
			formats = append(formats, f.Name)
		}
	}
	for _, name := range formats {
		if _, err := export.Lookup(name); err != nil {
			return usageError{err}
		}
	}
	m, err := model.LoadNamed(run)
	if err != nil {
		return err
	}
	metrics, leftOut, err := evaluate.ReadSummary(run)
	if err != nil {
		return err
	}
	if _, ok := versions.Number(filepath.Base(to)); !ok {
		slog.Warn("TensorFlow Serving and publish-model look for versions in directories that are numbers, "+
			"such as models/degas/1", "to", to)
	}
	options := export.Options{Formats: formats, Metrics: metrics, LeftOut: leftOut, Overwrite: ctx.Bool("overwrite")}
	if _, err := os.Stat(filepath.Join(run, trainer.ConfigFile)); err == nil { // a run, and no export or folder of one
		options.Title = filepath.Base(filepath.Clean(run))
	}
	var done struct {
		export.Report
		Verified *export.Verified `json:"verified,omitempty"`
	}
	if done.Report, err = export.Export(ctx.Context, m, to, options); err != nil {
		return err
	}
	if ctx.Bool("verify") {
		v, err := export.Verify(ctx.Context, to, m)
		if err != nil {
			return err
		}
		done.Verified = &v
	}
	return c.show(ctx, done, func(w io.Writer) {
		for _, f := range done.Files {
			printable.Fprintf(w, "%s\t%d bytes\t%.16s\n", filepath.Join(to, f.Path), f.Bytes, f.SHA256)
		}
		if v := done.Verified; v != nil {
			for _, file := range slices.Sorted(maps.Keys(v.Differences)) {
				printable.Fprintf(w, "verified\t%s\tlargest difference %.1g over %d names\n", file, v.Differences[file], v.Names)
			}
			if len(v.Unread) > 0 {
				printable.Fprintf(w, "not read back\t%s\tthey need their runtimes: scripts/verify-exports %s\n",
					strings.Join(v.Unread, ", "), to)
			}
		}
	})
}

func (c *command) listFormats(ctx *cli.Context) error {
	formats := export.Formats()
	return c.show(ctx, formats, func(w io.Writer) {
		printable.Fprintf(w, "FORMAT\tFILES\tREAD BY\tHOLDS\n")
		for _, f := range formats {
			printable.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Name, strings.Join(f.Files, ", "), f.Readers, f.Holds)
		}
	})
}
