package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

// rate is one measurement, in names/s; Problem says why there is none.
type rate struct {
	Preset    string  `json:"preset"`
	Precision string  `json:"precision"`
	Batch     int     `json:"batch"`
	Train     float64 `json:"train,omitempty"`
	Infer     float64 `json:"infer,omitempty"`
	Problem   string  `json:"problem,omitempty"`
}

// speed measures training and inference by batch size, what the targets are set for first.
func (c *check) speed(ctx context.Context, show func(any)) error {
	batches := []int{4096, 16384, 1024, 256}
	if c.quick {
		batches = []int{64}
	}
	var out []rate
	var failed []error
	for _, preset := range c.presets {
		for _, precision := range slices.Backward(precisions) {
			for _, batch := range batches {
				r, err := c.rate(ctx, preset, precision, batch)
				if err != nil {
					r.Problem = err.Error()
					failed = append(failed, fmt.Errorf("%s %s, batch %d: %w", preset, precision, batch, err))
				}
				out = append(out, r)
				show(out)
				if errors.Is(err, device.ErrLost) {
					return errors.Join(failed...)
				}
			}
		}
	}
	return errors.Join(failed...)
}

func (c *check) rate(ctx context.Context, preset, precision string, batch int) (rate, error) {
	r := rate{Preset: preset, Precision: precision, Batch: batch}
	spec, err := c.spec(preset, true)
	if err != nil {
		return r, err
	}
	s, err := start(ctx, c.engine, precision, spec, batch)
	if err != nil {
		return r, err
	}
	defer s.Close()
	on := s.(trainer.Resident)
	n := max(batch*8, 65536)
	if c.quick {
		n = batch * 2
	}
	b := c.batch(spec, 0, n)
	codes, labels := make([]byte, len(b.Codes)), make([]uint16, n)
	on.Narrow(codes, b.Codes)
	for i, l := range b.Labels {
		labels[i] = uint16(l)
	}
	if err := on.Keep(codes, labels, b.Weights); err != nil {
		return r, err
	}
	sound := func(_ int, loss float64) error { // without a loss the device leaves out the update
		if !number(loss).finite() {
			return fmt.Errorf("loss %v", loss)
		}
		return nil
	}
	r.Train, err = c.measure(n, func() error {
		_, err := on.Epoch(ctx, 1, func(int) {}, sound)
		return err
	})
	if err != nil {
		return r, err
	}
	out := make([]float32, 2*n)
	r.Infer, err = c.measure(n, func() error { return on.Probabilities(ctx, codes, out) })
	return r, err
}

// measure calls work, which handles n names, for a while and gives names/s.
func (c *check) measure(n int, work func() error) (float64, error) {
	if err := work(); err != nil { // warm-up
		return 0, err
	}
	calls, began := 0, time.Now()
	for time.Since(began).Seconds() < c.seconds {
		if err := work(); err != nil {
			return 0, err
		}
		calls++
	}
	return float64(calls*n) / time.Since(began).Seconds(), nil
}

// epoch is one epoch of cnn over as many names as DGTA-BENCH has, as train-model does it: encoding, upload, training,
// validation.
func (c *check) epoch(ctx context.Context, show func(any)) error {
	n, batch := 1_660_000, 4096
	if c.quick {
		n, batch = 500, 64
	}
	names, labels := make([]string, n), make([]int, n)
	for i := range n {
		names[i], labels[i] = c.names[i%len(c.names)], c.labels[i%len(c.names)]
	}
	o := trainer.DefaultOptions()
	o.Epochs, o.BatchSize = 2, batch // the first also loads kernels and the set
	history, err := c.fit(ctx, c.engine, o, trainer.NewSet(names, labels), trainer.NewSet(names[:n/10], labels[:n/10]))
	if err != nil {
		return err
	}
	first, second := history[0], history[1]
	show(map[string]float64{"names": float64(n), "first_seconds": first.Seconds, "seconds": second.Seconds,
		"training_names_per_second": second.NamesPerSecond})
	return nil
}
