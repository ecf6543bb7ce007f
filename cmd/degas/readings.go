package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/formats"
	"github.com/degas-dns/degas/datasets/prepare"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/printable"
)

// survey says how each file would be read.
func (c *command) survey(ctx *cli.Context) error {
	readings, skipped, err := prepare.Survey(ctx.Context, argument(ctx, 0, defaultRaw))
	if err != nil {
		return err
	}
	found := struct {
		Files   []formats.Reading  `json:"files"`
		Skipped []datasets.Skipped `json:"skipped"`
	}{readings, skipped}
	if err := c.show(ctx, found, func(w io.Writer) {
		for _, r := range readings {
			printable.Fprintf(w, "%s\n", readingLine(r))
		}
		printSkipped(w, skipped)
	}); err != nil {
		return err
	}
	return prepare.Doubts(readings, ctx.Bool("strict"))
}

// mostAnnounced bounds what announce prints. An archive may have 100,000 files.
const mostAnnounced = 200

// announce says before the work how each file is read.
func (c *command) announce(readings []formats.Reading) {
	for _, r := range readings[:min(len(readings), mostAnnounced)] {
		printable.Fprintf(c.err, "%s\n", readingLine(r))
	}
	if more := len(readings) - mostAnnounced; more > 0 {
		printable.Fprintf(c.err, "and %d files more: --dry-run lists them\n", more)
	}
}

// readingLine is one line on how a file is read. What is not certain is marked.
func readingLine(r formats.Reading) string {
	if r.Error != "" {
		return r.Path + ": cannot be read: " + r.Error
	}
	text := fmt.Sprintf("%s: %s, names: %s, class: %s", r.Path, r.Reader, r.Names, r.Class)
	var words []string
	for _, v := range r.Values[:min(len(r.Values), 6)] {
		words = append(words, fmt.Sprintf("%s = %s (%d)", v.Value, v.Class, v.Rows))
	}
	if n := len(r.Values) - len(words); n > 0 {
		words = append(words, fmt.Sprintf("and %d more", n))
	}
	if len(words) > 0 {
		rows := int64(0)
		for _, n := range r.Rows {
			rows += n
		}
		where := ""
		if rows >= formats.SurveyRows {
			where = fmt.Sprintf("in the first %d rows: ", rows)
		}
		text += " [" + where + strings.Join(words, ", ") + "]"
	}
	if r.Family != "" {
		text += ", family: " + r.Family
	}
	text += ", such as " + strings.Join(r.Examples[:min(len(r.Examples), 3)], ", ")
	if r.Guess != "" {
		text += ". NOT CERTAIN: " + r.Guess
	}
	return text
}

func (c *command) describe() *cli.Command {
	return &cli.Command{
		Name:      "describe",
		Usage:     "write a sidecar that says how a raw file is to be read",
		ArgsUsage: "FILE",
		Description: "Writes FILE" + formats.SidecarSuffix + " with what degas reads in FILE: columns, and what their\n" +
			"values mean. Edit it: process-data does as it says.\n\n" +
			"Example: degas describe data/raw/mine/export.csv",
		Action: action(1, 1, func(ctx *cli.Context) error {
			file := ctx.Args().First()
			sidecar := file + formats.SidecarSuffix
			if _, err := os.Lstat(sidecar); err == nil {
				return fmt.Errorf("%s exists. Edit it, or remove it first", sidecar)
			}
			text, open, err := formats.Describe(ctx.Context, file)
			if err != nil {
				return err
			}
			if err := atomicfile.Write(sidecar, text); err != nil {
				return err
			}
			next := "Edit it where it is wrong."
			if open {
				next = "Replace each ? by benign, dga, tunnel or skip."
			}
			if _, err := c.out.Write(printable.JSON(text)); err != nil {
				return err
			}
			_, err = printable.Fprintf(c.out, "wrote %s. %s\n", sidecar, next)
			return err
		}),
	}
}
