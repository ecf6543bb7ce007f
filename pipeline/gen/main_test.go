package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// docs/reference is what the code says now.
func TestReferenceIsCurrent(t *testing.T) {
	root := filepath.Join("..", "..")
	files, err := Files(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, "docs", "reference", name))
		if err != nil || strings.ReplaceAll(string(got), "\r\n", "\n") != want {
			t.Errorf("docs/reference/%s is not current (%v). Try: go generate ./pipeline", name, err)
		}
	}
	if entries, err := os.ReadDir(filepath.Join(root, "docs", "reference")); err != nil || len(entries) != len(files) {
		t.Errorf("docs/reference has %d files, %d are made: %v", len(entries), len(files), err)
	}
}
