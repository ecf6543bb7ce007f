package evaluate

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/model"
)

// The commands of the report are those of this run, wherever it is and whatever it was measured on.
func TestAgain(t *testing.T) {
	c := runConfig{Arch: "cnn", Target: "binary", Engine: "cpu", Data: "data/processed", Options: yaml.MapSlice{{Key: "batch_size", Value: 256}, {Key: "min_rate", Value: 1e-5}}}
	trained := []Epoch{{Epoch: 1}}
	plain := &datasets.Manifest{Options: datasets.ManifestOptions{Seed: 7, Validation: 0.1, Test: 0.1, Split: "domain", MaxBad: 0.01}}
	odd := &datasets.Manifest{Options: datasets.ManifestOptions{Seed: 1, Validation: 0.1, Test: 0.1, Split: "family", MaxBad: 0.01,
		HoldoutFamilies: []string{"a", "b c"}, CapFamily: 9, Balance: datasets.BalanceBinary}}
	own := c
	own.Data, own.Arch = "my data", "mine"
	for _, tc := range []struct {
		r    report
		want []string
	}{
		{report{Config: c, Dir: "runs/first", Run: "first", Split: "test", History: trained, Model: &model.Model{}, Metrics: &Metrics{}, Data: plain}, []string{
			"degas process-data data/raw data/processed --seed 7 --validation 0.1 --test 0.1 --split domain --max-bad 0.01",
			"degas train-model data/processed --arch cnn --target binary --run first --batch-size 256 --engine cpu",
			"degas evaluate-model runs/first --split test"}},
		{report{Config: own, OwnSpec: true, Dir: "runs/tune/trial-003", Run: "trial-003", Split: "test", Elsewhere: "it's other", History: trained, Data: odd,
			Model: &model.Model{}, Metrics: &Metrics{Generalisation: []Generalisation{{Format: 2, Protocol: "kfold", Epochs: 2, Folds: 3, Names: 500}, {Format: 1, Protocol: "kfold", Epochs: 2}}},
			Tuning: []tuned{{Command: "calibrate", Data: "my data", Split: "validation"}, {"choose-threshold", 1e-3, "third", "train", 0.9}}}, []string{
			"degas train-model 'my data' --arch runs/tune/trial-003/spec.json --target binary --run trial-003 --runs runs/tune --batch-size 256 --engine cpu",
			"degas calibrate runs/tune/trial-003 --split validation", "degas choose-threshold runs/tune/trial-003 --split train --fpr 0.001 --data third",
			`degas evaluate-model runs/tune/trial-003 --protocol kfold --epochs 2 --folds 3 --names 500 --data 'it'\''s other'`,
			`degas evaluate-model runs/tune/trial-003 --split test --data 'it'\''s other'`}},
		{report{Config: c, Dir: "runs/held", Run: "held", Split: "test", Model: &model.Model{ThresholdFPR: 0.1}, Metrics: &Metrics{}, Data: odd}, []string{
			"degas process-data data/raw data/processed --seed 1 --validation 0.1 --test 0.1 --split family --max-bad 0.01 --holdout-family a --holdout-family 'b c' --cap-family 9 --balance",
			"degas evaluate-model runs/held --split test"}},
		{report{Config: c, Dir: "runs/imported", Run: "imported", Split: "test", Model: &model.Model{}, Metrics: &Metrics{}, Data: plain}, []string{
			"degas process-data data/raw data/processed --seed 7 --validation 0.1 --test 0.1 --split domain --max-bad 0.01",
			"degas evaluate-model runs/imported --split test"}},
	} {
		if got := tc.r.again(); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", tc.r.Dir, got, tc.want)
		}
	}
}

// A run's name may be a pattern to a shell.
func TestGeneralisationsOfAnyName(t *testing.T) {
	for _, name := range []string{"exp[2]", "exp[2"} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.MkdirAll(filepath.Join(dir, ProtocolDir), 0o755); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{"kfold.json": `{"protocol": "kfold", "dataset": "x"}`, ".kfold.partial": "{"} {
			if err := os.WriteFile(filepath.Join(dir, ProtocolDir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := readGeneralisations(dir, "x")
		if err != nil || len(got) != 1 || got[0].Protocol != "kfold" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if got, err := readGeneralisations(t.TempDir(), "x"); err != nil || len(got) != 0 {
		t.Errorf("no protocols: %+v, %v", got, err)
	}
}

// A model that was blended with a last epoch is that epoch's, whatever validation says.
func TestBestEpoch(t *testing.T) {
	history := []Epoch{{Epoch: 1, ValidationLoss: 0.2}, {Epoch: 2, ValidationLoss: 0.1}, {Epoch: 3, ValidationLoss: 0.3}}
	if got := bestEpoch(history); got.Epoch != 2 {
		t.Errorf("epoch %d, want that of the lowest loss", got.Epoch)
	}
	history[2].Blend = 0.5
	if got := bestEpoch(history); got.Epoch != 3 {
		t.Errorf("epoch %d, want the blended one", got.Epoch)
	}
}

// What was done to a model is told as long as its threshold is what came of it.
func TestTuning(t *testing.T) {
	run := t.TempDir()
	for _, one := range []tuned{{"calibrate", 0, "data", "validation", 0.4}, {"choose-threshold", 0.01, "data", "validation", 0.7}} {
		if err := one.note(run); err != nil {
			t.Fatal(err)
		}
	}
	for threshold, want := range map[float64]int{0.7: 2, 0.4: 0, 0.5: 0} {
		if got, err := readTuning(run, threshold); err != nil || len(got) != want {
			t.Errorf("threshold %g: %+v, %v, want %d", threshold, got, err, want)
		}
	}
	if err := os.WriteFile(filepath.Join(run, tuningFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readTuning(run, 0.7); err == nil || !strings.Contains(err.Error(), "tuning.jsonl: line 1") {
		t.Errorf("a broken file: %v", err)
	}
	if got, err := readTuning(t.TempDir(), 0.5); err != nil || got != nil {
		t.Errorf("none: %v, %v", got, err)
	}
}
