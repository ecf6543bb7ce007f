package export

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
)

// The manifest says how names become codes, and the card shows the metrics; both without any when there are none.
func TestManifestAndCard(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	spec := modeltest.Spec(rng)
	m := &model.Model{
		Spec:      spec,
		Weights:   modeltest.Weights(&spec, rng),
		Threshold: 0.25,
		Dataset:   "abc",
		Producer:  "degas test",
	}
	for _, metrics := range []map[string]float64{nil, {"roc_auc": 0.987654, "names": 12345}} {
		dir := t.TempDir()
		if err := describe(dir, m, Options{Metrics: metrics}); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, ManifestFile))
		if err != nil {
			t.Fatal(err)
		}
		var got Manifest
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if got.Encoder != spec.Encoder || got.Threshold != 0.25 || got.TrainingData != "abc" ||
			len(got.Metrics) != len(metrics) {
			t.Errorf("manifest %+v", got)
		}
		card, err := os.ReadFile(filepath.Join(dir, CardFile))
		if err != nil {
			t.Fatal(err)
		}
		if text := string(card); !strings.HasPrefix(text, "---\n") ||
			strings.Contains(text, "| roc_auc | 0.987654 |") != (metrics != nil) ||
			strings.Contains(text, "It was not measured") != (metrics == nil) {
			t.Errorf("card:\n%s", text)
		}
	}
}

// The card of a model that has changed since it was measured does not say that it was not measured.
func TestCardOfAChangedModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	spec := modeltest.Spec(rng)
	m := &model.Model{Spec: spec, Weights: modeltest.Weights(&spec, rng), Threshold: 0.5}
	dir := t.TempDir()
	if err := describe(dir, m, Options{LeftOut: "the model has changed since"}); err != nil {
		t.Fatal(err)
	}
	card, err := os.ReadFile(filepath.Join(dir, CardFile))
	if text := string(card); err != nil || strings.Contains(text, "It was not measured") ||
		!strings.Contains(text, "\nThe evaluation of its run is left out: the model has changed since.\n") {
		t.Errorf("%v, card:\n%s", err, text)
	}
}

// The card of an export with an ONNX file has the lines of Python that score names with it.
func TestCardHasTheRecipe(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	spec := modeltest.Spec(rng)
	m := &model.Model{Spec: spec, Weights: modeltest.Weights(&spec, rng), Threshold: 0.5}
	for _, files := range []string{"", "model.onnx"} {
		dir := t.TempDir()
		if files != "" {
			if err := os.WriteFile(filepath.Join(dir, files), []byte("onnx"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := describe(dir, m, Options{}); err != nil {
			t.Fatal(err)
		}
		card, err := os.ReadFile(filepath.Join(dir, CardFile))
		if err != nil {
			t.Fatal(err)
		}
		if has := strings.Contains(string(card), "\n```python\n"+recipe+"```\n"); has != (files != "") {
			t.Errorf("with %q the recipe is there: %v", files, has)
		}
	}
}

// The card and the manifest name the run, the sources with their licences, and the warning of the sample.
func TestCardOfSources(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	spec := modeltest.Spec(rng)
	m := &model.Model{Spec: spec, Weights: modeltest.Weights(&spec, rng), Threshold: 0.5}
	for _, tc := range []struct {
		sources map[string]int64
		want    []string
	}{
		{nil, []string{"# mine\n"}},
		{map[string]int64{"tranco": 5}, []string{"# mine\n", "| tranco | 5 |"}},
		{map[string]int64{"tranco": 5, "sample": 7}, []string{"**7 of 12 training names come from the built-in sample",
			"Its 12 training names", "| sample | 7 | Apache-2.0 |"}},
		{map[string]int64{"sample": 7}, []string{"**All training names come from the built-in sample"}},
	} {
		m.Sources = tc.sources
		dir := t.TempDir()
		if err := describe(dir, m, Options{Title: "mine"}); err != nil {
			t.Fatal(err)
		}
		card, err := os.ReadFile(filepath.Join(dir, CardFile))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range tc.want {
			if !strings.Contains(string(card), want) {
				t.Errorf("%v: no %q in\n%s", tc.sources, want, card)
			}
		}
		data, err := os.ReadFile(filepath.Join(dir, ManifestFile))
		if err != nil {
			t.Fatal(err)
		}
		var got Manifest
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if got.Title != "mine" || len(got.Sources) != len(tc.sources) ||
			(len(got.Warnings) > 0) != (tc.sources["sample"] > 0) {
			t.Errorf("%v: manifest %+v", tc.sources, got)
		}
	}
}

// The built-in model's own card goes with it, as a chapter, and not with a model that was made of it.
func TestCardOfBuiltin(t *testing.T) {
	m, err := model.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	title, text, _ := strings.Cut(model.BuiltinCard(), "\n")
	for _, threshold := range []float64{m.Threshold, 0.123} {
		dir := t.TempDir()
		is := threshold == m.Threshold
		m.Threshold = threshold
		if err := describe(dir, m, Options{}); err != nil {
			t.Fatal(err)
		}
		card, err := os.ReadFile(filepath.Join(dir, CardFile))
		if err != nil {
			t.Fatal(err)
		}
		page := string(card)
		chapter := "\n#" + title + "\n" + strings.TrimRight(text, "\n") + "\n"
		if strings.Contains(page, chapter) != is || strings.Contains(page, "It was not measured") == is {
			t.Errorf("the card of the built-in model: %v; page:\n%s", is, page)
		}
	}
}
