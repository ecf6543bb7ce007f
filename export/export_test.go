package export_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/export/internal/exporttest"
	"github.com/degas-dns/degas/model"
)

var errFull = errors.New("disk full")

// failing writes something and then gives up.
func failing(dir string, _ *model.Model) error {
	if err := os.WriteFile(filepath.Join(dir, "half"), []byte("half"), 0o644); err != nil {
		return err
	}
	return errFull
}

func init() { export.Register(export.Format{Name: "failing", Write: failing}) }

func small(t *testing.T) *model.Model {
	t.Helper()
	m := &model.Model{Spec: exporttest.Branches(), Threshold: 0.5}
	var err error
	if m.Weights, err = model.Initial(&m.Spec, 1); err != nil {
		t.Fatal(err)
	}
	return m
}

// entries lists what is in dir, hidden names included.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

func TestExportEveryCase(t *testing.T) {
	if testing.Short() { // one export after another: the race detector has little to find
		t.Skip("a minute under the race detector; go test ./... runs it")
	}
	dir := t.TempDir()
	want := []string{
		"README.md",
		"manifest.json",
		"model.h5",
		"model.json",
		"model.onnx",
		"model.safetensors",
		"saved_model.pb",
	}
	for _, c := range exporttest.Cases(t, rand.New(rand.NewPCG(3, 4)), 6) {
		var reports [2]export.Report
		for i := range reports {
			to := filepath.Join(dir, "models", c.Name, []string{"1", "2"}[i])
			var err error
			if reports[i], err = export.Export(context.Background(), c.Model, to, export.Options{}); err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			checkDirectory(t, to, reports[i], want)
		}
		if !slices.Equal(reports[0].Files, reports[1].Files) {
			t.Errorf("%s: two exports differ:\n%v\n%v", c.Name, reports[0].Files, reports[1].Files)
		}
		if got := entries(t, filepath.Join(dir, "models", c.Name)); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("%s: left behind %v", c.Name, got)
		}
	}
}

// checkDirectory compares a version directory with its report and with SHA256SUMS.
func checkDirectory(t *testing.T, dir string, r export.Report, want []string) {
	t.Helper()
	var names []string
	var sums strings.Builder
	for _, f := range r.Files {
		names = append(names, f.Path)
		data, err := os.ReadFile(filepath.Join(dir, f.Path))
		if err != nil {
			t.Fatal(err)
		}
		digest := sha256.Sum256(data)
		if hex.EncodeToString(digest[:]) != f.SHA256 || int64(len(data)) != f.Bytes || len(data) == 0 {
			t.Errorf("%s: %d bytes do not match the report %v", f.Path, len(data), f)
		}
		sums.WriteString(f.SHA256 + "  " + f.Path + "\n")
	}
	if !slices.Equal(names, want) {
		t.Errorf("wrote %v, want %v", names, want)
	}
	if got, err := os.ReadFile(filepath.Join(dir, export.SumsFile)); err != nil || string(got) != sums.String() {
		t.Errorf("%s: %q, %v, want %q", export.SumsFile, got, err, sums.String())
	}
	if got := entries(t, filepath.Join(dir, "variables")); len(got) != 0 {
		t.Errorf("variables holds %v", got)
	}
	if _, err := model.Load(dir); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o755 != 0o755 {
		t.Errorf("the directory's mode is %v, %v", info.Mode(), err)
	}
}

func TestExportNothingHalf(t *testing.T) {
	m := small(t)
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	broken := small(t)
	delete(broken.Weights, "dense/kernel")
	named := small(t)
	named.Spec.InputName = "not a name"
	for _, tc := range []struct {
		name    string
		ctx     context.Context
		m       *model.Model
		formats []string
		want    string
	}{
		{"format fails", context.Background(), m, []string{"onnx", "failing"}, "failing: disk full"},
		{"stopped", stopped, m, nil, "context canceled"},
		{"unknown format", context.Background(), m, []string{"hdf6"},
			`unknown export format "hdf6" (did you mean hdf5?), known are: failing, hdf5, keras, onnx, savedmodel, tfjs`},
		{"weights missing", context.Background(), broken, nil, "dense/kernel is missing"},
		{"bad input name", context.Background(), named, []string{"onnx"}, `input name "not a name"`},
	} {
		dir := t.TempDir()
		_, err := export.Export(tc.ctx, tc.m, filepath.Join(dir, "1"), export.Options{Formats: tc.formats})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
		if got := entries(t, dir); len(got) != 0 {
			t.Errorf("%s: left behind %v", tc.name, got)
		}
	}
}

func TestExportOntoSomething(t *testing.T) {
	m, dir := small(t), t.TempDir()
	to := filepath.Join(dir, "1")
	ctx := context.Background()
	if _, err := export.Export(ctx, m, to, export.Options{Formats: []string{"hdf5", "onnx", "onnx"}}); err != nil {
		t.Fatal(err)
	}
	before := entries(t, to)
	if _, err := export.Export(ctx, m, to, export.Options{}); !errors.Is(err, export.ErrExists) ||
		!strings.Contains(err.Error(), to) {
		t.Errorf("onto an earlier export: %v", err)
	}
	if _, err := export.Export(ctx, m, to, export.Options{Formats: []string{"failing"}, Overwrite: true}); !errors.Is(
		err,
		errFull,
	) {
		t.Errorf("an overwrite that fails: %v", err)
	}
	if got := entries(t, to); !slices.Equal(got, before) {
		t.Errorf("a failed overwrite left %v of %v", got, before)
	}
	if _, err := export.Export(ctx, m, to, export.Options{Formats: []string{"onnx"}, Overwrite: true}); err != nil {
		t.Error(err)
	}
	if got := entries(t, to); slices.Contains(got, "model.h5") || !slices.Contains(got, "model.onnx") {
		t.Errorf("after the overwrite: %v", got)
	}
	if got := entries(t, dir); !slices.Equal(got, []string{"1"}) {
		t.Errorf("left behind %v", got)
	}
	precious := filepath.Join(dir, "thesis.tex")
	if err := os.WriteFile(precious, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, precious} {
		if _, err := export.Export(ctx, m, path, export.Options{Overwrite: true}); !errors.Is(err, export.ErrExists) {
			t.Errorf("onto %s, which is no export: %v", path, err)
		}
	}
	if got := entries(t, dir); !slices.Equal(got, []string{"1", "thesis.tex"}) {
		t.Errorf("what was there is now %v", got)
	}
}

func TestFormatsDescribeThemselves(t *testing.T) {
	for _, name := range export.DefaultFormats {
		f, err := export.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Files) == 0 || f.Readers == "" || f.Holds == "" {
			t.Errorf("%s does not say what it is", name)
		}
	}
}
