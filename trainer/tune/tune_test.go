package tune

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/prepare"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"

	_ "go4.org/unsafe/assume-no-moving-gc"

	_ "github.com/degas-dns/degas/trainer/graph"
)

// config writes a data set and a search over a small network.
func config(t *testing.T, schedule string) *Config {
	t.Helper()
	dir := t.TempDir()
	var rows strings.Builder
	rows.WriteString("domain,class,family\n")
	for i := range 1200 {
		if i%2 == 0 {
			fmt.Fprintf(&rows, "house%dgarden.com,benign,\n", i)
		} else {
			fmt.Fprintf(&rows, "xq%dzjk%d.net,dga,random\n", i*7919%1000, i)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "raw"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "raw/list.csv"), []byte(rows.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "processed")
	if _, err := prepare.Run(context.Background(), filepath.Join(dir, "raw"), data,
		prepare.Options{Seed: 1, Test: 0.2, Validation: 0.2}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tune.yaml")
	text := fmt.Sprintf(`version: 1
data: %q
out: %q
trials: 4
min_epochs: 1
max_epochs: 4
eta: 2
options: {schedule: %s, workers: 1}
search:
  learning_rate: {log: [0.0001, 0.01]}
  batch_size: {choice: [64, 128]}
  dropout: {uniform: [0.1, 0.5]}
  filters: {choice: [8]}
  units: {choice: [8]}
  embedding: {choice: [8]}
  window: {choice: [24]}
`, data, filepath.Join(dir, "out"), schedule)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := ReadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	c.Release = "9.9"
	return c
}

// Four trials of one epoch, two of two, one of four; stopped in between and called again, the search ends alike.
func TestHalvingResumes(t *testing.T) {
	schedules := []string{"plateau", "cosine"}
	if testing.Short() {
		schedules = schedules[:1]
	}
	for _, schedule := range schedules {
		t.Run(schedule, func(t *testing.T) {
			c := config(t, schedule)
			var epochs []int
			whole, err := Run(context.Background(), c, Observer{Trial: func(_ Trial, e int) { epochs = append(epochs, e) }})
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(epochs) != "[1 1 1 1 2 2 4]" {
				t.Errorf("trainings of %v epochs", epochs)
			}
			if len(whole.Trials) != 4 || whole.Trials[0].Epochs < 2 {
				t.Errorf("%d trials, the best of %d epochs", len(whole.Trials), whole.Trials[0].Epochs)
			}
			again := *c
			again.Out = c.Out + "-again"
			ctx, cancel := context.WithCancel(context.Background())
			n := 0
			_, err = Run(ctx, &again, Observer{Trial: func(Trial, int) {
				if n++; n == 6 {
					cancel()
				}
			}})
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("stopped: %v", err)
			}
			resumed, err := Run(context.Background(), &again, Observer{})
			if err != nil {
				t.Fatal(err)
			}
			sameTrials(t, "interrupted", resumed, whole)
			more := *c // goes on with trials that have come further
			more.Trials = 5
			fresh := more
			fresh.Out = c.Out + "-fresh"
			bigger, err := Run(context.Background(), &more, Observer{})
			if err != nil {
				t.Fatal(err)
			}
			anew, err := Run(context.Background(), &fresh, Observer{})
			if err != nil {
				t.Fatal(err)
			}
			sameTrials(t, "five in place of four", bigger, anew)
			if made, err := trainer.ReadConfig(whole.Trials[0].Run); err != nil || made.Degas != "9.9" {
				t.Errorf("a trial of release %q, want 9.9: %v", made.Degas, err)
			}
			other := *c
			other.Seed++
			if _, err := Run(context.Background(), &other, Observer{}); err == nil ||
				!strings.Contains(err.Error(), "another search") {
				t.Errorf("another search over the trials of this one: %v", err)
			}
			for _, f := range []string{"tune.json", "trials.png"} {
				if _, err := os.Stat(filepath.Join(c.Out, f)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// sameTrials makes sure that a search ended as one in a single go.
func sameTrials(t *testing.T, what string, got, want *Result) {
	t.Helper()
	for i, o := range want.Trials {
		if r := got.Trials[i]; r.Number != o.Number || r.Loss != o.Loss || r.Epochs != o.Epochs {
			t.Errorf("%s, place %d: trial %d, loss %g, %d epochs; in one go %d, %g, %d", what, i, r.Number, r.Loss, r.Epochs,
				o.Number, o.Loss, o.Epochs)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	for search, want := range map[string]string{
		"{}":                                       "nothing to find",
		"{arch: {choice: [transformer]}}":          "unknown preset",
		"{lerning_rate: {log: [1, 2]}}":            "did you mean learning_rate?",
		"{lr: {log: [1, 2]}}":                      `line 2: search: unknown key "lr", known are: arch, epochs, batch_size`,
		"{batch_size: {choice: [64, x]}}":          "tune.yaml: search: batch_size: batch_size: want a whole number, not x",
		"{arch: {choice: [cnn, cm]}}":              `unknown preset "cm"`,
		"{learning_rate: {log: [0, 1]}}":           "above 0",
		"{learning_rate: {log: [2, 1]}}":           "lower one first",
		"{epochs: {choice: [1, 2]}}":               "Try: min_epochs",
		"{blend: {choice: [0, 1]}}":                "validation does not hold",
		"{dropout: {}}":                            "give one of",
		"{dropout: {choice: [x]}}":                 "is no number",
		"{window: {choice: [1]}}":                  "longer than its input",
		"{batch_size: {choice: [0]}}":              "batch-size 0",
		"{dropout: {choice: [1], uniform: [0,1]}}": "give one of",
	} {
		path := filepath.Join(t.TempDir(), "tune.yaml")
		if err := os.WriteFile(path, []byte("version: 1\nsearch: "+search+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadConfig(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("search %s: error %v, want %q", search, err, want)
		}
	}
}

// What belongs elsewhere is said to.
func TestMisplaced(t *testing.T) {
	const search = "search: {dropout: {choice: [0.1]}}\n"
	for text, want := range map[string]string{
		search:                               "version is missing. Write: version: 1",
		"version: 2\n" + search:              "version 2, this degas reads 1",
		"version: 1\nnames: 5000\n" + search: `line 2: unknown field "names". It belongs in options: {names: …}`,
		"version: 1\nunits: 64\n" + search:   `line 2: unknown field "units". It belongs in search: {units: …}`,
		"version: 1\nbudget: 10\n" + search:  "line 2: budget: want a duration such as 10m, not 10",
		"version: 1\nname: x\ntrain: {}\n":   "this is a config of degas run. Try: degas run ",
	} {
		path := filepath.Join(t.TempDir(), "tune.yaml")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadConfig(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

// Without arch, the search is about auto.
func TestSearchOfAutoBeginsAtItsRecipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tune.yaml")
	if err := os.WriteFile(path, []byte("version: 1\noptions: {augment: 0}\nsearch: {dropout: {choice: [0.1]}}\n"),
		0o644); err != nil {
		t.Fatal(err)
	}
	c, err := ReadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	_, want := trainer.Recipe(trainer.Auto, trainer.TargetBinary)
	want.Augment, want.Blend = 0, 0
	if c.Options != want {
		t.Errorf("options %+v, want %+v", c.Options, want)
	}
}

// A run whose config.yaml names an engine of earlier versions is resumed with the CPU engine.
func TestRunOfAFormerEngineResumes(t *testing.T) {
	c := config(t, "plateau")
	trial, err := c.trial(0)
	if err != nil {
		t.Fatal(err)
	}
	r := trainer.Request{Dir: c.Out, Spec: trial.spec, Config: trainer.Config{
		Arch: trial.arch, Target: c.Target, Engine: "cpu", Data: c.Data, Options: trial.options,
	}}
	if _, err := trainer.Train(t.Context(), r, trainer.Observer{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.Out, trainer.ConfigFile)
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), "engine: cpu\n") {
		t.Fatalf("%s, %v", text, err)
	}
	text = []byte(strings.Replace(string(text), "engine: cpu\n", "engine: reference\n", 1))
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	old, err := trainer.ReadConfig(c.Out)
	if err != nil {
		t.Fatal(err)
	}
	old.Options.Epochs++
	s, err := trainer.Train(t.Context(), trainer.Request{Dir: c.Out, Config: *old, Resume: true}, trainer.Observer{})
	if err != nil || s.Epochs != 2 {
		t.Errorf("%+v, %v, want 2 epochs", s, err)
	}
}

// A model keeps what its names came from, and a model that began with its weights adds that to its own.
func TestModelKeepsItsSources(t *testing.T) {
	c := config(t, "plateau")
	trial, err := c.trial(0)
	if err != nil {
		t.Fatal(err)
	}
	data, err := datasets.ReadManifest(t.Context(), c.Data)
	if err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(c.Out, "first")
	for times, from := range []string{"", first} {
		r := trainer.Request{Dir: first, Spec: trial.spec, Config: trainer.Config{
			Arch: trial.arch, Target: c.Target, Engine: "cpu", Data: c.Data, Options: trial.options, From: from,
		}}
		if from != "" {
			r.Dir, r.Spec = filepath.Join(c.Out, "second"), nil
		}
		if _, err := trainer.Train(t.Context(), r, trainer.Observer{}); err != nil {
			t.Fatal(err)
		}
		m, err := model.Load(filepath.Join(r.Dir, trainer.ModelDir))
		if err != nil {
			t.Fatal(err)
		}
		want := data.Split("train").BySource
		if len(want) == 0 || len(m.Sources) != len(want) {
			t.Fatalf("sources %v, the data set's are %v", m.Sources, want)
		}
		for source, n := range want {
			if m.Sources[source] != int64(times+1)*n {
				t.Errorf("%d times trained: sources %v, the data set's are %v", times+1, m.Sources, want)
			}
		}
	}
}

// The example in configs is one that can be read.
func TestExampleConfig(t *testing.T) {
	if _, err := ReadConfig("../../configs/tune.yaml"); err != nil {
		t.Error(err)
	}
}

// A search does not put its files into a folder with somebody else's.
func TestSearchKeepsOthers(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"a plot":          {"trials.png": "mine"},
		"a person's JSON": {"tune.json": `{"name": "mine"}`},
		"a run":           {"config.yaml": "mine"},
		"a trial":         {"trial-001/notes.txt": "mine"},
		"":                {"notes.txt": "mine", "trial-001/config.yaml": "version: 1", "trial-002/.lock": ""},
		" ":               {"tune.json": `{"format": 1}`, "trials.png": "old"},
	} {
		dir := t.TempDir()
		for file, text := range files {
			path := filepath.Join(dir, file)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		err := (&Config{Out: dir}).mayUse()
		if free := strings.TrimSpace(name) == ""; free != (err == nil) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := (&Config{Out: filepath.Join(t.TempDir(), "new")}).mayUse(); err != nil {
		t.Error(err)
	}
}

// The command that trains the winner has what the search found and what train-model would not do by itself.
func TestTrainBest(t *testing.T) {
	for _, tc := range []struct{ search, want string }{
		{"{learning_rate: {choice: [0.004]}}", "degas train-model data/processed --arch hybrid --target binary " +
			"--run tune-best --epochs 9 --learning-rate 0.004"},
		{"{dropout: {choice: [0.1]}}", "degas train-model data/processed --arch runs/tune/trial-001/spec.json " +
			"--target binary --run tune-best --epochs 9 --batch-size 512 --learning-rate 0.002 --schedule cosine " +
			"--weight-decay 0.02 --augment 0.15 --invent 0.2 --blend 0.5"},
		{"{arch: {choice: [cnn]}}", "degas train-model data/processed --arch cnn --target binary --run tune-best --epochs 9"},
	} {
		path := filepath.Join(t.TempDir(), "tune.yaml")
		if err := os.WriteFile(path, []byte("version: 1\nsearch: "+tc.search+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := ReadConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		trial, err := c.trial(0)
		if err != nil {
			t.Fatal(err)
		}
		words, err := c.trainBest(&Outcome{Trial: *trial, Run: "runs/tune/trial-001"})
		if got := strings.Join(words, " "); err != nil || got != tc.want {
			t.Errorf("search %s:\n%s, error %v, want\n%s", tc.search, got, err, tc.want)
		}
	}
}
