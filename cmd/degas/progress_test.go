package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8"

	"github.com/degas-dns/degas/trainer"
)

// When the terminal goes away mpb cancels itself; training goes on, with a line an epoch.
func TestProgressWithoutItsTerminal(t *testing.T) {
	var out bytes.Buffer
	p := &progress{
		command: &command{err: &out},
		open:    map[string]*bar{},
		bars:    mpb.New(mpb.WithOutput(io.Discard), mpb.WithAutoRefresh()),
	}
	obs := p.training()
	obs.Step(1, 1, 10, 0.5)
	if p.open["epoch 1"] == nil {
		t.Error("no bar while there is a terminal")
	}
	p.bars.Shutdown() // as mpb's serve does when it cannot ask for the terminal's size
	obs.Step(1, 10, 10, 0.4)
	obs.Epoch(trainer.Epoch{Epoch: 1})
	obs.Step(2, 1, 10, 0.3)
	if len(p.open) != 0 {
		t.Errorf("bars %v are open without a terminal", p.open)
	}
	if !strings.Contains(out.String(), "epoch   1") {
		t.Errorf("wrote %q in place of the epoch", out.String())
	}
	p.close()
}

// The note is changed while mpb draws it: for the race detector.
func TestProgressNote(t *testing.T) {
	p := &progress{command: &command{err: io.Discard}, open: map[string]*bar{},
		bars: mpb.New(mpb.WithOutput(io.Discard), mpb.WithAutoRefresh(), mpb.WithRefreshRate(time.Millisecond))}
	step := p.training().Step
	for i := range 200 {
		step(1, i, 1000, float64(i))
		time.Sleep(100 * time.Microsecond)
	}
	p.close()
}
