package rundir

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
)

// A run's name may be a pattern to a shell.
func TestGeneralisationsOfAnyName(t *testing.T) {
	for _, name := range []string{"exp[2]", "exp[2"} {
		run := &Run{Dir: filepath.Join(t.TempDir(), name)}
		if err := os.MkdirAll(filepath.Join(run.Dir, ProtocolDir), 0o755); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{
			"kfold.json":     `{"protocol": "kfold", "dataset": "x"}`,
			".kfold.partial": "{",
		} {
			if err := os.WriteFile(filepath.Join(run.Dir, ProtocolDir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := run.Generalisations("x")
		if err != nil || len(got) != 1 || got[0].Protocol != "kfold" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	run := &Run{Dir: t.TempDir()}
	if got, err := run.Generalisations("x"); err != nil || len(got) != 0 {
		t.Errorf("no protocols: %+v, %v", got, err)
	}
}

// A model that was blended with a last epoch is that epoch's, whatever validation says.
func TestBestEpoch(t *testing.T) {
	history := History{{Epoch: 1, ValidationLoss: 0.2}, {Epoch: 2, ValidationLoss: 0.1}, {Epoch: 3, ValidationLoss: 0.3}}
	if got := history.Best(); got.Epoch != 2 {
		t.Errorf("epoch %d, want that of the lowest loss", got.Epoch)
	}
	history[2].Blend = 0.5
	if got := history.Best(); got.Epoch != 3 {
		t.Errorf("epoch %d, want the blended one", got.Epoch)
	}
	for epoch, want := range map[int]int{1: 1, 2: 2, 0: 3, 9: 3} {
		if got := history.Kept(epoch); got.Epoch != want {
			t.Errorf("a model of epoch %d has the weights of %d, want %d", epoch, got.Epoch, want)
		}
	}
}

// What was done to a model is told as long as its threshold is what came of it.
func TestTuning(t *testing.T) {
	run := &Run{Dir: t.TempDir(), Model: &model.Model{}}
	for _, one := range []Tuning{
		{"calibrate", 0, "data", "validation", 0.4},
		{"choose-threshold", 0.01, "data", "validation", 0.7},
	} {
		if err := run.AddTuning(one); err != nil {
			t.Fatal(err)
		}
	}
	for threshold, want := range map[float64]int{0.7: 2, 0.4: 0, 0.5: 0} {
		run.Model.Threshold = threshold
		if got, err := run.Tunings(); err != nil || len(got) != want {
			t.Errorf("threshold %g: %+v, %v, want %d", threshold, got, err, want)
		}
	}
	if err := os.WriteFile(run.tuningFile(), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := run.Tunings(); err == nil || !strings.Contains(err.Error(), "tuning.jsonl: entry 1") {
		t.Errorf("a broken file: %v", err)
	}
	empty := &Run{Dir: t.TempDir(), Model: run.Model}
	if got, err := empty.Tunings(); err != nil || got != nil {
		t.Errorf("none: %v, %v", got, err)
	}
}

// What is no run gets the command that makes one of it.
func TestInsteadOfARun(t *testing.T) {
	for _, tc := range []struct {
		files []string
		dir   string
		want  string
	}{
		{nil, "x", "degas runs, which"},
		{[]string{"x/model.json", "x/model.h5"}, "x", "degas import-model x/model.h5"},
		{[]string{"x/model.json"}, "x", "export-model with --format h5"},
		{[]string{"r/config.yaml", "r/model/model.json"}, "r/model", "Try: r, the run"},
	} {
		t.Chdir(t.TempDir())
		for _, file := range tc.files {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Open(tc.dir); err == nil || !strings.Contains(filepath.ToSlash(err.Error()), tc.want) {
			t.Errorf("%s of %v: %v, want %q", tc.dir, tc.files, err, tc.want)
		}
	}
}

// What calibrations changed is read back to the bit; a damaged file says what to do.
func TestUncalibrated(t *testing.T) {
	run := &Run{Dir: t.TempDir()}
	want := &Uncalibrated{Kernel: []float32{0.1, -1e-38, math.MaxFloat32}, Bias: []float32{1.0 / 3},
		Threshold: 0.5, Moved: 0.4}
	for range 2 {
		if got, err := run.Uncalibrated(); got != nil || err != nil {
			t.Errorf("without a file: %+v, %v", got, err)
		}
		if err := run.KeepUncalibrated(want); err != nil {
			t.Fatal(err)
		}
		if got, err := run.Uncalibrated(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v", got, err)
		}
		if err := run.KeepUncalibrated(nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"", "{}", `{"threshold": 2}`, `{"kernel": [1e99], "threshold": 0.5}`} {
		if err := os.WriteFile(filepath.Join(run.Dir, UncalibratedFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := run.Uncalibrated(); err == nil || !strings.Contains(err.Error(), "Try: remove it") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
