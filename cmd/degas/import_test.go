package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/export/hdf5"
	"github.com/degas-dns/degas/trainer"
)

// manifest puts a dataset.json of two families into a new directory.
func manifest(t *testing.T) string {
	t.Helper()
	data, err := json.Marshal(datasets.Manifest{Format: datasets.FormatVersion, Splits: []datasets.SplitReport{
		{
			Name:     "train",
			ByFamily: map[string]int64{"": 9, "necurs": 1},
		}, {Name: "test", ByFamily: map[string]int64{"tinba": 1}}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, datasets.ManifestName), data, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestUnmatched(t *testing.T) {
	families := manifest(t)
	for _, tc := range []struct{ data, labels, want string }{
		{"nowhere", "benign malicious", ""},
		{"nowhere", "benign dga tunnel", ""},
		{"nowhere", "benign necurs gozi", ""},
		{"nowhere", "benign label_1 label_2", "label_1 label_2"},
		{"nowhere", "legit threat", "legit"},
		{"nowhere", "malicious benign", "malicious benign"},
		{"nowhere", "dga benign", "dga benign"},
		{families, "benign malicious", ""},
		{families, "benign dga necurs tinba", ""},
		{families, "benign necurs gozi", "gozi"},
		{families, "legit threat", "legit threat"},
		{families, "benign threat", "threat"},
	} {
		labels := strings.Fields(tc.labels)
		got := unmatched(t.Context(), labels, trainer.TargetOf(labels), tc.data)
		if !slices.Equal(got, strings.Fields(tc.want)) {
			t.Errorf("%s, %s: %v, want %q", tc.data, tc.labels, got, tc.want)
		}
	}
}

// What cannot be measured is imported with a warning, and evaluate-model is no next step of it.
func TestImportOfOtherLabels(t *testing.T) {
	dir, data := t.TempDir(), manifest(t)
	if err := hdf5.Format.Write(dir, untrained(t)); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		labels           string
		warned, measured bool
	}{
		"own":    {labels: "", measured: true},
		"family": {labels: "benign,necurs", measured: true},
		"legit":  {labels: "legit,threat", warned: true},
		"threat": {labels: "benign,threat", warned: true},
		"dga":    {labels: "legit,dga", warned: true},
	} {
		args := []string{
			"degas",
			"import-model",
			filepath.Join(dir, hdf5.File),
			"--runs",
			filepath.Join(dir, "runs"),
			"--run",
			name,
			"--data",
			data,
		}
		if tc.labels != "" {
			args = append(args, "--labels", tc.labels)
		}
		var out, errOut bytes.Buffer
		if code := run(t.Context(), args, strings.NewReader(""), &out, &errOut); code != 0 {
			t.Fatalf("%s: exit status %d: %s", name, code, &errOut)
		}
		if warned := strings.Contains(errOut.String(), "level=WARN"); warned != tc.warned {
			t.Errorf("%s: warned %v, want %v: %s", name, warned, tc.warned, &errOut)
		}
		if next := strings.Contains(out.String(), "Next: degas evaluate-model"); next != tc.measured {
			t.Errorf("%s: evaluate-model is next %v, want %v: %s", name, next, tc.measured, &out)
		}
	}
}

// A file that does not say how names become codes is imported with a guess, which is said aloud.
func TestImportSaysItsGuess(t *testing.T) {
	file := "../../../shared/field/F42-hard-sigmoid/lstm.h5"
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		t.Skip("needs ../shared")
	}
	args := []string{"degas", "import-model", file, "--runs", t.TempDir()}
	var out, errOut bytes.Buffer
	if code := run(t.Context(), args, strings.NewReader(""), &out, &errOut); code != 0 {
		t.Fatalf("exit status %d: %s", code, &errOut)
	}
	if !strings.Contains(out.String(), "encoder     a guess: names, unsure") {
		t.Error(out.String())
	}
}
