package report

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/internal/printable"
)

// unflagged are options that only a pipeline's file can set.
var unflagged = []string{"plateau_patience", "plateau_factor", "min_rate"}

// Again lists the commands that give this report once more, in their order. If the report used another data set than
// the run's own, the process-data step is left out. How an imported file was read is not known.
func (e *Evaluation) Again() []string {
	run := e.Run
	if run.Config.Data == "" {
		return nil
	}
	var out, data []string
	add := func(words ...string) { out = append(out, printable.Shell(words)) }
	if elsewhere := e.Elsewhere(); elsewhere != "" {
		data = []string{"--data", elsewhere}
	} else {
		add(processCommand(e.Input(), e.Data.Options, run.Config.Data)...)
	}
	if len(e.History) > 0 {
		add(trainCommand(run)...)
	}
	for _, t := range e.Tunings {
		add(tuneCommand(t, run)...)
	}
	for _, g := range e.Metrics.Generalisation {
		add(append(protocolCommand(g, run.Dir), data...)...)
	}
	add(append([]string{"degas", "evaluate-model", run.Dir, "--split", e.Split}, data...)...)
	return out
}

// unknownInput stands for the folder of raw files where dataset.json does not name it.
const unknownInput = "IN"

// processCommand is the command that made the data set in dir of the raw files in the folder in.
func processCommand(in string, o datasets.ManifestOptions, dir string) []string {
	words := []string{
		"degas", "process-data", in, dir, "--seed", fmt.Sprint(o.Seed),
		"--validation", fmt.Sprint(o.Validation), "--test", fmt.Sprint(o.Test),
		"--split", o.Split, "--max-bad", fmt.Sprint(o.MaxBad),
	}
	for _, f := range o.HoldoutFamilies {
		words = append(words, "--holdout-family", f)
	}
	for _, s := range o.Exclude {
		words = append(words, "--exclude", s)
	}
	for _, s := range o.TrainOnly {
		words = append(words, "--train-only", s)
	}
	words = withFlag(words, "cap-family", o.CapFamily)
	switch o.Balance {
	case datasets.BalanceBinary:
		words = append(words, "--balance")
	case datasets.BalanceClass:
		words = append(words, "--balance-classes")
	}
	return words
}

// trainCommand is the command that trained the run.
func trainCommand(run *rundir.Run) []string {
	c := run.Config
	words := []string{"degas", "train-model", c.Data}
	switch {
	case c.From != "":
		words = append(words, "--from", c.From)
	case run.OwnSpec:
		words = append(words, "--arch", run.SpecFile(), "--target", c.Target)
	default:
		words = append(words, "--arch", c.Arch, "--target", c.Target)
	}
	words = append(words, "--run", run.Name())
	if runs := filepath.Dir(run.Dir); runs != "runs" {
		words = append(words, "--runs", runs)
	}
	for _, o := range append(c.Options, yaml.MapItem{Key: "engine", Value: c.Engine}) {
		name := fmt.Sprint(o.Key)
		if value := fmt.Sprint(o.Value); value != "" && !slices.Contains(unflagged, name) {
			words = append(words, "--"+strings.ReplaceAll(name, "_", "-"), value)
		}
	}
	return words
}

// tuneCommand is the command that did t to the run.
func tuneCommand(t rundir.Tuning, run *rundir.Run) []string {
	command, undo, _ := strings.Cut(t.Command, " ")
	words := []string{"degas", command, run.Dir}
	if undo != "" {
		words = append(words, undo)
	}
	words = append(words, "--split", t.Split)
	if t.Command == "choose-threshold" && t.FPR == 0 {
		words = withFlag(words, "threshold", t.Threshold)
	}
	words = withFlag(words, "fpr", t.FPR)
	if t.Data != run.Config.Data {
		words = append(words, "--data", t.Data)
	}
	return words
}

// protocolCommand is the command that asked for g of the run in dir.
func protocolCommand(g metrics.Generalisation, dir string) []string {
	words := []string{"degas", "evaluate-model", dir, "--protocol", g.Protocol, "--epochs", fmt.Sprint(g.Epochs)}
	return withFlag(withFlag(words, "folds", g.Folds), "names", g.Names)
}

// withFlag appends a flag unless its value is 0.
func withFlag[T int | int64 | float64](words []string, name string, value T) []string {
	if value == 0 {
		return words
	}
	return append(words, "--"+name, fmt.Sprint(value))
}
