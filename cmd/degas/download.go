package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/datasets/fetch"
	"github.com/degas-dns/degas/datasets/sources"
	"github.com/degas-dns/degas/internal/printable"
)

func (c *command) download() *cli.Command {
	return &cli.Command{
		Name:      "download-data",
		Usage:     "fetch public data sets, or write the built-in sample",
		ArgsUsage: "[SOURCE…|URL [OUT]]",
		Description: "Without a SOURCE, writes the built-in sample, which needs no network and is for trying degas out.\n" +
			"Files go to data/raw/<source>. An interrupted download resumes where it stopped.\n\n" +
			"console:URL is what people decided in a degas serve, and console:FILE a CSV that it wrote. A token of scope\n" +
			"decide comes from the URL (https://x:TOKEN@HOST), from --token-file, or from the environment, " + tokenEnv +
			".\n\n" +
			"Example: degas download-data tranco umudga\n" +
			"Example: degas download-data console:http://127.0.0.1:8501",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "list", Usage: "show the known sources and stop"},
			&cli.StringFlag{Name: "out", Usage: "`DIR` to write to (data/raw)"},
			&cli.StringFlag{Name: "from", Usage: "take the files from `DIR` instead of the network"},
			&cli.StringFlag{Name: "mirror", Usage: "URL prefix that stands in for the publishers' hosts"},
			&cli.BoolFlag{Name: "update-checksums", Usage: "accept and record changed files"},
			&cli.StringFlag{Name: "format", Usage: "of a URL's file, as process-data names its readers"},
			&cli.StringFlag{Name: "class", Usage: "of a URL's names: benign, dga or tunnel"},
			&cli.StringFlag{Name: "family", Usage: "of a URL's names"},
			tokenFlag,
			&cli.StringFlag{Name: "token-file", Usage: "`FILE` with the token of console:URL"},
			jsonFlag,
		},
		Action: c.downloadAction,
	}
}

func (c *command) downloadAction(ctx *cli.Context) error {
	if ctx.Bool("list") {
		return c.listSources(ctx)
	}
	args, out := downloadArgs(ctx.Args().Slice(), ctx.String("out"))
	for _, arg := range args {
		if err := sources.Check(arg); err != nil {
			if strings.ContainsAny(arg, `/\`) || isThere(arg) {
				err = fmt.Errorf("%w. For a folder, write --out %s", err, arg)
			}
			return usageError{err}
		}
	}
	if len(args) == 0 {
		slog.Warn("no source is named, so this writes the built-in sample, which is for trying degas out. " +
			"Try: degas download-data --list")
	}
	token, err := tokenOf(ctx)
	if err != nil {
		return fmt.Errorf("download-data: %w", err)
	}
	bar := c.progress()
	report, err := sources.Download(ctx.Context, out, args, sources.Options{
		From: ctx.String("from"), Mirror: ctx.String("mirror"), UpdateChecksums: ctx.Bool("update-checksums"),
		Format: ctx.String("format"), Class: ctx.String("class"), Family: ctx.String("family"), Progress: bar.fetching(),
		Token: token,
	})
	bar.close()
	if err != nil {
		return err
	}
	if ctx.Bool("json") {
		return c.printJSON(report)
	}
	for _, p := range report.Paths {
		printable.Fprintf(c.out, "%s\n", filepath.Join(out, filepath.FromSlash(p)))
	}
	for _, label := range slices.Sorted(maps.Keys(report.Decisions)) {
		printable.Fprintf(c.out, "decisions  %-10s %d\n", label, report.Decisions[label])
	}
	printable.Fprintf(c.out, "\nNext: degas process-data%s\n", map[bool]string{false: " " + out}[out == defaultRaw])
	return nil
}

func isThere(path string) bool { _, err := os.Stat(path); return err == nil }

const defaultRaw = "data/raw"

// downloadArgs tells sources from the output directory: as in the original, "URL data/raw" names one after a URL.
func downloadArgs(args []string, out string) ([]string, string) {
	if out == "" && len(args) == 2 && strings.Contains(args[0], "://") && !strings.Contains(args[1], "://") {
		if _, err := sources.Lookup(args[1]); err != nil {
			return args[:1], args[1]
		}
	}
	return args, cmp.Or(out, defaultRaw)
}

func (c *command) listSources(ctx *cli.Context) error {
	type row struct {
		Name     string `json:"name"`
		Title    string `json:"title"`
		Rows     int64  `json:"rows,omitempty"`
		Bytes    int64  `json:"bytes,omitempty"`
		Licence  string `json:"licence"`
		Citation string `json:"citation"`
		Homepage string `json:"homepage"`
		Good     string `json:"good_for"`
		Dead     string `json:"dead,omitempty"`
	}
	var rows []row
	for _, s := range sources.All() {
		rows = append(rows, row{s.Name, s.Title, s.Rows, s.Bytes, s.Licence, s.Citation, s.Homepage, s.Good, s.Dead})
	}
	return c.show(ctx, rows, func(w io.Writer) {
		printable.Fprintf(w, "NAME\tROWS\tSIZE\tLICENCE\tGOOD FOR\n")
		for _, r := range rows {
			good := r.Good
			if r.Dead != "" {
				good += ". " + r.Dead
			}
			printable.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n",
				r.Name, shortOrDash(r.Rows, ""), shortOrDash(r.Bytes, "B"), r.Licence, good)
		}
		printable.Fprintf(w, "\nCitations and addresses: degas download-data --list --json\n")
	})
}

func shortOrDash(n int64, unit string) string {
	if n == 0 {
		return "-"
	}
	return short(float64(n)) + unit
}

// fetching shows downloads: a bar a file, and one line for what a person should know.
func (p *progress) fetching() func(fetch.Event) {
	return func(e fetch.Event) {
		note := ""
		switch e.Kind {
		case fetch.EventRetry:
			p.line("%s: %v; again in %s", e.Path, e.Err, e.Wait)
			note = "retrying"
		case fetch.EventDone:
			p.line("%s: %sB", e.Path, short(float64(e.Bytes)))
			e.Size = max(e.Bytes, 1)
		case fetch.EventExtract:
			note = "unpacking"
		}
		p.set(e.Path, "B", e.Bytes, e.Size, note)
	}
}
