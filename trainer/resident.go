package trainer

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/degas-dns/degas/model"
)

// resident is the session as one that walks an epoch by itself; nil where it cannot or the host has to see every step.
func (f *fit) resident() Resident {
	r, ok := f.session.(Resident)
	if !ok || f.Average > 0 {
		return nil
	}
	return r
}

// walk does an epoch on a session's device: on the whole set or, where that does not fit, on one portion after the other.
func (f *fit) walk(ctx context.Context, r Resident, epoch int) (float64, error) {
	if f.room == 0 {
		f.room = f.Train.Len()
	}
	for {
		pass := f.whole
		if f.room < f.Train.Len() {
			pass = f.portions
		}
		loss, began, err := pass(ctx, r, epoch)
		if began || !errors.Is(err, ErrTooLarge) || f.room <= f.BatchSize {
			return loss, err
		}
		f.room = (f.room/2 + f.BatchSize - 1) / f.BatchSize * f.BatchSize
		slog.Warn("the training set goes to the device in portions", "names", f.room, "reason", err)
	}
}

// whole walks the set as it lies on the device, where it is put unless it is there. began is whether a step was done.
func (f *fit) whole(ctx context.Context, r Resident, epoch int) (loss float64, began bool, err error) {
	if !f.kept || f.changes() {
		p, err := f.portion(ctx, r, epoch, nil)
		if err != nil {
			return 0, false, err
		}
		if err := r.Keep(p.codes, p.labels, p.weights); err != nil {
			return 0, false, err
		}
		f.kept = true
	}
	loss, err = f.pass(ctx, r, epoch, orderKey(f.Seed, epoch), 0, 0)
	return loss, true, err
}

// portions walks a shuffled set piece by piece. The next piece is encoded while the device is at one.
func (f *fit) portions(ctx context.Context, r Resident, epoch int) (loss float64, began bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ready := make(chan portion)
	go func() {
		defer close(ready)
		for piece := range slices.Chunk(ordered(f.Train.Len(), f.Seed, epoch), f.room) {
			p, err := f.portion(ctx, r, epoch, piece)
			if err != nil {
				return
			}
			select {
			case ready <- p:
			case <-ctx.Done():
				return
			}
		}
	}()
	var sum float64
	done := 0
	for p := range ready {
		if err := r.Keep(p.codes, p.labels, p.weights); err != nil {
			return 0, done > 0, err
		}
		mean, err := f.pass(ctx, r, epoch, 0, done, sum)
		if err != nil {
			return 0, true, err
		}
		sum += mean * float64(len(p.labels))
		done += len(p.labels)
	}
	return sum / float64(max(done, 1)), true, ctx.Err()
}

// portion is names as a device takes them.
type portion struct {
	codes   []byte // [n, window]
	labels  []uint16
	weights []float32
}

// portion encodes picks of the training names, all where it is nil, as an epoch sees them, on all cores.
func (f *fit) portion(ctx context.Context, r Resident, epoch int, picks []uint32) (portion, error) {
	n, window, workers := f.Train.Len(), f.Spec.Encoder.Window, runtime.GOMAXPROCS(0)
	if picks != nil {
		n = len(picks)
	}
	p := portion{make([]byte, n*window), make([]uint16, n), make([]float32, n)}
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			coder, name := f.Spec.Encoder.Coder(), make([]uint16, window)
			for i := w * n / workers; i < (w+1)*n/workers && ctx.Err() == nil; i++ {
				from := uint32(i)
				if picks != nil {
					from = picks[i]
				}
				coder.Encode(name, f.name(epoch, from))
				r.Narrow(p.codes[i*window:(i+1)*window], name)
				p.labels[i], p.weights[i] = f.Train.labels[from], f.weights[f.Train.groups[from]]
			}
		})
	}
	all.Wait()
	return p, ctx.Err()
}

// pass walks what the device keeps in the order of a key, from names and their sum of losses into the epoch.
func (f *fit) pass(ctx context.Context, r Resident, epoch int, key uint64, from int, sum float64) (float64, error) {
	total := f.Train.Len()
	return r.Epoch(ctx, key, func(done int) { f.schedule(epoch, from+done) }, func(done int, loss float64) error {
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return f.diverged(epoch, from+done, loss)
		}
		if f.Observer.Step != nil {
			f.Observer.Step(epoch, from+done, total, (sum+loss*float64(done))/float64(from+done))
		}
		return nil
	})
}

// scorer is what scores names with the weights after an epoch: the session where it is resident and has them, else a
// classifier.
func (f *fit) scorer(w model.Weights) (scorer, error) {
	if r := f.resident(); r != nil && f.before == nil {
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
