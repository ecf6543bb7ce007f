package trainer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/degas-dns/degas/model"
)

// prefetch is how many encoded batches wait for the engine: encoding is far quicker than a step, two hide its jitter.
const prefetch = 2

// feed encodes the training names of an epoch in their order, batch by batch, ahead of the engine. No batch has names
// of two portions.
func (f *fit) feed(ctx context.Context, epoch int) (<-chan made[*Batch], func()) {
	size, coder := f.options.BatchSize, f.task.Spec.Encoder.Coder()
	var batches []*Batch
	for range prefetch + 1 {
		b := &Batch{Codes: make([]uint16, size*coder.Window()), Labels: make([]int, size), Weights: make([]float32, size)}
		if f.task.Teacher != nil {
			b.Taught = make([]float32, size*f.task.Teacher.Width())
		}
		batches = append(batches, b)
	}
	names := make([]string, size)
	return ahead(ctx, f, epoch, size, batches, func(ctx context.Context, b *Batch, p Portion, places []uint32) error {
		return f.fill(ctx, b, coder, epoch, p, places, names)
	})
}

// made is something that ahead has made, or the error that ended it.
type made[T any] struct {
	item T
	err  error
	free chan<- T
}

// release gives the item's memory back.
func (m made[T]) release() { m.free <- m.item }

// ahead makes something of size training names after the other, in the order of an epoch, while the one before is in
// use. It fills items again when they are released. The channel is closed after the last one, after an error, and when
// ctx ends. stop ends it early, and returns when the names are no longer read.
func ahead[T any](ctx context.Context, f *fit, epoch, size int, items []T,
	fill func(ctx context.Context, item T, p Portion, places []uint32) error) (<-chan made[T], func()) {
	ctx, cancel := context.WithCancel(ctx)
	free, ready := make(chan T, len(items)), make(chan made[T], len(items)-1)
	for _, x := range items {
		free <- x
	}
	give := func(m made[T]) bool {
		select {
		case ready <- m:
			return m.err == nil
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		defer close(ready)
		places := make([]uint32, size)
		for p, err := range f.task.Train.Portions(ctx, f.options.Seed, epoch) {
			for from := 0; err == nil && from < p.Len(); from += size {
				var x T
				select {
				case x = <-free:
				case <-ctx.Done():
					return
				}
				if err = fill(ctx, x, p, p.order(places, from)); err == nil && !give(made[T]{x, nil, free}) {
					return
				}
			}
			if err != nil {
				give(made[T]{err: err})
				return
			}
		}
	}()
	return ready, func() {
		cancel()
		for range ready {
		}
	}
}

// fill encodes the names at places of a portion into b. names is memory for as many.
func (f *fit) fill(ctx context.Context, b *Batch, coder *model.Coder, epoch int, p Portion, places []uint32,
	names []string) error {
	n, window := len(places), coder.Window()
	b.Codes, b.Labels, b.Weights = b.Codes[:n*window], b.Labels[:n], b.Weights[:n]
	for i, at := range places {
		names[i] = f.trainingName(epoch, p, at)
		coder.Encode(b.Codes[i*window:(i+1)*window], names[i])
		b.Labels[i], b.Weights[i] = p.Label(int(at)), f.kindWeights[p.kindOf[at]]
	}
	t := f.task.Teacher
	if t == nil {
		return nil
	}
	b.Taught = b.Taught[:n*t.Width()]
	if err := t.ProbabilitiesFolded(ctx, names[:n], b.Taught); err != nil {
		return err
	}
	untaught(b.Taught, t.Width(), p, places)
	return nil
}

// teacher is the model that the training learns from, nil where it learns from labels alone. A resumed run's is the one
// that it began with.
func (c *Config) teacher(labels []string) (*model.Classifier, error) {
	dir := c.Options.Teacher
	if dir == "" {
		return nil, nil
	}
	m, sum, err := readTeacher(dir)
	switch {
	case err != nil:
		return nil, err
	case !slices.Equal(m.Spec.Labels, labels):
		return nil, fmt.Errorf("learn from %s: it tells apart %s, the data %s. Try: a teacher trained with the same --target",
			dir, strings.Join(m.Spec.Labels, ", "), strings.Join(labels, ", "))
	case cmp.Or(c.TeacherWeights, sum) != sum:
		return nil, fmt.Errorf("learn from %s: it holds another model than when the run began. Try: put that model back, "+
			"or train a new run", dir)
	}
	c.TeacherWeights = sum
	return model.NewClassifier(m)
}

// SameTeacher reports whether the run's teacher, if it has one, is still the model that the run began with.
func (c *Config) SameTeacher() (bool, error) {
	if c.Options.Teacher == "" || c.TeacherWeights == "" {
		return true, nil
	}
	_, sum, err := readTeacher(c.Options.Teacher)
	return sum == c.TeacherWeights, err
}

// readTeacher reads a model and the hash of its weights. Its threshold, which may change, teaches nothing.
func readTeacher(dir string) (m *model.Model, sum string, err error) {
	var weights []byte
	if m, err = model.LoadNamed(dir); err == nil {
		_, weights, err = m.Files()
	}
	if err != nil {
		return nil, "", fmt.Errorf("learn from %s: %w", dir, err)
	}
	return m, fmt.Sprintf("%x", sha256.Sum256(weights)), nil
}

// untaught replaces what the teacher says of names of Options.Focus by their labels.
func untaught(taught []float32, width int, p Portion, places []uint32) {
	for i, at := range places {
		if k := p.kind(at); k.focused {
			row := taught[i*width : (i+1)*width]
			clear(row)
			row[k.label] = 1
		}
	}
}
