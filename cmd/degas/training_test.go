package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/trainer"
)

// Where there is no terminal, a training says what it is, where it is every half a minute, and what each epoch was.
func TestTrainingLines(t *testing.T) {
	var out bytes.Buffer
	now := time.Time{}
	lines := &trainingLines{progress: &progress{command: &command{err: &out}}, now: func() time.Time { return now }}
	lines.begin(trainer.Beginning{Dir: "runs/a", Arch: "cnn", Engine: "cpu", Parameters: 1234, Train: 1000,
		Validation: 100, Epochs: 3, Blend: true})
	for _, done := range []int{0, 100, 200, 300, 400, 1000} {
		lines.step(1, done, 1000, 0.5)
		now = now.Add(20 * time.Second)
	}
	lines.epoch(trainer.Epoch{Epoch: 1, Best: true})
	lines.epoch(trainer.Epoch{Epoch: 3, Best: true, Blend: 0.5})
	want := []string{
		"run runs/a: cnn, 1,234 parameters; 1,000 names to train and 100 to validate; at most 3 epochs, " +
			"the last on invented names; engine cpu",
		"epoch 1 of 3: 200 of 1,000 names, loss 0.5000, at most 9m20s left", // 40 s for 200 of 3,000 names
		"epoch 1 of 3: 400 of 1,000 names, loss 0.5000, at most 8m40s left",
		"epoch   1 of 3  loss",
		"epoch   3 of 3 (invented names)  loss",
	}
	got := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(got) != len(want) {
		t.Fatalf("wrote %q", got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("line %d: %q, want %q", i, got[i], want[i])
		}
	}
	if !strings.HasSuffix(got[3], "  best") || strings.HasSuffix(got[4], "best") {
		t.Errorf("best: %q, %q", got[3], got[4])
	}
}

// A training that goes on in a later epoch measures its pace from there.
func TestTimeLeftAfterResume(t *testing.T) {
	now := time.Time{}
	lines := &trainingLines{progress: &progress{command: &command{err: &bytes.Buffer{}}},
		now: func() time.Time { return now }}
	lines.begin(trainer.Beginning{Epochs: 5, Resumed: true})
	lines.step(4, 500, 1000, 0.5)
	now = now.Add(10 * time.Second)
	if got, want := lines.left(now, 4, 600, 1000), ", at most 2m20s left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := lines.left(now, 5, 1000, 1000), ", 0s left"; got != want {
		t.Errorf("at the end %q, want %q", got, want)
	}
}

// A protocol has one training after another, of which nothing is told before: each has its own pace.
func TestTimeLeftOfNextTraining(t *testing.T) {
	var out bytes.Buffer
	now := time.Time{}
	lines := &trainingLines{progress: &progress{command: &command{err: &out}}, now: func() time.Time { return now }}
	for range 2 {
		for _, done := range []int{0, 500, 1000} {
			lines.step(1, done, 1000, 0.5)
			now = now.Add(40 * time.Second)
		}
	}
	want := strings.Repeat("epoch 1: 500 of 1,000 names, loss 0.5000, 40s left\n"+
		"epoch 1: 1,000 of 1,000 names, loss 0.5000, 0s left\n", 2)
	if out.String() != want {
		t.Errorf("wrote %q, want %q", out.String(), want)
	}
}

// A training that is interrupted in its first epoch, whose run nobody named, says how it goes on; another command is
// run again.
func TestInterruptedTrainingNamesItsRun(t *testing.T) {
	t.Chdir(t.TempDir())
	var list strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&list, "house%d.com,benign\nxq%dzjk.net,dga\n", i, i)
	}
	if err := os.MkdirAll("raw", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("raw/list.csv", []byte("domain,class\n"+list.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if code := run(t.Context(), []string{"degas", "process-data", "raw"}, nil, io.Discard, io.Discard); code != 0 {
		t.Fatalf("process-data: status %d", code)
	}
	for _, tc := range []struct{ args, config, want string }{
		{"train-model --arch lstm", "runs/lstm-1/config.yaml", "; to go on: degas train-model --run lstm-1 --resume\n"},
		{"train-model --arch lstm --runs r", "r/lstm-1/config.yaml", "degas train-model --run lstm-1 --resume --runs r\n"},
		{"train-model --arch lstm --run x", "", "interrupted; run the same command again\n"}, // nothing is there yet
		{"process-data raw", "", "interrupted; run the same command again\n"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if tc.config == "" {
			cancel()
		} else {
			go func() { // the run's configuration is there just before its first step
				for _, err := os.Stat(tc.config); err != nil && ctx.Err() == nil; _, err = os.Stat(tc.config) {
					time.Sleep(5 * time.Millisecond)
				}
				cancel()
			}()
		}
		var errOut bytes.Buffer
		code := run(ctx, append([]string{"degas"}, strings.Fields(tc.args)...), nil, io.Discard, &errOut)
		cancel()
		if code != exitInterrupted || !strings.HasSuffix(errOut.String(), tc.want) {
			t.Errorf("%s: status %d, %q, want %q", tc.args, code, errOut.String(), tc.want)
		}
	}
}
