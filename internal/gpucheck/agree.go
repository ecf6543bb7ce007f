package main

import (
	"context"
	"fmt"
	"math"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
)

var precisions = []string{trainer.PrecisionFP32, trainer.PrecisionTF32, trainer.PrecisionBF16}

// pair is a CPU and a CUDA session of the same Spec and weights.
func pair(ctx context.Context, spec *model.Spec, precision string, batch int) (cpu, gpu trainer.Session, err error) {
	if cpu, err = start(ctx, "cpu", "", spec, batch); err != nil {
		return nil, nil, err
	}
	if gpu, err = start(ctx, "cuda", precision, spec, batch); err != nil {
		cpu.Close()
		return nil, nil, err
	}
	return cpu, gpu, nil
}

// gradients compares every parameter's gradient: the norm of the difference by the norm of the CPU's.
func (c *check) gradients(ctx context.Context) (any, error) {
	out := map[string]map[string]float64{}
	batch := 512
	if c.quick {
		batch = 40
	}
	for _, preset := range c.presets() {
		for _, precision := range precisions {
			spec, err := c.spec(preset, false)
			if err != nil {
				return nil, err
			}
			cpu, gpu, err := pair(ctx, spec, precision, batch)
			if err != nil {
				return nil, err
			}
			b := c.batch(spec, 0, batch)
			_, want, err := cpu.(trainer.Differentiator).Gradients(b)
			if err != nil {
				return nil, err
			}
			_, got, err := gpu.(trainer.Differentiator).Gradients(b)
			if err != nil {
				return nil, err
			}
			differences := map[string]float64{}
			for name, w := range want {
				differences[name] = distance(got[name].Data, w.Data)
			}
			out[preset+" "+precision] = differences
			cpu.Close()
			gpu.Close()
		}
	}
	return out, nil
}

func distance(got, want []float32) float64 {
	var diff, norm float64
	for i, v := range want {
		d := float64(v - got[i])
		diff, norm = diff+d*d, norm+float64(v)*float64(v)
	}
	return math.Sqrt(diff) / max(math.Sqrt(norm), 1e-12)
}

// trajectory is how far two walks lie apart.
type trajectory struct {
	Steps   int     `json:"steps"`
	Largest float64 `json:"largest_relative_difference"`
	First   float64 `json:"first_loss"`
	Last    float64 `json:"last_loss"`
	LastCPU float64 `json:"last_loss_cpu"`
}

// trajectories walks all precisions beside the CPU, over the same batches.
func (c *check) trajectories(ctx context.Context) (any, error) {
	out := map[string]*trajectory{}
	for _, preset := range c.presets() {
		if err := c.trajectory(ctx, preset, out); err != nil {
			return out, fmt.Errorf("%s: %w", preset, err)
		}
	}
	return out, nil
}

func (c *check) trajectory(ctx context.Context, preset string, out map[string]*trajectory) error {
	batch, steps := 256, 200
	if c.quick {
		batch, steps = 40, 2
	}
	spec, err := c.spec(preset, false)
	if err != nil {
		return err
	}
	cpu, err := start(ctx, "cpu", "", spec, batch)
	if err != nil {
		return err
	}
	defer cpu.Close()
	sessions := map[string]trainer.Session{}
	for _, precision := range precisions {
		if sessions[precision], err = start(ctx, "cuda", precision, spec, batch); err != nil {
			return err
		}
		defer sessions[precision].Close()
		out[preset+" "+precision] = &trajectory{}
	}
	for i := range steps {
		b := c.batch(spec, i*batch, batch)
		want, err := cpu.Step(ctx, b)
		if err != nil {
			return err
		}
		for precision, gpu := range sessions {
			t := out[preset+" "+precision]
			t.Steps, t.LastCPU = i+1, want
			if t.Last, err = gpu.Step(ctx, b); err != nil {
				return err
			}
			if i == 0 {
				t.First = t.Last
			}
			t.Largest = max(t.Largest, math.Abs(t.Last-want)/want)
		}
	}
	return nil
}

// auc trains cnn for five epochs on nine tenths of the names and gives the AUC on the rest, on both engines and, to show what
// a seed is worth, on the CPU with another.
func (c *check) auc(ctx context.Context) (any, error) {
	out := map[string]float64{}
	for _, t := range []struct {
		name, engine, precision string
		seed                    uint64
	}{
		{"CPU", "cpu", "", 1},
		{"CUDA fp32", "cuda", trainer.PrecisionFP32, 1}, {"CUDA tf32", "cuda", trainer.PrecisionTF32, 1}, {"CUDA bf16", "cuda", trainer.PrecisionBF16, 1},
		{"CPU with another seed", "cpu", "", 2},
	} {
		auc, err := c.aucOf(ctx, t.engine, t.precision, t.seed)
		if err != nil {
			return out, fmt.Errorf("%s: %w", t.name, err)
		}
		out[t.name] = auc
	}
	return out, nil
}

func (c *check) aucOf(ctx context.Context, engine, precision string, seed uint64) (float64, error) {
	e, err := trainer.LookupEngine(engine)
	if err != nil {
		return 0, err
	}
	spec, err := c.spec("cnn", true)
	if err != nil {
		return 0, err
	}
	o := trainer.DefaultOptions()
	o.Epochs, o.Precision, o.Seed = 5, precision, seed
	n := len(c.names)
	if c.quick {
		n, o.Epochs = 600, 1
	}
	train, rest := trainer.NewSet(c.names[:n*9/10], c.labels[:n*9/10]), trainer.NewSet(c.names[n*9/10:n], c.labels[n*9/10:n])
	r, err := trainer.Fit(ctx, trainer.Task{Spec: spec, Engine: e, Train: train, Validation: rest}, o, trainer.Observer{})
	if err != nil {
		return 0, err
	}
	return r.History[len(r.History)-1].ValidationAUC, nil
}
