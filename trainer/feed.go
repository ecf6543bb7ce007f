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

// fedBatch is a batch whose memory goes back to the feed once it is used.
type fedBatch struct {
	Batch
	free chan<- *fedBatch
}

func (b *fedBatch) release() { b.free <- b }

// feed shuffles the training names for an epoch and encodes them batch by batch, ahead of the engine. The channel is
// closed after the last batch and when ctx ends.
func (f *fit) feed(ctx context.Context, epoch int) <-chan *fedBatch {
	free, ready := make(chan *fedBatch, prefetch+1), make(chan *fedBatch, prefetch)
	size, window := f.options.BatchSize, f.task.Spec.Encoder.Window
	for range prefetch + 1 {
		b := Batch{Codes: make([]uint16, size*window), Labels: make([]int, size), Weights: make([]float32, size)}
		if f.task.Teacher != nil {
			b.Taught = make([]float32, size*f.task.Teacher.Width())
		}
		free <- &fedBatch{b, free}
	}
	names := make([]string, size)
	order := ordered(f.task.Train.Len(), f.options.Seed, epoch)
	go func() {
		defer close(ready)
		coder := f.task.Spec.Encoder.Coder()
		for picks := range slices.Chunk(order, size) {
			var b *fedBatch
			select {
			case b = <-free:
			case <-ctx.Done():
				return
			}
			f.fill(&b.Batch, coder, epoch, picks, names)
			if t := f.task.Teacher; t != nil {
				b.Taught = b.Taught[:len(picks)*t.Width()]
				if t.ProbabilitiesFolded(ctx, names[:len(picks)], b.Taught) != nil {
					return // ctx has ended
				}
				f.untaught(b.Taught, t.Width(), picks)
			}
			select {
			case ready <- b:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ready
}

// fill encodes the names of picks into b and leaves them in names, [len(picks)] or more.
func (f *fit) fill(b *Batch, coder *model.Coder, epoch int, picks []uint32, names []string) {
	n, window := len(picks), coder.Window()
	b.Codes, b.Labels, b.Weights = b.Codes[:n*window], b.Labels[:n], b.Weights[:n]
	for i, p := range picks {
		names[i] = f.trainingName(epoch, p)
		coder.Encode(b.Codes[i*window:(i+1)*window], names[i])
		b.Labels[i], b.Weights[i] = f.task.Train.Label(int(p)), f.groupWeights[f.task.Train.groups[p]]
	}
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
func (f *fit) untaught(taught []float32, width int, picks []uint32) {
	for i, p := range picks {
		if f.task.Train.focus(p) {
			row := taught[i*width : (i+1)*width]
			clear(row)
			row[f.task.Train.Label(int(p))] = 1
		}
	}
}
