package main

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/export/importer"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
)

func (c *command) importModel() *cli.Command {
	return &cli.Command{
		Name:      "import-model",
		Usage:     "make a run of a Keras model, to measure, train, export and serve it",
		ArgsUsage: "FILE.h5",
		Description: "FILE.h5 is a file that Keras 1 to 3 wrote with model.save. The run gets its model. evaluate-model\n" +
			"measures the run, train-model --from trains it further, and export-model and predict use it.\n\n" +
			"A Keras file does not say how names become codes. Without --encoder and --alphabet, degas guesses it from the\n" +
			"layers and says how sure it is. For --alphabet, write a JSON file:\n\n" +
			`  {"alphabet": "abcdefghijklmnopqrstuvwxyz0123456789-_.", "first code": 1, "pad": 0, "unknown": 0,` + "\n" +
			`   "window": 64, "pad_side": "left", "keep": "last"}` + "\n\n" +
			"The first character gets the first code, the next one the code after it. Short names are padded on pad_side,\n" +
			"left or right; of names longer than the window, the first or last characters are kept. unknown is the code\n" +
			"of any other character; if you leave it out, it is pad.\n\n" +
			"Example: degas import-model nyu_model.h5 --encoder degas --run original",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "encoder",
				Usage: "how names become codes: " + strings.Join(model.Encoders(), ", ") + " (default: a guess)"},
			&cli.StringFlag{Name: "alphabet", Usage: "JSON `FILE` that says how names become codes, where no encoder fits"},
			&cli.StringSliceFlag{Name: "labels",
				Usage: "names of the outputs in order, the benign one first (default: benign, malicious)"},
			&cli.Float64Flag{Name: "threshold", Value: 0.5, Usage: "lowest score that is not labelled benign"},
			&cli.StringFlag{Name: "data", Value: "data/processed", Usage: "`DIR` of the data set that evaluate-model uses"},
			&cli.StringFlag{Name: "run", Usage: "`NAME` of the run (default: the file's name and the next free number)"},
			&cli.StringFlag{Name: "runs", Value: "runs", Usage: "`DIR` that holds runs"},
			jsonFlag,
		},
		Action: action(1, 1, c.importAction),
	}
}

type imported struct {
	Run        string        `json:"run"`
	Parameters int           `json:"parameters"`
	Labels     []string      `json:"labels"`
	Encoder    model.Encoder `json:"encoder"`
	Guess      string        `json:"guess,omitempty"` // of the encoder, and how sure it is
}

func (c *command) importAction(ctx *cli.Context) error {
	own, err := encoderOptions(ctx)
	if err != nil {
		return err
	}
	if t := ctx.Float64("threshold"); !(t > 0 && t < 1) {
		return usagef("threshold %g: must be between 0 and 1", t)
	}
	file := ctx.Args().First()
	o := importer.Options{
		Encoder:  ctx.String("encoder"),
		Alphabet: own,
		Labels:   ctx.StringSlice("labels"),
		Producer: "degas " + release + " import-model",
	}
	if ctx.IsSet("threshold") { // else the file's own, if it has one
		o.Threshold = ctx.Float64("threshold")
	}
	m, from, err := importer.Read(file, o)
	if err != nil {
		return err
	}
	base := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	dir, err := runDir(ctx.String("runs"), ctx.String("run"), base, false)
	if err != nil {
		return err
	}
	labels := m.Spec.Labels
	target := trainer.TargetOf(labels)
	source := filepath.Base(file) + ", sha256 " + from.SHA256
	if err := trainer.Import(dir, m, target, source, ctx.String("data"), release); err != nil {
		return err
	}
	strange := unmatched(ctx.Context, labels, target, ctx.String("data"))
	if len(strange) > 0 {
		slog.Warn("evaluate-model finds no names for these labels: it knows benign, which comes first, and malicious, "+
			"or dga and tunnel, or the data set's families. Try: --labels",
			"labels", labelsShort(strange), "data", ctx.String("data"))
	}
	done := imported{Run: dir, Labels: labels, Encoder: m.Spec.Encoder, Guess: from.Guess, Parameters: m.Weights.Size()}
	next := "degas predict " + dir + " NAME"
	if labels[0] == model.BinaryLabels[0] && len(strange) < len(labels)-1 {
		next = "degas evaluate-model " + dir + dataFlag(ctx.Context, ctx.String("data")) + ", or " + next
	}
	return c.show(ctx, done, func(w io.Writer) {
		printable.Fprintf(w, "run         %s\nmodel       %s, %d parameters, %s\ninput       %d codes\n",
			dir, m.Spec.Name, done.Parameters,
			strings.Join(labelsShort(labels), ", "), m.Spec.Encoder.Window)
		if done.Guess != "" {
			printable.Fprintf(w, "encoder     a guess: %s\n            Compare a score that you know. "+
				"To settle it: --encoder or --alphabet\n", done.Guess)
		}
		printable.Fprintf(w, "\nNext: %s\n", next)
	})
}

// dataFlag is what evaluate-model needs for a run that goes with the data set in dir: nothing if there is one.
func dataFlag(ctx context.Context, dir string) string {
	if _, err := datasets.ReadManifest(ctx, dir); err != nil {
		return " --data DIR"
	}
	return ""
}

// encoderOptions checks --encoder and reads --alphabet.
func encoderOptions(ctx *cli.Context) (own *model.Encoder, err error) {
	name, file := ctx.String("encoder"), ctx.String("alphabet")
	if name != "" {
		if _, err := model.NamedEncoder(name); err != nil {
			return nil, usageError{err}
		}
	}
	switch {
	case file == "":
		return nil, nil
	case name != "":
		return nil, usagef("--encoder and --alphabet both say how names become codes: leave one out")
	}
	return importer.ReadAlphabet(file)
}

// unmatched returns the labels that evaluate-model finds no names for. If there is a data set at data, families must be
// in it. Otherwise a family may have any name but those that the importer invents.
func unmatched(ctx context.Context, labels []string, target, data string) []string {
	var families []string // nil where that is not known
	if m, err := datasets.ReadManifest(ctx, data); err == nil {
		families = datasets.ClassNames() // of names without a family
		for _, s := range m.Splits {
			families = slices.AppendSeq(families, maps.Keys(s.ByFamily))
		}
	}
	var out []string
	for i, l := range labels {
		known := target != trainer.TargetFamily || slices.Contains(families, l) ||
			families == nil && !strings.HasPrefix(l, "label_")
		if benign := l == model.BinaryLabels[0]; benign != (i == 0) || !benign && !known {
			out = append(out, l)
		}
	}
	return out
}
