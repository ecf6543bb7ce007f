package trainer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"sync"

	"github.com/degas-dns/degas/model"
)

// resident is the session as one that walks an epoch by itself, with the training set where it needs it; nil where the
// session cannot, the set does not fit, or the host has to see every step.
func (f *fit) resident(ctx context.Context, epoch int) (Resident, error) {
	r, ok := f.session.(Resident)
	if !ok || f.streams || f.Average > 0 {
		return nil, nil
	}
	if f.kept && f.Augment == 0 {
		return r, nil
	}
	codes, err := f.encoded(ctx, r, epoch)
	if err != nil {
		return nil, err
	}
	switch err := r.Keep(codes, f.Train.labels, f.weightsOfAll()); {
	case errors.Is(err, ErrTooLarge):
		slog.Warn("training streams its batches", "reason", err)
		f.streams = true
		return nil, nil
	case err != nil:
		return nil, err
	}
	f.kept = true
	return r, nil
}

// encoded is the codes of all training names as an epoch sees them, [n, window], made on all cores.
func (f *fit) encoded(ctx context.Context, r Resident, epoch int) ([]byte, error) {
	n, window, workers := f.Train.Len(), f.Spec.Encoder.Window, runtime.GOMAXPROCS(0)
	codes := make([]byte, n*window)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			coder, name := f.Spec.Encoder.Coder(), make([]uint16, window)
			for i := w * n / workers; i < (w+1)*n/workers && ctx.Err() == nil; i++ {
				coder.Encode(name, f.name(epoch, uint32(i)))
				r.Narrow(codes[i*window:(i+1)*window], name)
			}
		})
	}
	all.Wait()
	return codes, ctx.Err()
}

// walk does an epoch on a resident set.
func (f *fit) walk(ctx context.Context, r Resident, epoch int) (float64, error) {
	total := f.Train.Len()
	key := model.SubSeed(f.Seed, fmt.Sprintf("order of epoch %d", epoch))
	return r.Epoch(ctx, key, func(done int) { f.schedule(epoch, done) }, func(done int, loss float64) error {
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return f.diverged(epoch, done, loss)
		}
		if f.Observer.Step != nil {
			f.Observer.Step(epoch, done, total, loss)
		}
		return nil
	})
}

// scorer is what scores names with the weights after an epoch: the session where it is resident, else a classifier.
func (f *fit) scorer(w model.Weights) (scorer, error) {
	if r, ok := f.session.(Resident); ok && f.kept {
		return &deviceScorer{Resident: r, coder: f.Spec.Encoder.Coder()}, nil
	}
	return model.NewClassifier(&model.Model{Spec: *f.Spec, Weights: w, Threshold: 0.5})
}

// scorer scores names into [n, labels].
type scorer interface {
	Probabilities(ctx context.Context, names []string, out []float32) error
}

// deviceScorer encodes names for a resident session.
type deviceScorer struct {
	Resident
	coder *model.Coder
	codes []byte
	name  []uint16
}

// Probabilities scores names.
func (s *deviceScorer) Probabilities(ctx context.Context, names []string, out []float32) error {
	window := s.coder.Window()
	if len(s.codes) < len(names)*window {
		s.codes, s.name = make([]byte, len(names)*window), make([]uint16, window)
	}
	for i, n := range names {
		s.coder.Encode(s.name, n)
		s.Narrow(s.codes[i*window:(i+1)*window], s.name)
	}
	return s.Resident.Probabilities(ctx, s.codes[:len(names)*window], out)
}
