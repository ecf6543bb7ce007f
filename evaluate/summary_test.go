package evaluate_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/evaluate"
	"github.com/degas-dns/degas/model"
)

// Only numbers of this very model on the test split of its own data go on its label.
func TestSummaryIsOfTheModelAsItIs(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector has little to find; go test ./... runs it")
	}
	run, _ := newRun(t, 3, "binary")
	calm(t, run)
	measure := func(split string) {
		t.Helper()
		if _, err := evaluate.Run(context.Background(), evaluate.RunOptions{RunDir: run, Split: split}); err != nil {
			t.Fatal(err)
		}
	}
	summary := func(what string, there bool) {
		t.Helper()
		m, leftOut, err := evaluate.ReadSummary(run)
		if err != nil || (m["names"] > 0) != there || (leftOut == "") != (there || what == "not measured") {
			t.Errorf("%s: %v, %q, %v", what, m, leftOut, err)
		}
	}
	summary("not measured", false)
	measure("test")
	summary("measured", true)
	measure("train")
	summary("measured on what it learned", false)
	measure("test")
	if _, err := evaluate.ChooseThreshold(context.Background(), evaluate.RunOptions{RunDir: run}, 0.2); err != nil {
		t.Fatal(err)
	}
	summary("measured at another threshold", false)
	measure("test")
	summary("measured again", true)
	m, err := model.Load(filepath.Join(run, "model"))
	if err != nil {
		t.Fatal(err)
	}
	m.Dataset = "another"
	if err := m.Save(filepath.Join(run, "model")); err != nil {
		t.Fatal(err)
	}
	measure("test")
	summary("trained on another data set", false)
}

// A model that calls nothing malicious has no precision: the label goes without, and the export is made.
func TestSummaryWithoutPrecision(t *testing.T) {
	if testing.Short() {
		t.Skip("draws a report; go test ./... runs it")
	}
	run, _ := newRun(t, 3, "binary")
	m, err := model.Load(filepath.Join(run, "model"))
	if err != nil {
		t.Fatal(err)
	}
	m.Threshold = math.Nextafter(1, 0)
	params, err := m.Spec.Params()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range params[len(params)-2:] {
		clear(m.Weights[p.Name].Data) // every score is a half
	}
	if err := m.Save(filepath.Join(run, "model")); err != nil {
		t.Fatal(err)
	}
	if _, err := evaluate.Run(context.Background(), evaluate.RunOptions{RunDir: run}); err != nil {
		t.Fatal(err)
	}
	got, _, err := evaluate.ReadSummary(run)
	if _, there := got["precision"]; err != nil || there || got["accuracy"] == 0 {
		t.Errorf("%v, %v; want no precision", got, err)
	}
	if _, err := json.Marshal(got); err != nil {
		t.Error(err)
	}
}

// Nothing but an earlier evaluation is replaced.
func TestRunReplacesEvaluationsAlone(t *testing.T) {
	run, data := newRun(t, 3, "binary")
	note := filepath.Join(t.TempDir(), "notes.md")
	write(t, note, "mine")
	for _, out := range []string{run, data, note} {
		_, err := evaluate.Run(context.Background(), evaluate.RunOptions{RunDir: run, Out: out})
		if err == nil || !strings.Contains(err.Error(), out) {
			t.Errorf("out %s: %v", out, err)
		}
	}
	for _, kept := range []string{note, filepath.Join(run, "config.yaml"), filepath.Join(data, "test.arrow")} {
		if _, err := os.Stat(kept); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(run, "evaluation")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an evaluation was written: %v", err)
	}
}

// What a reader cannot see from the numbers is said: weights that began elsewhere, and a model that its training has
// left behind.
func TestWarningsAboutTraining(t *testing.T) {
	if testing.Short() {
		t.Skip("draws four reports, half a minute under the race detector; go test ./... runs it")
	}
	run, _ := newRun(t, 3, "binary")
	m, err := model.Load(filepath.Join(run, "model"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(run, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		more  string
		epoch int
		want  string
	}{
		{"", 2, ""},
		{"from: runs/other\nfingerprint: " + m.Dataset + "\nfrom_dataset: " + m.Dataset + "\n", 2, ""},
		{"from: runs/other\nfingerprint: " + m.Dataset + "\n", 2, "began with the weights of runs/other"},
		{"", 1, "The model is of epoch 1. Training went on to epoch 2, whose best is 2"},
	} {
		write(t, filepath.Join(run, "config.yaml"), string(config)+tc.more)
		m.Epoch = tc.epoch
		if err := m.Save(filepath.Join(run, "model")); err != nil {
			t.Fatal(err)
		}
		got, err := evaluate.Run(context.Background(), evaluate.RunOptions{RunDir: run})
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(got.Warnings, "\n")
		warned := strings.Contains(text, "began with") || strings.Contains(text, "is of epoch")
		if warned != (tc.want != "") || !strings.Contains(text, tc.want) {
			t.Errorf("%q, epoch %d: %q, want %q", tc.more, tc.epoch, text, tc.want)
		}
	}
}
