// Package evaluate measures a trained model on labelled names and tells the result in numbers, pictures and a report.
package evaluate

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/model"
)

// Targets, as train-model names them.
const (
	targetBinary = "binary"
	targetFamily = "family"
)

// Sample holds scored, labelled names, column by column.
type Sample struct {
	Labels []string // the model's, [0] is benign
	Names  []string
	Truth  []int // index into Labels
	// Probabilities is [names, labels].
	Probabilities []float32
	Class         []datasets.Class
	Family        []string // "" for benign names
	Source        []string
	// Unknown counts names left out because the model has no label for them: families that training has not seen.
	Unknown int
}

// row is name i's probabilities.
func (s *Sample) row(i int) []float32 {
	return s.Probabilities[i*len(s.Labels) : (i+1)*len(s.Labels)]
}

// Score is the probability that name i is not benign, as a deployed model says it: a threshold read off a sample must mean
// the same there.
func (s *Sample) Score(i int) float64 { return model.Score(s.row(i)) }

// Predicted is the label the model gives name i at a threshold.
func (s *Sample) Predicted(i int, threshold float64) int { return model.Judge(s.row(i), threshold) }

// validate reports what makes a sample unusable.
func (s *Sample) validate() error {
	n, k := len(s.Names), len(s.Labels)
	switch {
	case n == 0:
		return errors.New("evaluate: no names to measure on")
	case k < 2:
		return fmt.Errorf("evaluate: %d labels", k)
	case len(s.Truth) != n || len(s.Probabilities) != n*k || len(s.Family) != n || len(s.Source) != n || len(s.Class) != n:
		return fmt.Errorf("evaluate: columns of different length: %d names, %d truths, %d probabilities for %d labels", n, len(s.Truth), len(s.Probabilities), k)
	}
	for i, p := range s.Probabilities {
		if math.IsNaN(float64(p)) || p < 0 || p > 1.0001 {
			return fmt.Errorf("evaluate: %q has probability %v", s.Names[i/k], p)
		}
	}
	for i, t := range s.Truth {
		if t < 0 || t >= k {
			return fmt.Errorf("evaluate: %q has label %d of %d", s.Names[i], t, k)
		}
	}
	return nil
}

// ScoreSplit scores every name of a split with c for a target. progress, if not nil, is told names done of total.
func ScoreSplit(ctx context.Context, c *model.Classifier, split *datasets.Split, target string, progress func(done, total int64)) (*Sample, error) {
	labels := c.Model().Spec.Labels
	index := map[string]int{}
	for i, l := range labels {
		index[l] = i
	}
	s := &Sample{Labels: labels}
	width := c.Width()
	var done int64
	for b, err := range split.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		from := len(s.Names)
		for i, name := range b.Names {
			truth, ok := index[truthOf(split, &b, i, target)]
			if !ok {
				s.Unknown++
				continue
			}
			family := ""
			if b.Class[i] != datasets.Benign {
				family = split.Families()[b.Family[i]]
			}
			s.Names = append(s.Names, name)
			s.Truth = append(s.Truth, truth)
			s.Class = append(s.Class, b.Class[i])
			s.Family = append(s.Family, family)
			s.Source = append(s.Source, split.Sources()[b.Source[i]])
		}
		fresh := s.Names[from:]
		p := make([]float32, len(fresh)*width)
		if err := c.Probabilities(ctx, fresh, p); err != nil {
			return nil, err
		}
		s.Probabilities = append(s.Probabilities, p...)
		if done += int64(len(b.Names)); progress != nil {
			progress(done, split.Rows())
		}
	}
	return s, nil
}

// truthOf is the label of a row for a target.
func truthOf(split *datasets.Split, b *datasets.Batch, i int, target string) string {
	c := b.Class[i]
	switch {
	case c == datasets.Benign:
		return model.BinaryLabels[0]
	case target == targetBinary:
		return model.BinaryLabels[1]
	case target == targetFamily:
		if f := split.Families()[b.Family[i]]; f != "" {
			return f
		}
	}
	return c.String()
}
