package export_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/export/internal/exporttest"
	"github.com/degas-dns/degas/model"
)

func TestVerify(t *testing.T) {
	ctx := context.Background()
	for i, tc := range exporttest.Cases(t, rand.New(rand.NewPCG(3, 4)), 3) {
		if strings.HasPrefix(tc.Name, "gta1") || testing.Short() && i%3 > 0 {
			continue // minutes under the race detector
		}
		t.Run(tc.Name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "1")
			if _, err := export.Export(ctx, tc.Model, dir, export.Options{Formats: []string{"hdf5", "keras", "onnx",
				"savedmodel", "tfjs"}}); err != nil {
				t.Fatal(err)
			}
			v, err := export.Verify(ctx, dir, tc.Model)
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{"model.h5", model.WeightsFile} {
				if d, ok := v.Differences[file]; !ok || d != 0 {
					t.Errorf("%s: read %v, differs by %g", file, ok, d)
				}
			}
		})
	}
}

func TestVerifyFindsChanges(t *testing.T) {
	ctx := context.Background()
	cases := exporttest.Cases(t, rand.New(rand.NewPCG(5, 6)), 2)
	m, other := cases[len(cases)-2].Model, cases[len(cases)-1].Model
	dir := filepath.Join(t.TempDir(), "1")
	if _, err := export.Export(ctx, m, dir, export.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := export.Verify(ctx, dir, other); err == nil || !strings.Contains(err.Error(), "probabilities") {
		t.Errorf("another model: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "model.onnx"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := export.Verify(ctx, dir, m); err == nil || !strings.Contains(err.Error(), "model.onnx has changed") {
		t.Errorf("a changed file: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, export.SumsFile), []byte("00  ../x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := export.CheckSums(dir); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a path outside: %v", err)
	}
}

// A list of checksums that was cut short, and a file that came later, are errors. What a person put beside an export
// stays.
func TestUnlistedFiles(t *testing.T) {
	m := exporttest.Cases(t, rand.New(rand.NewPCG(5, 6)), 1)[0].Model
	dir := filepath.Join(t.TempDir(), "1")
	again := func() error {
		_, err := export.Export(t.Context(), m, dir, export.Options{Overwrite: true})
		return err
	}
	if err := again(); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(filepath.Join(dir, export.SumsFile))
	if err != nil {
		t.Fatal(err)
	}
	cut := bytes.LastIndexByte(bytes.TrimSpace(list), '\n') + 1
	if err := os.WriteFile(filepath.Join(dir, export.SumsFile), list[:cut], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := export.CheckSums(dir); err == nil || !strings.Contains(err.Error(), "is not listed in SHA256SUMS") {
		t.Errorf("a list cut short: %v", err)
	}
	if err := again(); err != nil {
		t.Errorf("to mend it: %v", err)
	}
	warmup := filepath.Join(dir, "assets.extra", "tf_serving_warmup_requests")
	if err := errors.Join(os.Mkdir(filepath.Dir(warmup), 0o755), os.WriteFile(warmup, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := again(); !errors.Is(err, export.ErrExists) || !strings.Contains(err.Error(), "assets.extra/tf_serving") {
		t.Errorf("beside warm-up requests: %v", err)
	}
	if _, err := os.Stat(warmup); err != nil {
		t.Error(err)
	}
}
