package main

import (
	"bytes"
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
