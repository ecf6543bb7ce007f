package trainer_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
)

func fitted(t *testing.T, task trainer.Task, o trainer.Options) *trainer.Result {
	t.Helper()
	r, err := trainer.Fit(context.Background(), task, o, trainer.Observer{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The blend lies on the line between the best epoch's weights and those of one more epoch.
func TestBlendLiesBetween(t *testing.T) {
	o := options(3)
	best := fitted(t, task(t, ""), o)
	at := map[float64]model.Weights{}
	for _, share := range []float64{0.25, 1} {
		o.Blend = share
		r := fitted(t, task(t, ""), o)
		if len(r.History) != 4 || r.Best != r.History[3] || r.Best.Blend != share || r.Best.Epoch != 4 || !r.Best.Best {
			t.Fatalf("blend %g: %+v of %d epochs", share, r.Best, len(r.History))
		}
		at[share] = r.Weights
	}
	want := best.Weights.Clone()
	moved := false
	for name, w := range want {
		for i, v := range w.Data {
			moved = moved || v != at[1][name].Data[i]
			w.Data[i] = 0.75*v + 0.25*at[1][name].Data[i]
			if math.Abs(float64(w.Data[i]-at[0.25][name].Data[i])) > 1e-6 {
				t.Fatalf("%s[%d] = %g, want %g", name, i, at[0.25][name].Data[i], w.Data[i])
			}
		}
	}
	if !moved {
		t.Error("the epoch changed nothing")
	}
}

// The epoch that is added may be stopped, too, and a training that goes on begins where it was without that epoch.
func TestBlendResumes(t *testing.T) {
	o := options(6)
	o.Schedule, o.Augment, o.Invent, o.Blend = trainer.ScheduleCosine, 0.3, 0.2, 0.35
	resumeEqualsUninterrupted(t, o, 1, 4, 7)
	o.Schedule, o.Average = trainer.SchedulePlateau, 0.9
	long := fitted(t, task(t, t.TempDir()), o)
	short := task(t, t.TempDir())
	o.Epochs = 2
	fitted(t, short, o)
	short.Resume = true
	again, err := trainer.Fit(context.Background(), short, o,
		trainer.Observer{Step: func(int, int, int, float64) { t.Error("a finished training goes on") }})
	if err != nil || again.Best.Epoch != 3 || len(again.History) != 3 {
		t.Fatalf("%+v, %v", again, err)
	}
	o.Epochs = 6
	if r := fitted(t, short, o); len(r.History) != 7 || !bytes.Equal(weightBytes(t, r.Weights),
		weightBytes(t, long.Weights)) {
		t.Errorf("%d epochs, or other weights than at once", len(r.History))
	}
}

// secondLost loses the device of the second session that it starts.
type secondLost struct {
	trainer.Engine
	started *int
}

func (e secondLost) Start(ctx context.Context, s trainer.Setup) (trainer.Session, error) {
	if *e.started++; *e.started == 2 {
		return lostEngine{e.Engine, 1}.Start(ctx, s)
	}
	return e.Engine.Start(ctx, s)
}

// A device that is lost in that epoch leaves the training as it was before.
func TestBlendLost(t *testing.T) {
	o := options(2)
	o.Blend = 0.5
	want := fitted(t, task(t, ""), o)
	lost := task(t, t.TempDir())
	lost.Engine = secondLost{lost.Engine, new(int)}
	if _, err := trainer.Fit(context.Background(), lost, o, trainer.Observer{}); !errors.Is(err, errLost) {
		t.Fatalf("error %v", err)
	}
	lost.Resume = true
	if r := fitted(t, lost, o); !bytes.Equal(weightBytes(t, r.Weights), weightBytes(t, want.Weights)) {
		t.Error("the resumed training ended with other weights")
	}
}
