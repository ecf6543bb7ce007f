package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/degas-dns/degas/export"
)

// A version of a store that publishing replaces is whole at every moment, the earlier one or the new one, however often
// that is killed.
func TestKilledPublishing(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; go test ./... runs it")
	}
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		writeVersion(t, filepath.Join(dir, name, "1"), name)
	}
	publish := func(from string) (*exec.Cmd, *bytes.Buffer) {
		return degasProcess(t, dir, "publish-model", from+"/1", "--to", "store", "--name", "shop", "--force")
	}
	var whole time.Duration
	for range 2 { // the second time, it replaces
		began := time.Now()
		if c, out := publish("a"); c.Run() != nil {
			t.Fatalf("undisturbed: %s", out)
		}
		whole = time.Since(began)
	}
	tries := 0 // killMoments, which is even, and one that may end
	kills := killed(t, whole, func() (*exec.Cmd, *bytes.Buffer) {
		tries++
		return publish([]string{"a", "b"}[tries%2])
	}, func() {
		if _, err := export.CheckSums(filepath.Join(dir, "store", "shop", "1")); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%d of %d runs died; %s undisturbed", kills, killMoments, whole)
	if kills < killMoments/4 {
		t.Errorf("only %d runs died", kills)
	}
	sameFiles(t, files(t, filepath.Join(dir, "store", "shop", "1")), files(t, filepath.Join(dir, "b", "1")))
}

// writeVersion writes a version directory of many files that hold text.
func writeVersion(t *testing.T, dir, text string) {
	t.Helper()
	content := map[string][]byte{export.ManifestFile: []byte("{}")}
	for i := range 30 {
		content[fmt.Sprintf("part%d", i)] = bytes.Repeat([]byte(text), 100_000)
	}
	var sums bytes.Buffer
	for name, data := range content {
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(data), name)
	}
	content[export.SumsFile] = sums.Bytes()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range content {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
