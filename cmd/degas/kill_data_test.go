package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// killMoments is how often a command is killed before it may end.
const killMoments = 20

// killed starts a command over and over, kills it at random moments within whole, and lets the last run end. It returns
// how many runs died; one that was done before its moment is simply the next one's start.
func killed(t *testing.T, whole time.Duration, start func() (*exec.Cmd, *bytes.Buffer), after func()) int {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	kills := 0
	for range killMoments {
		c, out := start()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(r.Float64()*float64(whole)), func() { _ = c.Process.Kill() })
		err := c.Wait()
		timer.Stop()
		if err != nil && c.ProcessState.ExitCode() >= 0 {
			t.Fatalf("failed of itself: %s", out)
		}
		if err != nil {
			kills++
		}
		after()
	}
	if c, out := start(); c.Run() != nil {
		t.Fatalf("the run after the kills: %s", out)
	}
	return kills
}

// files lists what is below dir, hidden files too, with their bytes.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sameFiles(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, data := range want {
		if got[name] != data {
			t.Errorf("%s differs from the undisturbed run's", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s was left behind", name)
		}
	}
}

// Processing that is killed 20 times leaves the earlier output usable or replaced, and the next run's bytes are those
// of an undisturbed one.
func TestKilledProcessing(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; go test ./... runs it")
	}
	dir := t.TempDir()
	must := func(args ...string) time.Duration {
		began := time.Now()
		if c, out := degasProcess(t, dir, args...); c.Run() != nil {
			t.Fatalf("%v: %s", args, out)
		}
		return time.Since(began)
	}
	must("generate", "--family", "all", "--count", "20000", "--layout", "umudga", "--out", "raw")
	whole := must("process-data", "raw", "whole", "--compression", "zstd")
	must("process-data", "raw", "killed", "--seed", "9") // an earlier output
	earlier := files(t, filepath.Join(dir, "killed"))["dataset.json"]
	kills := killed(t, whole, func() (*exec.Cmd, *bytes.Buffer) {
		return degasProcess(t, dir, "process-data", "raw", "killed", "--compression", "zstd")
	}, func() {
		if m := files(t, filepath.Join(dir, "killed"))["dataset.json"]; m != earlier && !strings.Contains(m, `"seed": 1`) {
			t.Fatal("dataset.json is neither the earlier nor the new one")
		}
	})
	t.Logf("%d of %d runs died; %s undisturbed", kills, killMoments, whole)
	if kills < killMoments/2 {
		t.Errorf("only %d runs died", kills)
	}
	sameFiles(t, files(t, filepath.Join(dir, "killed")), files(t, filepath.Join(dir, "whole")))
}

// A download that is killed 20 times goes on where it was, never shows a part of a file under its name, and ends with
// the bytes of an undisturbed one.
func TestKilledDownload(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; go test ./... runs it")
	}
	var list bytes.Buffer
	r := rand.New(rand.NewPCG(3, 4))
	for range 300_000 {
		fmt.Fprintf(&list, "%016x.com\n", r.Uint64())
	}
	served := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Range") != "" {
			served++
		}
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(slowly{w}, req, "list.txt", time.Unix(1e9, 0), bytes.NewReader(list.Bytes()))
	}))
	defer srv.Close()
	dir := t.TempDir()
	start := func(out string) (*exec.Cmd, *bytes.Buffer) {
		return degasProcess(t, dir, "download-data", srv.URL+"/list.txt", "--out", out,
			"--format", "list", "--class", "dga", "--family", "x")
	}
	began := time.Now()
	if c, out := start("whole"); c.Run() != nil {
		t.Fatalf("undisturbed: %s", out)
	}
	whole := time.Since(began)
	want := files(t, filepath.Join(dir, "whole"))
	kills := killed(t, whole/4, func() (*exec.Cmd, *bytes.Buffer) { return start("killed") }, func() {
		if _, err := os.Stat(filepath.Join(dir, "killed")); err != nil {
			return
		}
		for name, data := range files(t, filepath.Join(dir, "killed")) {
			if strings.HasSuffix(name, "/list.txt") && !strings.Contains(name, "/.") && len(data) != list.Len() {
				t.Fatalf("%s shows %d of %d bytes", name, len(data), list.Len())
			}
		}
	})
	t.Logf("%d of %d runs died, %d ranges served; %s undisturbed", kills, killMoments, served, whole)
	if kills == 0 || served == 0 {
		t.Errorf("%d runs died, %d went on", kills, served)
	}
	sameFiles(t, files(t, filepath.Join(dir, "killed")), want)
}

// slowly is a connection of about 10 MB/s.
type slowly struct{ http.ResponseWriter }

func (s slowly) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		m, err := s.ResponseWriter.Write(p[:min(len(p), 32<<10)])
		n, p = n+m, p[m:]
		if err != nil {
			return n, err
		}
		time.Sleep(3 * time.Millisecond)
	}
	return n, nil
}
