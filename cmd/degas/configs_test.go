package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/pipeline"
	"github.com/degas-dns/degas/trainer/tune"
)

// Every file of configs/ is read, so that all that it names is known, says what it is for, and is known to editors.
func TestConfigs(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	files, err := os.ReadDir("configs")
	if err != nil || len(files) < 9 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, f := range files {
		path := filepath.Join("configs", f.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		switch {
		case strings.HasSuffix(path, ".json"):
			_, err = model.ReadSpec(path)
		case strings.Contains(text, "\nsearch:"):
			_, err = tune.ReadConfig(path)
		default:
			_, err = pipeline.ReadConfig(path)
		}
		if err != nil {
			t.Error(err)
		}
		if strings.HasSuffix(path, ".yaml") && !strings.HasPrefix(text, "# ") {
			t.Errorf("%s does not say what it is for", path)
		}
		if line, ok := strings.CutPrefix(text, "# yaml-language-server: $schema="); ok {
			schema, _, _ := strings.Cut(line, "\n")
			if _, err := os.Stat(filepath.Join("configs", schema)); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

// Somebody who interrupts a pipeline is told to run the same command again.
func TestInterruptedRun(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("c.yaml", []byte("version: 1\nname: c\ndownload: {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errOut bytes.Buffer
	code := run(ctx, []string{"degas", "run", "c.yaml"}, nil, &out, &errOut)
	if want := "degas: interrupted; run the same command again"; code != exitInterrupted ||
		!strings.HasPrefix(errOut.String(), want) {
		t.Errorf("%d, %q, want %q", code, errOut.String(), want)
	}
}
