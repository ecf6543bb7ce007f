package evaluate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/prepare"
	"github.com/degas-dns/degas/evaluate"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
)

// newRun makes a data set and a run with an untrained model, without training: config, history and model as train-model
// writes them.
func newRun(t *testing.T, families int, target string) (run, data string) {
	t.Helper()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	var rows strings.Builder
	rows.WriteString("domain,class,family\n")
	for i := range 1200 {
		name := modeltest.Names(rng, 1, 12)[0]
		name = strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' {
				return r
			}
			return -1
		}, name)
		if i%2 == 0 {
			fmt.Fprintf(&rows, "b%d%s.com,benign,\n", i, name)
		} else {
			fmt.Fprintf(&rows, "m%d%s.net,dga,family%02d\n", i, name, i/2%families)
		}
	}
	write(t, filepath.Join(dir, "raw", "list.csv"), rows.String())
	data = filepath.Join(dir, "processed")
	o := prepare.Options{Seed: 1, Test: 0.4}
	m, err := prepare.Run(context.Background(), filepath.Join(dir, "raw"), data, o)
	if err != nil {
		t.Fatal(err)
	}
	spec := modeltest.Spec(rng)
	labels := model.BinaryLabels
	if target == "family" {
		labels = []string{"benign"}
		for f := range families - 1 { // the last family is unknown to the model
			labels = append(labels, fmt.Sprintf("family%02d", f))
		}
	}
	spec = spec.WithLabels(labels)
	run = filepath.Join(dir, "run")
	trained := &model.Model{Spec: spec, Weights: modeltest.Weights(&spec, rng), Threshold: 0.5, Dataset: m.Fingerprint}
	if err := trained.Save(filepath.Join(run, "model")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(run, "config.yaml"), fmt.Sprintf(
		"version: 1\narch: random\ntarget: %s\nengine: cpu\ndata: %q\noptions:\n  seed: 3\n", target, data))
	write(t, filepath.Join(run, "history.jsonl"),
		`{"epoch":1,"train_loss":0.7,"validation_loss":0.6,"validation_auc":0.6}`+"\n"+
			`{"epoch":2,"train_loss":0.5,"validation_loss":0.55,"validation_auc":0.7,"best":true}`+"\n")
	return run, data
}

// A model that learned from the built-in sample among other names says so.
func TestReportWarnsOfTheSample(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector has little to find; go test ./... runs it")
	}
	run, _ := newRun(t, 3, "binary")
	dir := filepath.Join(run, "model")
	for _, sources := range []map[string]int64{nil, {"list": 5}, {"list": 5, "sample": 3}} {
		m, err := model.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		m.Sources = sources
		if err := m.Save(dir); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "e")
		if _, err := evaluate.Run(t.Context(), evaluate.RunOptions{RunDir: run, Out: out}); err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile(filepath.Join(out, "report.md"))
		if err != nil {
			t.Fatal(err)
		}
		warned := strings.Contains(string(page), "3 of 8 training names come from the built-in sample")
		if warned != (sources["sample"] > 0) {
			t.Errorf("%v: warned %v", sources, warned)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRunWritesEverything(t *testing.T) {
	for _, tc := range []struct {
		target   string
		families int
	}{{"binary", 4}, {"family", 60}} {
		t.Run(tc.target, func(t *testing.T) {
			if testing.Short() && tc.families > 10 {
				t.Skip("a minute under the race detector; go test ./... runs it")
			}
			run, _ := newRun(t, tc.families, tc.target)
			m, err := evaluate.Run(context.Background(), evaluate.RunOptions{RunDir: run, Baselines: true})
			if err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(run, "evaluation")
			for _, plot := range []string{"training", "roc", "pr", "families", "confusion", "scores", "calibration"} {
				data, err := os.ReadFile(filepath.Join(out, "plots", plot+".png"))
				if err != nil {
					t.Fatal(err)
				}
				img, err := png.Decode(bytes.NewReader(data))
				if err != nil || img.Bounds().Dx() < 600 {
					t.Errorf("%s.png: %v, %v", plot, img.Bounds(), err)
				}
			}
			page, err := os.ReadFile(filepath.Join(out, "report.html"))
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(page, []byte("data:image/png;base64,")); n != 7 || bytes.Contains(page, []byte(`src="http`)) {
				t.Errorf("the report embeds %d pictures, want 7 and nothing from elsewhere", n)
			}
			plain, err := os.ReadFile(filepath.Join(out, "report.md"))
			if err != nil {
				t.Fatal(err)
			}
			want := []string{
				"degas process-data IN ", // it was in a folder elsewhere, which dataset.json does not name
				"| **as it is set: ",
				"| trailing dot | malicious |",
				"n-grams often win",
				"| list.csv | list |",
				"not known to degas",
				"## Benign names it is most wrong about",
				"found at 1 in 1,000 (too few to trust)",
			}
			if tc.target == "family" {
				want = append(want, "## Malicious names it is surest to be of another kind", "| family0")
			}
			if tc.target == "binary" { // more labels share what the host in front moves
				want = append(want, "| www (**changes nothing, and yet the score**) | malicious |")
			}
			for _, w := range want {
				if !bytes.Contains(plain, []byte(w)) {
					t.Errorf("report.md lacks %q:\n%s", w, plain)
				}
			}
			if n := bytes.Count(page, []byte("too few to trust")); n < 10 {
				t.Errorf("the page says %d times that there are too few names to trust: not above every column", n)
			}
			// The model is untrained and names carry their class: plain classifiers must beat it, and the page must say so.
			if len(m.Baselines) != 3 || !m.Baselines[2].Beats || m.Baselines[2].ROCAUC < 0.99 {
				t.Errorf("baselines %+v", m.Baselines)
			}
			warned := strings.Contains(strings.Join(m.Warnings, "\n"), "n-grams")
			if !bytes.Contains(page, []byte("not beaten by the model")) || !warned {
				t.Errorf("nothing says that n-grams are better: %q", m.Warnings)
			}
			data, err := os.ReadFile(filepath.Join(out, "metrics.json"))
			if err != nil {
				t.Fatal(err)
			}
			var back map[string]any
			if err := json.Unmarshal(data, &back); err != nil || int(back["names"].(float64)) != m.Names {
				t.Errorf("metrics.json: %v", err)
			}
			if tc.target == "family" && m.Unknown == 0 {
				t.Error("names of a family the model does not know were not counted")
			}
			if testing.Short() {
				return
			}
			first := data
			if _, err := evaluate.Run(context.Background(), evaluate.RunOptions{RunDir: run, Baselines: true}); err != nil {
				t.Fatal(err)
			}
			if again, _ := os.ReadFile(filepath.Join(out, "metrics.json")); !bytes.Equal(first, again) {
				t.Error("a second evaluation gave other bytes")
			}
			if left, _ := filepath.Glob(filepath.Join(run, ".degas-*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestRunKeepsEarlierOutputOnFailure(t *testing.T) {
	run, data := newRun(t, 3, "binary")
	if _, err := evaluate.Run(context.Background(), evaluate.RunOptions{RunDir: run}); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(run, "evaluation", "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	test := filepath.Join(data, "test.arrow")
	whole, err := os.ReadFile(test)
	if err != nil {
		t.Fatal(err)
	}
	whole[len(whole)/2] ^= 1
	write(t, test, string(whole))
	_, err = evaluate.Run(context.Background(), evaluate.RunOptions{RunDir: run})
	if err == nil || !strings.Contains(err.Error(), "test.arrow") {
		t.Errorf("a flipped byte: error %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := evaluate.Run(ctx, evaluate.RunOptions{RunDir: run}); err == nil {
		t.Error("a cancelled evaluation succeeded")
	}
	after, err := os.ReadFile(filepath.Join(run, "evaluation", "report.html"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the earlier report changed: %v", err)
	}
	whole[len(whole)/2] ^= 1
	write(t, test, string(whole))
	for _, tc := range []struct{ file, text, want string }{
		{"history.jsonl", "{", "history.jsonl: entry 1"},
		{"history.jsonl", "", "no epoch"},
		{"config.yaml", "- 1", "config.yaml"},
	} {
		write(t, filepath.Join(run, tc.file), tc.text)
		_, err := evaluate.Run(context.Background(), evaluate.RunOptions{RunDir: run, Data: data})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s of %q: error %v, want %q", tc.file, tc.text, err, tc.want)
		}
	}
	_, err = evaluate.Run(context.Background(), evaluate.RunOptions{RunDir: filepath.Join(run, "none")})
	if err == nil || !strings.Contains(err.Error(), "is no run") {
		t.Errorf("a directory that is no run: %v", err)
	}
}

// An evaluation replaces an earlier one, but nothing that somebody else put there.
func TestRunKeepsWhatOthersWrote(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector has little to find; go test ./... runs it")
	}
	run, _ := newRun(t, 4, "binary")
	o := evaluate.RunOptions{RunDir: run, Out: filepath.Join(t.TempDir(), "out")}
	notes := filepath.Join(o.Out, "notes.md")
	write := func() {
		if err := errors.Join(os.MkdirAll(o.Out, 0o755), os.WriteFile(notes, []byte("mine"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ before, err string }{
		{"notes", "is no evaluation, which could be replaced"},
		{"", ""},
		{"", ""},
		{"notes", "it holds notes.md, which degas did not write. Try: move that away first"},
	} {
		os.Remove(notes)
		if tc.before != "" {
			write()
		}
		_, err := evaluate.Run(t.Context(), o)
		if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("error %v, want %q", err, tc.err)
		}
		if _, err := os.Stat(notes); (err == nil) != (tc.before != "") {
			t.Errorf("notes: %v", err)
		}
	}
}

// The data set is another one by the time that Run reads the training names, or Compare the second run: no numbers of a
// mixture.
func TestDataReplacedMeanwhile(t *testing.T) {
	for name, measure := range map[string]func(run string, o evaluate.RunOptions) error{
		"evaluate": func(run string, o evaluate.RunOptions) error {
			o.RunDir, o.Baselines = run, true
			_, err := evaluate.Run(t.Context(), o)
			return err
		},
		"compare": func(run string, o evaluate.RunOptions) error {
			_, err := evaluate.Compare(t.Context(), []string{run, run}, o)
			return err
		},
	} {
		run, data := newRun(t, 3, "binary")
		replaced := false
		o := evaluate.RunOptions{Out: filepath.Join(t.TempDir(), "out"), Progress: func(_, _ int64) {
			if !replaced {
				replaced = true
				again := prepare.Options{Seed: 2, Test: 0.4}
				if _, err := prepare.Run(t.Context(), filepath.Join(data, "..", "raw"), data, again); err != nil {
					t.Error(err)
				}
			}
		}}
		err := measure(run, o)
		if !replaced || !errors.Is(err, datasets.ErrReplaced) {
			t.Errorf("%s: error %v (replaced: %t)", name, err, replaced)
		}
		if _, err := os.Stat(o.Out); err == nil {
			t.Errorf("%s: wrote its output all the same", name)
		}
	}
}
