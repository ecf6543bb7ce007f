package models_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
	"github.com/degas-dns/degas/serve/models"
)

func untrained(t testing.TB) *model.Model {
	t.Helper()
	s, err := model.Preset("mlbridge")
	if err != nil {
		t.Fatal(err)
	}
	return &model.Model{Spec: s, Weights: modeltest.Weights(&s, rand.New(rand.NewPCG(1, 2))), Threshold: 0.5}
}

func TestOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shop")
	for _, v := range []string{"2", "10"} {
		sub := filepath.Join(dir, v)
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := untrained(t).Save(sub); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("10", filepath.Join(dir, "11")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "12"), nil, 0o644); err != nil { // no version
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "13") // the others go on, as they would if it had come later
	if err := os.CopyFS(broken, os.DirFS(filepath.Join(dir, "2"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(broken, model.WeightsFile), 100); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(t.TempDir(), "model") // a run's
	if err := untrained(t).Save(damaged); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(damaged, model.WeightsFile), 100); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		dir, name string
		versions  int
		want      string
	}{{dir, "shop", 3, ""}, {filepath.Join(dir, "2"), "shop", 1, ""}, {model.BuiltinName, "degas", 1, ""},
		{t.TempDir(), "", 0, "neither a model nor numbered versions"},
		{filepath.Dir(dir), "", 0, "Try: degas serve " + dir},
		{filepath.Dir(damaged), "", 0, "read " + filepath.Join(damaged, model.WeightsFile)}} {
		set, err := models.Open(nil, models.Source{Dir: tc.dir})
		switch {
		case tc.want != "":
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v", tc.dir, err)
			}
		case err != nil || !slices.Equal(set.Names(), []string{tc.name}) || len(set.Versions(tc.name)) != tc.versions:
			t.Errorf("%s: %+v, %v", tc.dir, set, err)
		}
	}
}

// A name that no request's path can hold is refused, and so is one that two models have.
func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{"m": true, "a b": true, "..a": true, "a/b": false, "a:b": false, ".": false,
		"..": false} {
		if _, err := models.Open(nil, models.Source{Name: name, Dir: model.BuiltinName}); (err == nil) != ok {
			t.Errorf("%q: error %v", name, err)
		}
	}
	builtin := models.Source{Dir: model.BuiltinName}
	if _, err := models.Open(nil, builtin, builtin); err == nil || !strings.Contains(err.Error(), "NAME=builtin") {
		t.Errorf("twice the same: %v", err)
	}
	set, err := models.Open(nil, builtin, models.Source{Name: "other", Dir: model.BuiltinName})
	if err != nil || !slices.Equal(set.Names(), []string{"degas", "other"}) {
		t.Errorf("%v, %v", set.Names(), err)
	}
}
