package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// degasEnv makes the test binary act as degas, so that a test can kill it.
const degasEnv = "DEGAS_TEST_AS_COMMAND"

func init() {
	if os.Getenv(degasEnv) != "" {
		os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr))
	}
}

// degasProcess is degas with arguments, in dir.
func degasProcess(t *testing.T, dir string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe, args...)
	var out bytes.Buffer
	c.Dir, c.Stderr = dir, &out
	c.Env = append(os.Environ(), degasEnv+"=1")
	return c, &out
}

// A training killed again and again, and resumed each time, ends with the bytes of one that was left alone: with names
// in memory, and with names that are read from disk.
func TestKilledTrainingResumes(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; go test ./... runs it")
	}
	dir := t.TempDir()
	for _, args := range [][]string{{"download-data"}, {"process-data"}} {
		if c, out := degasProcess(t, dir, args...); c.Run() != nil {
			t.Fatalf("%v: %s", args, out)
		}
	}
	t.Run("memory", func(t *testing.T) { killedTrainingResumes(t, dir, "2GiB", 4) })
	t.Run("disk", func(t *testing.T) { killedTrainingResumes(t, dir, "1MiB", 3) })
}

func killedTrainingResumes(t *testing.T, dir, memory string, epochs int) {
	whole, killed := "whole-"+memory, "killed-"+memory
	train := func(name string, more ...string) (*exec.Cmd, *bytes.Buffer) {
		args := []string{"train-model", "--arch", "cnn", "--epochs", strconv.Itoa(epochs), "--batch-size", "512",
			"--workers", "2", "--memory", memory, "--run", name}
		return degasProcess(t, dir, append(args, more...)...)
	}
	began := time.Now()
	c, out := train(whole)
	if c.Run() != nil {
		t.Fatalf("uninterrupted: %s", out)
	}
	if fromDisk := strings.Contains(out.String(), "read from disk"); fromDisk != (memory == "1MiB") {
		t.Errorf("--memory %s: %s", memory, out)
	}
	took := time.Since(began)
	resume := []string{}
	kills := 0
	for i := range 20 {
		c, out := train(killed, resume...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		// Moments spread over an epoch and more, so that kills meet steps, validation and checkpoints.
		timer := time.AfterFunc(took*time.Duration(4+i)/time.Duration(4*epochs), func() { _ = c.Process.Kill() })
		err := c.Wait()
		timer.Stop()
		if err == nil {
			break
		}
		if c.ProcessState.ExitCode() >= 0 {
			t.Fatalf("run %d failed of itself: %s", i, out)
		}
		kills++
		if _, err := os.Stat(filepath.Join(dir, "runs", killed, "config.yaml")); err == nil {
			resume = []string{"--resume"}
		}
	}
	if kills == 0 {
		t.Fatal("no run was killed")
	}
	t.Logf("%d kills, %s uninterrupted", kills, took)
	for _, name := range []string{"model/model.json", "model/model.safetensors", "history.jsonl"} {
		a, err := os.ReadFile(filepath.Join(dir, "runs", whole, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "runs", killed, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "history.jsonl" { // times differ
			if strings.Count(string(a), "\n") != strings.Count(string(b), "\n") {
				t.Errorf("history of %d and %d epochs", strings.Count(string(a), "\n"), strings.Count(string(b), "\n"))
			}
			continue
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs from the uninterrupted run's", name)
		}
	}
}
