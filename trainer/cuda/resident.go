package cuda

import (
	"context"
	"errors"
	"fmt"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

var _ trainer.Resident = (*session)(nil)

// resident is a training set on the device.
type resident struct {
	n                      int
	codes, labels, weights device.Address // [n, window] bytes, [n] uint16, [n] float32
}

// Keep puts a training set on the device in place of what was there.
func (s *session) Keep(codes []byte, labels []uint16, weights []float32) error {
	if len(labels) == 0 || len(codes) != len(labels)*s.window || len(weights) != len(labels) {
		return fmt.Errorf("%d labels, %d codes and %d weights: want as many weights as labels, and codes in windows of %d",
			len(labels), len(codes), len(weights), s.window)
	}
	if s.set.n != len(labels) {
		if err := s.makeRoom(len(labels)); err != nil {
			return err
		}
	}
	return errors.Join(s.dev.Upload(s.set.codes, codes), s.dev.Upload(s.set.labels, bytesOf(labels)), s.dev.Upload(s.set.weights, bytesOf(weights)))
}

// makeRoom takes memory for n samples.
func (s *session) makeRoom(n int) error {
	if s.set.n > 0 {
		if err := errors.Join(s.dev.Free(s.set.codes), s.dev.Free(s.set.labels), s.dev.Free(s.set.weights)); err != nil {
			return err
		}
		s.set = resident{}
	}
	var taken []device.Address
	for _, bytes := range []int{n * s.window, 2 * n, 4 * n} {
		a, err := s.dev.Alloc(bytes)
		if err != nil {
			for _, t := range taken {
				_ = s.dev.Free(t)
			}
			if errors.Is(err, device.ErrMemory) {
				return fmt.Errorf("%w: %d names: %w", trainer.ErrTooLarge, n, err)
			}
			return err
		}
		taken = append(taken, a)
	}
	s.set = resident{n, taken[0], taken[1], taken[2]}
	return nil
}

// reportEvery is the steps between two looks at the loss, for which the host has to wait.
const reportEvery = 256

// Epoch does one epoch's steps over the set that is kept, in an order that key draws.
func (s *session) Epoch(ctx context.Context, key uint64, before func(done int), report func(done int, loss float64) error) (float64, error) {
	if s.set.n == 0 {
		return 0, errors.New("no training set is on the device")
	}
	s.clear(s.sums+epochLoss, 8)
	var loss float64
	for done, steps := 0, 1; done < s.set.n; steps++ {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		before(done)
		count := min(s.batch, s.set.n-done)
		s.takeBatch(done, count, key)
		s.update(count)
		s.updates++
		done += count
		if steps%reportEvery != 0 && done < s.set.n {
			continue
		}
		sum, err := s.number(epochLoss)
		if err != nil {
			return 0, err
		}
		loss = sum / float64(done)
		if err := report(done, loss); err != nil {
			return 0, err
		}
	}
	return loss, nil
}

// takeBatch queues the copy of count samples, the first-th of key's order and on, into the batch.
func (s *session) takeBatch(first, count int, key uint64) {
	s.launch("take_batch", device.Dim{X: s.batch}, device.Dim{X: 64}, 0, s.codes, s.labels, s.shares, s.set.codes, s.set.labels, s.set.weights,
		s.set.n, first, count, s.window, s.pad, key)
}

// Probabilities scores codes [n, window] into out [n, labels]. What came back of one batch is turned into probabilities while
// the device is at the next.
func (s *session) Probabilities(ctx context.Context, codes []byte, out []float32) error {
	outputs, labels := s.spec.Outputs(), len(s.spec.Labels)
	logits, came := make([]float32, s.batch*outputs), 0 // samples in logits
	for n := len(codes) / s.window; n > 0 || came > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		count := min(s.batch, n)
		if count > 0 {
			if err := s.dev.Upload(s.codes, codes[:count*s.window]); err != nil {
				return err
			}
			s.forward(false)
			if s.err != nil {
				return s.err
			}
		}
		model.Probabilities(logits[:came*outputs], outputs, out[:came*labels])
		out = out[came*labels:]
		if err := s.dev.Download(bytesOf(logits[:count*outputs]), s.logits.data); err != nil {
			return err
		}
		codes, n, came = codes[count*s.window:], n-count, count
	}
	return nil
}

// Narrow writes codes as bytes: the kernels know no more than 256.
func (s *session) Narrow(dst []byte, codes []uint16) {
	for i, c := range codes {
		dst[i] = byte(c)
	}
}
