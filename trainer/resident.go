package trainer

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"

	"github.com/degas-dns/degas/model"
)

// resident is the session as one that walks an epoch by itself; nil where it cannot or the host has to see every step.
func (f *fit) resident() Resident {
	r, ok := f.session.(Resident)
	if !ok || f.options.Average > 0 {
		return nil
	}
	return r
}

// trainOnDevice does an epoch on a session's device: on the whole set or, where that does not fit, on one piece after
// the other.
func (f *fit) trainOnDevice(ctx context.Context, r Resident, epoch int) (float64, error) {
	batch, total := f.options.BatchSize, f.task.Train.Len()
	_, inMemory := f.task.Train.(*Set)
	if f.deviceRoom == 0 {
		if f.deviceRoom = total; !inMemory { // this machine's memory is no room for as many codes
			most := f.options.bound() / piecesShare / int64(f.task.Spec.Encoder.Window+pieceCost)
			f.deviceRoom = min(total, (int(most)/batch+1)*batch)
		}
	}
	for {
		pass := f.inPieces
		if inMemory && f.deviceRoom >= total {
			pass = f.wholeSet
		}
		loss, began, err := pass(ctx, r, epoch)
		if began || !errors.Is(err, ErrTooLarge) || f.deviceRoom <= batch {
			return loss, err
		}
		f.deviceRoom = (f.deviceRoom/2 + batch - 1) / batch * batch
		slog.Warn("the training set goes to the device in pieces", "names", f.deviceRoom, "reason", err)
	}
}

// wholeSet trains on the set as it lies on the device. It puts the set there unless it is there. began is whether a
// step was done.
func (f *fit) wholeSet(ctx context.Context, r Resident, epoch int) (loss float64, began bool, err error) {
	set := f.task.Train.(*Set)
	if !f.setKept || f.options.changesNames() {
		p := newPiece(set.Len(), f.task.Spec.Encoder.Window)
		if err := f.encode(ctx, r, epoch, Portion{Set: set}, nil, p); err != nil {
			return 0, false, err
		}
		if err := r.Keep(p.codes, p.labels, p.weights); err != nil {
			return 0, false, err
		}
		f.setKept = true
	}
	loss, err = f.pass(ctx, r, epoch, orderKey(f.options.Seed, epoch), 0, 0)
	return loss, true, err
}

// inPieces trains on an epoch's names piece by piece. The next piece is encoded while the device is at one. No piece
// has names of two portions.
func (f *fit) inPieces(ctx context.Context, r Resident, epoch int) (loss float64, began bool, err error) {
	room, window := min(f.deviceRoom, f.task.Train.Len()), f.task.Spec.Encoder.Window
	pieces := []*piece{newPiece(room, window), newPiece(room, window)}
	ready, stop := ahead(ctx, f, epoch, room, pieces, func(ctx context.Context, p *piece, from Portion,
		places []uint32) error {
		return f.encode(ctx, r, epoch, from, places, p)
	})
	defer stop()
	var sum float64
	done := 0
	for p := range ready {
		if p.err != nil {
			return 0, done > 0, p.err
		}
		if err := r.Keep(p.item.codes, p.item.labels, p.item.weights); err != nil {
			return 0, done > 0, err
		}
		n := len(p.item.labels)
		p.release()
		mean, err := f.pass(ctx, r, epoch, 0, done, sum)
		if err != nil {
			return 0, true, err
		}
		sum += mean * float64(n)
		done += n
	}
	return sum / float64(max(done, 1)), true, ctx.Err()
}

// piece is names as a device takes them.
type piece struct {
	codes   []byte // [n, window]
	labels  []uint16
	weights []float32
}

func newPiece(n, window int) *piece {
	return &piece{make([]byte, n*window), make([]uint16, n), make([]float32, n)}
}

const (
	// pieceCost is the bytes that a piece takes for a name besides its codes, the name's place in the order included.
	pieceCost = 2 + 4 + 4
	// piecesShare is the part of Options.Memory that a piece takes at most where not all names fit into it.
	piecesShare = 16
)

// encode makes a piece of the names at places of a portion, all as they lie if places is nil, as an epoch sees them, on
// all cores. The piece has room for them.
func (f *fit) encode(ctx context.Context, r Resident, epoch int, from Portion, places []uint32, p *piece) error {
	window, workers, n := f.task.Spec.Encoder.Window, runtime.GOMAXPROCS(0), len(places)
	if places == nil {
		n = from.Len()
	}
	p.codes, p.labels, p.weights = p.codes[:n*window], p.labels[:n], p.weights[:n]
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			coder, codes := f.task.Spec.Encoder.Coder(), make([]uint16, window)
			for i := w * n / workers; i < (w+1)*n/workers && ctx.Err() == nil; i++ {
				at := uint32(i)
				if places != nil {
					at = places[i]
				}
				coder.Encode(codes, f.trainingName(epoch, from, at))
				r.Narrow(p.codes[i*window:(i+1)*window], codes)
				p.labels[i], p.weights[i] = uint16(from.Label(int(at))), f.kindWeights[from.kindOf[at]]
			}
		})
	}
	all.Wait()
	return ctx.Err()
}

// pass trains on what the device keeps, in the order of a key. Before it, the epoch has trained on from names, whose
// losses are sum.
func (f *fit) pass(ctx context.Context, r Resident, epoch int, key uint64, from int, sum float64) (float64, error) {
	before := func(done int) { f.schedule(epoch, from+done) }
	return r.Epoch(ctx, key, before, func(done int, loss float64) error {
		if err := f.checkLoss(epoch, from+done, loss); err != nil {
			return err
		}
		if f.observer.Step != nil {
			f.observer.Step(epoch, from+done, f.task.Train.Len(), (sum+loss*float64(done))/float64(from+done))
		}
		return nil
	})
}

// scorer is what scores names with the weights after an epoch: the session where it is resident and has them, else a
// classifier.
func (f *fit) scorer(w model.Weights) (scorer, error) {
	if r := f.resident(); r != nil && f.blendFrom == nil {
		return &deviceScorer{Resident: r, coder: f.task.Spec.Encoder.Coder()}, nil
	}
	return model.NewClassifier(&model.Model{Spec: *f.task.Spec, Weights: w, Threshold: 0.5})
}

// scorer scores names into [n, labels].
type scorer interface {
	ProbabilitiesFolded(ctx context.Context, names []string, out []float32) error
}

// deviceScorer encodes names for a resident session.
type deviceScorer struct {
	Resident
	coder *model.Coder
	codes []byte
	name  []uint16
}

func (s *deviceScorer) ProbabilitiesFolded(ctx context.Context, names []string, out []float32) error {
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
