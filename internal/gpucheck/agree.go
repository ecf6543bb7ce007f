package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
)

var precisions = []string{"fp32", "tf32", "bf16"}

// How far an engine may lie from the CPU's before something is wrong, several times what rounding was seen to do on an
// H200: a gradient by its norm, the last loss of a walk by itself, an AUC.
var (
	mostGradient = map[string]float64{"fp32": 1e-4, "tf32": 0.05, "bf16": 0.15}
	mostLoss     = 0.15
	mostAUC      = 5e-4
)

// gradients compares every parameter's gradient: the norm of the difference by the norm of the CPU's.
func (c *check) gradients(ctx context.Context, show func(any)) error {
	out := map[string]map[string]number{}
	var failed []error
	for _, preset := range c.presets {
		for _, precision := range precisions {
			key := preset + " " + precision
			differences, err := c.differences(ctx, preset, precision)
			if err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", key, err))
			}
			if differences != nil {
				out[key] = differences
				show(out)
			}
		}
	}
	return errors.Join(failed...)
}

// differences is by parameter. It comes with an error where one is not finite.
func (c *check) differences(ctx context.Context, preset, precision string) (map[string]number, error) {
	batch := 512
	if c.quick {
		batch = 40
	}
	spec, err := c.spec(preset, false)
	if err != nil {
		return nil, err
	}
	b := c.batch(spec, 0, batch)
	want, err := gradient(ctx, "cpu", "", spec, b)
	if err != nil {
		return nil, fmt.Errorf("the CPU's: %w", err)
	}
	got, err := gradient(ctx, c.engine, precision, spec, b)
	if err != nil {
		return nil, err
	}
	out := map[string]number{}
	var wrong, far []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		out[name] = number(distance(got[name].Data, want[name].Data))
		switch {
		case !out[name].finite():
			wrong = append(wrong, name)
		case float64(out[name]) > mostGradient[precision]:
			far = append(far, name)
		}
	}
	if wrong != nil {
		return out, fmt.Errorf("no finite gradient of %s", strings.Join(wrong, ", "))
	}
	if far != nil {
		return out, fmt.Errorf("the gradients of %s lie further than %g of their norm from the CPU's",
			strings.Join(far, ", "), mostGradient[precision])
	}
	return out, nil
}

func gradient(
	ctx context.Context, engine, precision string, spec *model.Spec, b *trainer.Batch,
) (model.Weights, error) {
	s, err := start(ctx, engine, precision, spec, len(b.Labels))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	_, grads, err := s.(trainer.Differentiator).Gradients(b)
	return grads, err
}

// distance is NaN where got is of another size.
func distance(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.NaN()
	}
	var diff, norm float64
	for i, v := range want {
		d := float64(v - got[i])
		diff, norm = diff+d*d, norm+float64(v)*float64(v)
	}
	return math.Sqrt(diff) / max(math.Sqrt(norm), 1e-12)
}

type trajectory struct {
	Steps   int    `json:"steps"`
	Largest number `json:"largest_relative_difference"`
	First   number `json:"first_loss"`
	Last    number `json:"last_loss"`
	LastCPU number `json:"last_loss_cpu"`
}

// trajectories walks all precisions beside the CPU, over the same batches.
func (c *check) trajectories(ctx context.Context, show func(any)) error {
	out := map[string]*trajectory{}
	var failed []error
	for _, preset := range c.presets {
		want, err := c.walk(ctx, preset, "cpu", "")
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: the CPU's: %w", preset, err))
			continue
		}
		for _, precision := range precisions { // one after the other: what one fails with comes after the others' results
			key := preset + " " + precision
			got, err := c.walk(ctx, preset, c.engine, precision)
			if len(got) > 0 {
				out[key] = apart(got, want)
				show(out)
				if t := out[key]; err == nil && !t.Largest.finite() {
					err = errors.New("no finite loss")
				} else if err == nil && math.Abs(float64(t.Last-t.LastCPU)) > mostLoss*float64(t.LastCPU) {
					err = fmt.Errorf("after %d steps the loss is %v, the CPU's %v", t.Steps, t.Last, t.LastCPU)
				}
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", key, err))
			}
		}
	}
	return errors.Join(failed...)
}

// walk gives the losses of steps without dropout; with an error, those before it.
func (c *check) walk(ctx context.Context, preset, engine, precision string) ([]float64, error) {
	batch, steps := 256, 200
	if c.quick {
		batch, steps = 40, 2
	}
	spec, err := c.spec(preset, false)
	if err != nil {
		return nil, err
	}
	s, err := start(ctx, engine, precision, spec, batch)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var losses []float64
	for i := range steps {
		loss, err := s.Step(ctx, c.batch(spec, i*batch, batch))
		if err != nil {
			return losses, err // says which step
		}
		losses = append(losses, loss)
	}
	return losses, nil
}

// apart compares a walk, of at least one step, with the CPU's, which is no shorter.
func apart(got, want []float64) *trajectory {
	last := len(got) - 1
	t := &trajectory{Steps: len(got), First: number(got[0]), Last: number(got[last]), LastCPU: number(want[last])}
	for i, loss := range got {
		t.Largest = max(t.Largest, number(math.Abs(loss-want[i])/want[i]))
	}
	return t
}

// auc trains cnn for five epochs on nine tenths of the names and gives the AUC on the rest, on both engines and, to
// show what a seed is worth, on the CPU with another.
func (c *check) auc(ctx context.Context, show func(any)) error {
	out := map[string]number{}
	var failed []error
	for _, t := range []struct {
		name, engine, precision string
		seed                    uint64
	}{
		{"CPU", "cpu", "", 1},
		{"CUDA fp32", c.engine, "fp32", 1},
		{"CUDA tf32", c.engine, "tf32", 1},
		{"CUDA bf16", c.engine, "bf16", 1},
		{"CPU with another seed", "cpu", "", 2},
	} {
		auc, err := c.aucOf(ctx, t.engine, t.precision, t.seed)
		if err == nil {
			out[t.name] = number(auc)
			show(out)
			if !out[t.name].finite() {
				err = errors.New("no finite AUC")
			} else if d := math.Abs(float64(out[t.name] - out["CPU"])); t.engine == c.engine && !c.quick && d > mostAUC {
				err = fmt.Errorf("AUC %v, the CPU's %v", out[t.name], out["CPU"])
			}
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", t.name, err))
		}
	}
	return errors.Join(failed...)
}

func (c *check) aucOf(ctx context.Context, engine, precision string, seed uint64) (float64, error) {
	o := trainer.DefaultOptions()
	o.Epochs, o.Precision, o.Seed = 5, precision, seed
	n := len(c.names)
	if c.quick {
		n, o.Epochs = 600, 1
	}
	history, err := c.fit(ctx, engine, o, trainer.NewSet(c.names[:n*9/10], c.labels[:n*9/10]),
		trainer.NewSet(c.names[n*9/10:n], c.labels[n*9/10:n]))
	if err != nil {
		return 0, err
	}
	return history[len(history)-1].ValidationAUC, nil
}

// fit trains cnn.
func (c *check) fit(
	ctx context.Context, engine string, o trainer.Options, train, validation *trainer.Set,
) ([]trainer.Epoch, error) {
	e, err := trainer.Engines.Lookup(engine)
	if err != nil {
		return nil, err
	}
	spec, err := c.spec("cnn", true)
	if err != nil {
		return nil, err
	}
	task := trainer.Task{Spec: spec, Engine: e, Train: train, Validation: validation}
	r, err := trainer.Fit(ctx, task, o, trainer.Observer{})
	if err != nil {
		return nil, err
	}
	return r.History, nil
}
