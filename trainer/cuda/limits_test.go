//go:build gpu && !emulate

package cuda

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

// Every preset in its own size must stay within a GPU's limits (threads, blocks, shared memory, 80 GB), whatever the
// batch.
func TestLimits(t *testing.T) {
	if os.Getenv("DEGAS_EMULATED") == "" {
		t.Skip("takes scripts/gpu-build --emulated, where launches need not run")
	}
	t.Setenv("DEGAS_EMULATED_DRY", "1")
	t.Setenv("DEGAS_EMULATED_MEMORY", "80000000000")
	for _, name := range model.Presets() {
		spec, err := model.Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		if (engine{}).Supports(&spec) != nil {
			continue
		}
		w, err := model.Initial(&spec, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, precision := range []string{trainer.PrecisionFP32, trainer.PrecisionTF32, trainer.PrecisionBF16} {
			for _, batch := range []int{1, 250, 4096, 16384} {
				t.Run(fmt.Sprintf("%s/%s/%d", name, precision, batch), func(t *testing.T) {
					if err := oneStep(&spec, w, precision, batch); err != nil &&
						(name != "gta1" || !errors.Is(err, device.ErrMemory)) {
						t.Error(err)
					}
				})
			}
		}
	}
}

// A kernel that fails under one of many batches must end the scores with ErrLost.
func TestLostWhileScoring(t *testing.T) {
	if os.Getenv("DEGAS_EMULATED") == "" {
		t.Skip("takes scripts/gpu-build --emulated, where a launch can be made to fail")
	}
	t.Setenv("DEGAS_EMULATED_LOST", "30")
	spec := narrow(t, "cnn", 0)
	w, err := model.Initial(&spec, 5)
	if err != nil {
		t.Fatal(err)
	}
	ses, err := engine{}.Start(context.Background(), trainer.Setup{Spec: &spec, Weights: w, BatchSize: 2, Workers: 1,
		Seed: 1, LearningRate: 1e-3})
	if err != nil {
		t.Fatal(err)
	}
	const names = 40
	err = ses.(trainer.Resident).Probabilities(context.Background(), make([]byte, names*spec.Encoder.Window),
		make([]float32, 2*names))
	if !errors.Is(err, device.ErrLost) {
		t.Errorf("got %v, want ErrLost", err)
	}
	if err := ses.Close(); !errors.Is(err, device.ErrLost) {
		t.Errorf("close: %v, want ErrLost", err)
	}
}

// oneStep queues a training step of a batch of names without characters.
func oneStep(spec *model.Spec, w model.Weights, precision string, batch int) error {
	ctx := context.Background()
	ses, err := engine{}.Start(ctx, trainer.Setup{Spec: spec, Weights: w, BatchSize: batch, Workers: 1, Seed: 1,
		LearningRate: 1e-3, Precision: precision})
	if err != nil {
		return err
	}
	_, err = ses.Step(ctx, &trainer.Batch{Codes: make([]uint16, batch*spec.Encoder.Window), Labels: make([]int, batch),
		Weights: make([]float32, batch)})
	return errors.Join(err, ses.Close())
}
