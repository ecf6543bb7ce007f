package cuda

import (
	"context"
	"errors"
	"fmt"
	"sync"

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
	return errors.Join(s.dev.Upload(s.set.codes, codes), s.dev.Upload(s.set.labels, bytesOf(labels)),
		s.dev.Upload(s.set.weights, bytesOf(weights)))
}

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

func (s *session) Epoch(ctx context.Context, key uint64, before func(done int),
	report func(done int, loss float64) error) (float64, error) {
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
		s.updates++ // also where the device left the parameters alone, which only the epoch's loss tells
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

// takeBatch queues the copy of count names, the first-th of key's order and on, into the batch.
func (s *session) takeBatch(first, count int, key uint64) {
	s.launch("take_batch", device.Dim{X: s.batch}, device.Dim{X: 64}, 0, s.codes, s.labels, s.shares, s.set.codes,
		s.set.labels, s.set.weights, s.set.n, first, count, s.window, s.pad, key)
}

// waiting is how many batches are on their way when the scores of the first are looked at: the device does not run dry
// while the host is at one of them.
const waiting = device.Fetches - 1

// Probabilities works on one batch while the next is copied to the device and other goroutines turn the scores of the
// last into probabilities.
func (s *session) Probabilities(ctx context.Context, codes []byte, out []float32) error {
	outputs, labels := s.spec.Outputs(), len(s.spec.Labels)
	var came [2]scores
	for i := range came {
		came[i].logits = make([]float32, min(s.batch, len(codes)/s.window)*outputs)
		defer came[i].turning.Wait()
	}
	defer func(training device.Address) { s.codes = training }(s.codes)
	var queue []scored
	for n, turn := len(codes)/s.window, 0; n > 0 || len(queue) > 0; {
		if err := errors.Join(ctx.Err(), s.err); err != nil {
			return err
		}
		if n > 0 {
			count := min(s.batch, n)
			collect, err := s.score(codes[:count*s.window], 4*count*outputs)
			if err != nil {
				return err
			}
			queue = append(queue, scored{count, collect})
			codes, n = codes[count*s.window:], n-count
			if n > 0 && len(queue) < waiting {
				continue
			}
		}
		c := &came[turn%2]
		c.turning.Wait()
		logits := c.logits[:queue[0].count*outputs]
		if err := queue[0].collect(bytesOf(logits)); err != nil {
			return err
		}
		queue, turn = queue[1:], turn+1
		for len(logits) > 0 {
			count := min(turned, len(logits)/outputs)
			part, into := logits[:count*outputs], out[:count*labels]
			c.turning.Go(func() { model.ProbabilitiesOfLogits(part, outputs, into) })
			logits, out = logits[count*outputs:], out[count*labels:]
		}
	}
	return nil
}

// scored is a batch on its way.
type scored struct {
	count   int
	collect func(logits []byte) error
}

// scores are a batch's logits while goroutines turn them into probabilities.
type scores struct {
	logits  []float32
	turning sync.WaitGroup
}

// turned is how many names' scores one goroutine turns into probabilities: 0.1 ms and more of work.
const turned = 4096

// score queues the way of codes through the network and that of their logits to the host.
func (s *session) score(codes []byte, bytes int) (collect func([]byte) error, err error) {
	s.ahead[0], s.ahead[1] = s.ahead[1], s.ahead[0]
	s.codes = s.ahead[0]
	if err := s.dev.Ahead(s.codes, codes); err != nil {
		return nil, err
	}
	s.forward(false)
	if s.err != nil {
		return nil, s.err
	}
	return s.dev.Fetch(s.logits.data, bytes)
}

// Narrow writes codes as bytes: the kernels know no more than 256.
func (s *session) Narrow(dst []byte, codes []uint16) {
	for i, c := range codes {
		dst[i] = byte(c)
	}
}
