package evaluate

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/degas-dns/degas/datasets"
)

// unflagged are options that only a pipeline's file can set.
var unflagged = []string{"plateau_patience", "plateau_factor", "min_rate"}

// again are the commands that give this report once more, in their order; of data sets as they are where it was measured on
// another than the run's own. How an imported file was read is not known.
func (r *report) again() []string {
	if r.Config.Data == "" {
		return nil
	}
	var commands [][]string
	var data []string
	if r.Elsewhere != "" {
		data = []string{"--data", r.Elsewhere}
	} else {
		commands = append(commands, processed(r.Data.Options, r.Config.Data))
	}
	if len(r.History) > 0 {
		commands = append(commands, r.training())
	}
	for _, t := range r.Tuning {
		commands = append(commands, t.words(r.Dir, r.Config.Data))
	}
	for _, g := range r.Metrics.Generalisation {
		if words := g.command(r.Dir); words != nil {
			commands = append(commands, append(words, data...))
		}
	}
	commands = append(commands, append([]string{"degas", "evaluate-model", r.Dir, "--split", r.Split}, data...))
	var out []string
	for _, c := range commands {
		out = append(out, shell(c))
	}
	return out
}

// processed is the command that made the data set in dir of raw files in the usual place.
func processed(o datasets.ManifestOptions, dir string) []string {
	words := []string{"degas", "process-data", "data/raw", dir, "--seed", fmt.Sprint(o.Seed), "--validation", fmt.Sprint(o.Validation), "--test", fmt.Sprint(o.Test),
		"--split", o.Split, "--max-bad", fmt.Sprint(o.MaxBad)}
	for _, f := range o.HoldoutFamilies {
		words = append(words, "--holdout-family", f)
	}
	if o.CapFamily > 0 {
		words = append(words, "--cap-family", fmt.Sprint(o.CapFamily))
	}
	switch o.Balance {
	case datasets.BalanceBinary:
		words = append(words, "--balance")
	case datasets.BalanceClass:
		words = append(words, "--balance-classes")
	}
	return words
}

// training is the command that trained the run.
func (r *report) training() []string {
	c := r.Config
	if r.OwnSpec {
		c.Arch = filepath.Join(r.Dir, "spec.json")
	}
	train := []string{"degas", "train-model", c.Data, "--arch", c.Arch, "--target", c.Target, "--run", r.Run}
	if c.From != "" {
		train = []string{"degas", "train-model", c.Data, "--from", c.From, "--run", r.Run}
	}
	if runs := filepath.Dir(r.Dir); runs != "runs" {
		train = append(train, "--runs", runs)
	}
	for _, o := range append(c.Options, yaml.MapItem{Key: "engine", Value: c.Engine}) {
		name := fmt.Sprint(o.Key)
		if value := fmt.Sprint(o.Value); value != "" && !slices.Contains(unflagged, name) {
			train = append(train, "--"+strings.ReplaceAll(name, "_", "-"), value)
		}
	}
	return train
}

// plainWord is what a shell takes as it stands.
var plainWord = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// shell is a command line of words for a POSIX shell.
func shell(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if quoted[i] = w; !plainWord.MatchString(w) {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
