package report

import (
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model"
)

// The commands of the report are those of this run, wherever it is and whatever it was measured on.
func TestAgain(t *testing.T) {
	preset := rundir.Config{
		Arch: "cnn", Target: "binary", Engine: "cpu", Data: "data/processed",
		Options: yaml.MapSlice{{Key: "batch_size", Value: 256}, {Key: "min_rate", Value: 1e-5}},
	}
	own := preset
	own.Data, own.Arch = "my data", "mine"
	trained := rundir.History{{Epoch: 1}}
	plain := &datasets.Manifest{Input: "my raw", Options: datasets.ManifestOptions{
		Seed: 7, Validation: 0.1, Test: 0.1, Split: "domain", MaxBad: 0.01,
	}}
	odd := &datasets.Manifest{Options: datasets.ManifestOptions{
		Seed: 1, Validation: 0.1, Test: 0.1, Split: "family", MaxBad: 0.01,
		HoldoutFamilies: []string{"a", "b c"}, CapFamily: 9, Balance: datasets.BalanceBinary,
	}}
	process := "degas process-data 'my raw' data/processed"
	processOdd := "degas process-data IN data/processed" // a data set of an earlier version, or from another folder
	for _, tc := range []struct {
		evaluation Evaluation
		want       []string
	}{
		{Evaluation{
			Run: &rundir.Run{Dir: "runs/first", Config: preset}, DataDir: "data/processed", History: trained, Data: plain,
		}, []string{
			process + " --seed 7 --validation 0.1 --test 0.1 --split domain --max-bad 0.01",
			"degas train-model data/processed --arch cnn --target binary --run first --batch-size 256 --engine cpu",
			"degas evaluate-model runs/first --split test",
		}},
		{Evaluation{
			Run:     &rundir.Run{Dir: "runs/tune/trial-003", Config: own, OwnSpec: true},
			DataDir: "it's other", History: trained, Data: odd,
			Metrics: &metrics.Metrics{Generalisation: []metrics.Generalisation{
				{Format: 2, Protocol: "kfold", Epochs: 2, Folds: 3, Names: 500},
			}},
			Tunings: []rundir.Tuning{
				{Command: "calibrate", Data: "my data", Split: "validation"},
				{Command: "choose-threshold", FPR: 1e-3, Data: "third", Split: "train", Threshold: 0.9},
			},
		}, []string{
			"degas train-model 'my data' --arch runs/tune/trial-003/spec.json --target binary --run trial-003" +
				" --runs runs/tune --batch-size 256 --engine cpu",
			"degas calibrate runs/tune/trial-003 --split validation",
			"degas choose-threshold runs/tune/trial-003 --split train --fpr 0.001 --data third",
			"degas evaluate-model runs/tune/trial-003 --protocol kfold --epochs 2 --folds 3 --names 500" +
				` --data 'it'\''s other'`,
			`degas evaluate-model runs/tune/trial-003 --split test --data 'it'\''s other'`,
		}},
		{Evaluation{
			Run: &rundir.Run{Dir: "runs/held", Config: preset}, DataDir: "data/processed", Data: odd,
		}, []string{
			processOdd + " --seed 1 --validation 0.1 --test 0.1 --split family --max-bad 0.01" +
				" --holdout-family a --holdout-family 'b c' --cap-family 9 --balance",
			"degas evaluate-model runs/held --split test",
		}},
		{Evaluation{
			Run: &rundir.Run{Dir: "runs/imported", Config: preset}, DataDir: "data/processed", Data: plain,
		}, []string{
			process + " --seed 7 --validation 0.1 --test 0.1 --split domain --max-bad 0.01",
			"degas evaluate-model runs/imported --split test",
		}},
	} {
		e := tc.evaluation
		if e.Split = "test"; e.Metrics == nil {
			e.Metrics = &metrics.Metrics{}
		}
		if got := e.Again(); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", e.Run.Dir, got, tc.want)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := printable.Grouped(n); got != want {
			t.Errorf("grouped(%d) = %q, want %q", n, got, want)
		}
	}
}

// Texts of strangers form nothing in Markdown.
func TestMarkdownEscapes(t *testing.T) {
	s := drawn(1, 50, 50, 1, false)
	for i := range s.Names {
		s.Family[i], s.Source[i] = "a_b|c", "<s>"
	}
	m, err := metrics.Measure(t.Context(), s, 0.999, 1)
	if err != nil {
		t.Fatal(err)
	}
	m.Warnings = []string{"began with my_model"}
	run := &rundir.Run{Dir: "runs/my_run", Config: rundir.Config{Arch: "x*y"}, Model: &model.Model{}}
	data := &datasets.Manifest{Inputs: []datasets.InputReport{{Path: "a`b", Source: "<s>"}}}
	var page strings.Builder
	e := &Evaluation{Run: run, Sample: s, Metrics: m, Data: data, Split: "test"}
	if err := markdownPage.Execute(&page, e.page()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`# my\_run`, `x\*y, measured`, `began with my\_model`, "| a\\`b | \\<s\\> |",
		`| a\_b\|c | dga |`, `| a\_b\|c | \<s\> |`,
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("report.md lacks %q:\n%s", want, page.String())
		}
	}
}
