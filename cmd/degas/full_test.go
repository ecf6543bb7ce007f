package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fullDisk is a standard output that takes nothing more.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}
}

// TestFullOutput gives every command a standard output that is full: it must say so once, in one line, and fail.
func TestFullOutput(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; go test ./... runs it")
	}
	t.Chdir(t.TempDir())
	s := &session{T: t, ran: map[string]bool{}}
	s.hostileData("data")
	spec := s.write("own.json", strings.Replace(smallSpec, "%s", `"own"`, 1))
	csv := s.write("raw/dga.csv", "domain,class\na.example,benign\nb.example,dga\n")
	train := []string{"train-model", "data", "--arch", spec, "--epochs", "1", "--run"}
	s.ok(append(train, "own")...)
	own := filepath.Join("runs", "own")
	s.ok("export-model", own, "--to", "models/own/1")
	s.write("config.yaml", "version: 1\nname: c\nprocess: {in: raw, out: processed}\n")
	s.write("tune.yaml", fmt.Sprintf(tuneConfig, "data", "tuned", "rmsprop"))
	full := func(stdin string, args ...string) {
		t.Helper()
		var stderr bytes.Buffer
		code := run(t.Context(), append([]string{"degas", "--quiet"}, args...), strings.NewReader(stdin), fullDisk{}, &stderr)
		want := "degas: print the result: write /dev/stdout: no space left on device\n"
		if code != exitFailed || !strings.HasSuffix(stderr.String(), want) || strings.Count(stderr.String(), "degas:") != 1 {
			t.Errorf("%q: exit status %d, %q", args, code, stderr.String())
		}
	}
	full("")
	full("", "--help")
	full("", "--version")
	// Of devices, there may be none; a watch goes on and logs what it cannot print; dns starts another program.
	given := map[string]bool{"predict": true, "version": true, "devices": true, "watch": true, "dns": true}
	for _, args := range [][]string{
		{"download-data", "--list"}, {"download-data", "--out", "sample"}, {"process-data", csv, "out"}, {"describe", csv},
		{"inspect", "data"},
		{"convert", "data", "csv"}, append(train, "second"), {"choose-threshold", own, "--fpr", "0.5"}, {"calibrate", own},
		{"evaluate-model", own, "--no-baselines"}, {"evaluate-model", own, "--no-baselines", "--markdown"},
		{"evaluate-model", own, "--protocol", "kfold", "--folds", "2", "--epochs", "1"},
		{"compare", own, own}, {"tune", "tune.yaml"}, {"export-model", own, "--to", "models/own/2"},
		{"export-model", "--format", "list"}, {"publish-model", "models/own/1", "--to", "store"},
		{"import-model", "models/own/1/model.h5"}, {"predict", own, "a.example"},
		{"explain", "a.example"}, {"explain", "a.example", "--json"}, {"classify", csv}, {"classify", csv, "--format", "csv"},
		{"scan", csv}, {"scan", "--formats"}, {"serve", own, "--addr", "127.0.0.1:0"}, {"token", "x"},
		{"model"}, {"model", "--json"}, {"show", own}, {"runs"}, {"completion", "zsh"}, {"man"}, {"help"},
		{"generate", "--list"}, {"generate", "--family", "necurs"}, {"generate", "--family", "necurs", "--layout", "csv"},
		{"generate", "--family", "necurs", "--layout", "umudga", "--out", "tree"}, {"run", "config.yaml"},
	} {
		full("", args...)
		given[args[0]] = true
	}
	full("a.example\nb.example\n", "predict", own)
	full("a.example\nb.example\n", "predict", own, "--json")
	for _, c := range new(command).commands() {
		full("", c.Name, "--help")
		if !given[c.Name] {
			t.Errorf("%s is not among them", c.Name)
		}
	}
	full("", "version")
}
