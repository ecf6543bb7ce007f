//go:build unix

package main

import (
	"bytes"
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/degas-dns/degas/internal/dirlock"
)

// patience is how long a command may take that finds something else than a file.
const patience = time.Minute

// TestPipesForFiles puts a named pipe in the place of each file that a command reads, and of the first one an endless
// device and a socket too. No command may wait for one: it does without the file, or fails in one line.
func TestPipesForFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; go test ./... runs it")
	}
	t.Chdir(t.TempDir())
	s := &session{T: t, ran: map[string]bool{}}
	s.hostileData("data")
	spec := s.write("own.json", strings.Replace(smallSpec, "%s", `"own"`, 1))
	s.write("raw/dga.csv", "domain,class\na.example,benign\nb.example,dga\n")
	s.write("raw/dga.csv.degas.json", "{}")
	s.write(filepath.Join("old", dirlock.Inside), "")
	s.write("config.yaml", "version: 1\nname: c\n")
	s.ok("train-model", "data", "--arch", spec, "--epochs", "1", "--run", "own")
	run := filepath.Join("runs", "own")
	s.ok("evaluate-model", run, "--no-baselines")
	s.ok("export-model", run, "--to", "models/own/1")
	const pipe = "named pipe"
	kinds := map[string]func(path string) error{
		pipe:     func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"device": func(path string) error { return os.Symlink("/dev/zero", path) },
		"socket": func(path string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
			if err != nil {
				return err
			}
			l.SetUnlinkOnClose(false)
			return l.Close()
		},
	}
	for _, c := range []struct {
		from string // a file, or a folder each of whose files is replaced in turn in a copy of it, called in
		args []string
	}{
		{"raw", []string{"process-data", "in", "out"}},
		{"old", []string{"process-data", "raw", "in"}},
		{"data", []string{"inspect", "in"}},
		{"data", []string{"convert", "in", "out"}},
		{"data", []string{"train-model", "in", "--arch", spec, "--epochs", "1", "--runs", "out"}},
		{"own.json", []string{"train-model", "data", "--arch", "in.json", "--runs", "out"}},
		{run, []string{"predict", "in", "a.example"}},
		{run, []string{"export-model", "in", "--to", "out/1"}},
		{run, []string{"choose-threshold", "in", "--fpr", "0.5"}},
		{run, []string{"calibrate", "in"}},
		{run, []string{"evaluate-model", "in", "--no-baselines", "--out", "out"}},
		{run, []string{"train-model", "--resume", "--runs", ".", "--run", "in"}},
		{run, []string{"compare", "in", run}},
		{"models/own/1", []string{"predict", "in", "a.example"}},
		{"models/own/1", []string{"publish-model", "in", "--to", "out", "--name", "own", "--version", "1"}},
		{"models/own/1", []string{"serve", "in", "--addr", "nowhere:port"}},
		{"models/own/1/model.h5", []string{"import-model", "in.h5", "--runs", "out"}},
		{"config.yaml", []string{"run", "in.yaml"}},
		{"config.yaml", []string{"tune", "in.yaml"}},
		{"raw/dga.csv", []string{"process-data", "in.csv", "out"}},
	} {
		for kind, make := range kinds {
			for i, file := range filesIn(t, c.from) {
				if kind != pipe && i > 0 {
					break
				}
				in := "in" + filepath.Ext(c.from)
				if file != "." {
					in = "in"
					if err := os.CopyFS(in, os.DirFS(c.from)); err != nil {
						t.Fatal(err)
					}
					if err := os.Remove(filepath.Join(in, file)); err != nil {
						t.Fatal(err)
					}
				}
				if err := make(filepath.Join(in, file)); err != nil {
					t.Fatal(err)
				}
				s.inTime(kind+" for "+filepath.Join(c.from, file), c.args)
				for _, path := range []string{in, "out"} {
					if err := os.RemoveAll(path); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

// filesIn lists the files of a folder relative to it; "." for a file.
func filesIn(t *testing.T, root string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, relErr := filepath.Rel(root, path)
			out, err = append(out, rel), relErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clip(out)
}

// inTime runs a command, which must end by itself, and in one line if it fails.
func (s *session) inTime(what string, args []string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"degas", "--quiet"}, args...), strings.NewReader(""), &bytes.Buffer{}, &stderr)
	}()
	select {
	case code := <-ended:
		if lines := strings.Count(stderr.String(), "degas: "); code != 0 && lines != 1 || ctx.Err() != nil {
			s.Errorf("%s: degas %q: exit status %d, %q", what, args, code, stderr.String())
		}
	case <-time.After(patience + 10*time.Second):
		s.Fatalf("%s: degas %q does not end", what, args)
	}
}
