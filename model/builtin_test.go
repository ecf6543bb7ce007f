package model_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/builtin"
	"github.com/degas-dns/degas/model/dnsname"
	"github.com/degas-dns/degas/model/modeltest"
)

// No change of kernels, encoder or normalisation moves the released model unseen. After a new release of the model,
// model/builtin/gen writes the scores anew.
func TestBuiltinScores(t *testing.T) {
	text, err := os.ReadFile("builtin/testdata/scores.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var want []float64
	for line := range strings.Lines(string(text)) {
		name, score, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		s, err := strconv.ParseFloat(score, 64)
		if err != nil {
			t.Fatal(err)
		}
		names, want = append(names, name), append(want, s)
	}
	if len(names) != 200 {
		t.Fatalf("%d names, want 200", len(names))
	}
	m, err := model.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	c, err := model.NewClassifier(m)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]float32, len(names)*c.Width())
	if err := c.Probabilities(context.Background(), names, p); err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		together := model.ScoreOf(p[i*c.Width() : (i+1)*c.Width()])
		if _, err := dnsname.Fold(name); err != nil { // older files have scores of what is no name
			want[i] = 0
		}
		if alone := c.Score(name); math.Abs(alone-want[i]) > 1e-6 || math.Abs(together-want[i]) > 1e-6 {
			t.Errorf("%s: %.9f alone, %.9f among others, want %.9f", name, alone, together, want[i])
		}
	}
}

// The scores are the same with narrower instructions and without any, which a process chooses when it starts.
func TestBuiltinScoresOfOtherKernels(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, kernels := range []string{"portable", "avx2"} {
		cmd := exec.Command(self, "-test.run=^TestBuiltinScores$")
		cmd.Env = append(os.Environ(), "DEGAS_KERNELS="+kernels)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", kernels, err, out)
		}
	}
}

// A caller may change what it got. Files of an exported copy are float32 and whole, and still the built-in model's.
func TestBuiltinIsTheCallers(t *testing.T) {
	m, err := model.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := m.Digest()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "copy")
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	var copied *model.Model
	for _, path := range []string{"./builtin", dir} { // float16, as it is embedded, and float32
		if copied, err = model.LoadNamed(path); err != nil {
			t.Fatal(err)
		}
		if is, err := model.IsBuiltin(copied); !is || err != nil {
			t.Errorf("%s is not the built-in model: %v", path, err)
		}
	}
	m.Spec.Labels[0], m.Spec.Layers[0].Dim, m.Threshold = "changed", 1, 0.9
	for _, tensor := range m.Weights {
		clear(tensor.Data)
	}
	again, err := model.LoadNamed(model.BuiltinName)
	if err != nil {
		t.Fatal(err)
	}
	if now, err := again.Digest(); now != digest || err != nil {
		t.Errorf("a caller changed the built-in model of all others: %v", err)
	}
	copied.Threshold = 0.9
	if is, err := model.IsBuiltin(copied); is || err != nil {
		t.Errorf("a changed copy is the built-in model: %v", err)
	}
}

// A program carries the built-in model only if it can reach it.
func TestBuiltinIsLeftOut(t *testing.T) {
	if testing.Short() {
		t.Skip("links two programs")
	}
	weights := []byte(builtin.Weights[len(builtin.Weights)-64:])
	for _, tc := range []struct {
		load    string
		carries bool
	}{
		{`model.LoadAny(os.Args[1])`, false},
		{`model.LoadNamed(os.Args[1])`, true},
	} {
		dir := t.TempDir()
		source := filepath.Join(dir, "main.go")
		program := fmt.Sprintf(`package main

import (
	"fmt"
	"os"

	"github.com/degas-dns/degas/model"
)

func main() {
	m, err := %s
	if err == nil {
		var c *model.Classifier
		if c, err = model.NewClassifier(m); err == nil {
			fmt.Println(c.Score(os.Args[2]))
		}
	}
	fmt.Println(err)
}
`, tc.load)
		if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
			t.Fatal(err)
		}
		binary := filepath.Join(dir, "program")
		if out, err := exec.Command("go", "build", "-o", binary, source).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		data, err := os.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(data, weights); got != tc.carries {
			t.Errorf("a program with %s, of %d bytes, carries the built-in model: %v, want %v",
				tc.load, len(data), got, tc.carries)
		}
	}
}

// changed changes a field of a model.json, whose other fields stay, and returns want.
func changed(field, want string) func(dir string) string {
	return func(dir string) string {
		path := filepath.Join(dir, "model.json")
		data, err := os.ReadFile(path)
		if err != nil {
			return err.Error()
		}
		text := strings.TrimSpace(string(data))
		if inner, ok := strings.CutPrefix(field, `"spec": {`); ok {
			text = regexp.MustCompile(`(?s)"labels": \[.*?\]`).ReplaceAllLiteralString(text, strings.TrimSuffix(inner, "}"))
		} else {
			text = strings.TrimSuffix(text, "}") + ", " + field + "}"
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err.Error()
		}
		return want
	}
}

func TestLoadBadFiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	spec := modeltest.Spec(rng)
	m := &model.Model{Spec: spec, Weights: modeltest.Weights(&spec, rng), Threshold: 0.5}
	for name, harm := range map[string]func(dir string) string{
		"no model": func(dir string) string { os.Remove(filepath.Join(dir, "model.json")); return "holds no model" },
		"not JSON": func(dir string) string {
			os.WriteFile(filepath.Join(dir, "model.json"), []byte("{"), 0o644)
			return "model.json"
		},
		"temperature":         changed(`"temperature": -1`, "temperature -1"),
		"tiny temperature":    changed(`"temperature": 1e-300`, "temperature 1e-300"),
		"false-positive rate": changed(`"threshold_fpr": -3`, "false-positive rate -3"),
		"empty label":         changed(`"spec": {"labels": ["benign", ""]}`, `label "": labels must be different`),
		"twice one label":     changed(`"spec": {"labels": ["a", "a"]}`, `label "a": labels must be different`),
		"label invalid":       changed(`"spec": {"labels": ["benign", "invalid"]}`, `label "invalid": labels must be`),
		"a file, not a directory": func(dir string) string {
			os.RemoveAll(dir)
			os.WriteFile(dir, nil, 0o644)
			return "holds no model"
		},
		"short weights": func(dir string) string {
			os.Truncate(filepath.Join(dir, "model.safetensors"), 100)
			return "model.safetensors"
		},
		"empty weights": func(dir string) string {
			os.Truncate(filepath.Join(dir, "model.safetensors"), 0)
			return "model.safetensors"
		},
	} {
		dir := filepath.Join(t.TempDir(), "m")
		if err := m.Save(dir); err != nil {
			t.Fatal(err)
		}
		want := harm(dir)
		if _, err := model.Load(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v does not name %q", name, err, want)
		}
	}
}
