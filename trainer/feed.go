package trainer

import (
	"context"
	"iter"

	"github.com/degas-dns/degas/model"
)

// prefetch is how many encoded batches wait for the engine: encoding is far quicker than a step, two hide its jitter.
const prefetch = 2

// fedBatch is a batch whose memory goes back to the feed once it is used.
type fedBatch struct {
	Batch
	free chan<- *fedBatch
}

func (b *fedBatch) release() { b.free <- b }

// feed shuffles the training names for an epoch and encodes them batch by batch, ahead of the engine.
func (f *fit) feed(ctx context.Context, epoch int) iter.Seq[*fedBatch] {
	free := make(chan *fedBatch, prefetch+1)
	window := f.Spec.Encoder.Window
	for range prefetch + 1 {
		free <- &fedBatch{free: free, Batch: Batch{Codes: make([]uint16, f.BatchSize*window), Labels: make([]int, f.BatchSize), Weights: make([]float32, f.BatchSize)}}
	}
	ready := make(chan *fedBatch, prefetch)
	order := ordered(f.Train.Len(), f.Seed, epoch)
	go func() {
		defer close(ready)
		coder := f.Spec.Encoder.Coder()
		for len(order) > 0 {
			var b *fedBatch
			select {
			case b = <-free:
			case <-ctx.Done():
				return
			}
			n := min(f.BatchSize, len(order))
			f.fill(b, coder, epoch, order[:n])
			order = order[n:]
			select {
			case ready <- b:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func(yield func(*fedBatch) bool) {
		for b := range ready {
			if !yield(b) {
				return
			}
		}
	}
}

// fill encodes the names of picks into b.
func (f *fit) fill(b *fedBatch, coder *model.Coder, epoch int, picks []uint32) {
	window := coder.Window()
	b.Codes, b.Labels, b.Weights = b.Codes[:len(picks)*window], b.Labels[:len(picks)], b.Weights[:len(picks)]
	for i, p := range picks {
		coder.Encode(b.Codes[i*window:(i+1)*window], f.name(epoch, p))
		b.Labels[i] = f.Train.Label(int(p))
		b.Weights[i] = f.weights[f.Train.groups[p]]
	}
}
