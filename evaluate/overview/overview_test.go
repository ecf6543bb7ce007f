package overview

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
)

// The layers of every preset have its parameters, and each reads a layer that stands above it.
func TestLayersOf(t *testing.T) {
	for _, name := range model.Presets() {
		spec, err := model.Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		layers, err := layersOf(&spec)
		if err != nil {
			t.Fatal(err)
		}
		params, err := spec.Params()
		if err != nil {
			t.Fatal(err)
		}
		want, got, above := 0, 0, map[string]bool{}
		for _, p := range params {
			want += p.Size()
		}
		for i, l := range layers {
			got += l.Parameters
			for _, r := range l.Reads {
				if !above[r] {
					t.Errorf("%s: layer %d, %s, reads %s, which does not stand above it", name, i, l.Name, r)
				}
			}
			above[l.Name] = true
		}
		if got != want {
			t.Errorf("%s: layers of %d parameters, want %d", name, got, want)
		}
	}
}

// A store's folder of versions is not shown; the newest version is named.
func TestOpenStore(t *testing.T) {
	dir := t.TempDir()
	for _, version := range []string{"2", "10", "notes"} {
		err := os.MkdirAll(filepath.Join(dir, version), 0o755)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, version, model.SpecFile), nil, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	newest := filepath.Join(dir, "10")
	if _, err := Open(t.Context(), dir); err == nil ||
		!strings.HasSuffix(err.Error(), "it is a store, a folder of versions. Try: degas show "+newest) {
		t.Errorf("show: %v", err)
	}
	if _, err := model.LoadNamed(dir); err == nil || !strings.HasSuffix(err.Error(), "Try: "+newest+
		", the newest version in this store") {
		t.Errorf("load: %v", err)
	}
}

func TestKindOf(t *testing.T) {
	for file, want := range map[string]string{
		"config.yaml": KindRun, "model.json": KindModel, "dataset.json": KindData, "notes.txt": "",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := KindOf(dir); got != want {
			t.Errorf("a folder with %s is a %q, want %q", file, got, want)
		}
	}
	if got := KindOf(model.BuiltinName); got != KindModel {
		t.Errorf("the built-in model is a %q", got)
	}
}

// The built-in model has a page without a run; what cannot be read is named, with what to do.
func TestOpen(t *testing.T) {
	p, err := Open(t.Context(), model.BuiltinName)
	if err != nil || p.Kind != KindModel || p.Training != nil || p.Model == nil || p.Model.Parameters == 0 {
		t.Errorf("built-in: %+v, %v", p, err)
	}
	for path, want := range map[string]string{
		"nowhere": "show nowhere: ", t.TempDir(): "it is no run, model or data set",
	} {
		if _, err := Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "Try: degas runs") {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// A folder of runs may hold folders of runs, files, and a run that cannot be read.
func TestRuns(t *testing.T) {
	dir := t.TempDir()
	for path, text := range map[string]string{
		"a/config.yaml": "arch: cnn\ntarget: binary\n", "tune/b/config.yaml": "arch: lstm\ntarget: class\n",
		"c/config.yaml": "arch: [", "tune/deep/er/config.yaml": "arch: cnn\n", "notes.txt": "", "empty/x": "",
	} {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := Runs(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rows {
		name, err := filepath.Rel(dir, r.Run)
		if err != nil || r.Problem == "" || r.Trained.IsZero() {
			t.Errorf("%+v, %v", r, err)
		}
		got = append(got, filepath.ToSlash(name)+":"+r.Arch)
	}
	if want := "a:cnn c: tune/b:lstm"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %q", got, want)
	}
}
