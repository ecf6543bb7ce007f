package metrics

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/model"
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

// Row is name i's probabilities, a part of s.Probabilities.
func (s *Sample) Row(i int) []float32 {
	return s.Probabilities[i*len(s.Labels) : (i+1)*len(s.Labels)]
}

// Score is the probability that name i is not benign, as a deployed model says it: a threshold read off a sample must
// mean the same there.
func (s *Sample) Score(i int) float64 { return model.ScoreOf(s.Row(i)) }

// Predicted is the label the model gives name i at a threshold, as an index into Labels.
func (s *Sample) Predicted(i int, threshold float64) int { return model.LabelOf(s.Row(i), threshold) }

func (s *Sample) malicious(i int) bool { return s.Truth[i] != 0 }

// validate reports what makes a sample unusable.
func (s *Sample) validate() error {
	n, k := len(s.Names), len(s.Labels)
	switch {
	case n == 0:
		return errors.New("evaluate: no names to measure on")
	case k < 2:
		return fmt.Errorf("evaluate: %d labels", k)
	case len(s.Truth) != n || len(s.Probabilities) != n*k ||
		len(s.Family) != n || len(s.Source) != n || len(s.Class) != n:
		return fmt.Errorf("evaluate: columns of different length: %d names, %d truths, %d probabilities for %d labels",
			n, len(s.Truth), len(s.Probabilities), k)
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

// ScoreSplit scores every name of a split with c for a target, binary, class or family. progress, if not nil, is told
// names done of total. A split without a name that the model has a label for is an error.
func ScoreSplit(
	ctx context.Context, c *model.Classifier, split *datasets.Split, target string, progress func(done, total int64),
) (*Sample, error) {
	labels := c.Model().Spec.Labels
	index := map[string]int{}
	for i, l := range labels {
		index[l] = i
	}
	s := &Sample{Labels: labels}
	var done int64
	for b, err := range split.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		from := len(s.Names)
		for i, name := range b.Names {
			family := ""
			if b.Class[i] != datasets.Benign {
				family = split.Families()[b.Family[i]]
			}
			truth, ok := index[b.Class[i].Label(target, family)]
			if !ok {
				s.Unknown++
				continue
			}
			s.Names, s.Truth = append(s.Names, name), append(s.Truth, truth)
			s.Class, s.Family = append(s.Class, b.Class[i]), append(s.Family, family)
			s.Source = append(s.Source, split.Sources()[b.Source[i]])
		}
		fresh := s.Names[from:]
		p := make([]float32, len(fresh)*c.Width())
		if err := c.ProbabilitiesFolded(ctx, fresh, p); err != nil {
			return nil, err
		}
		s.Probabilities = append(s.Probabilities, p...)
		if done += int64(len(b.Names)); progress != nil {
			progress(done, split.Rows())
		}
	}
	return s, s.validate()
}

// Rescored is s with the probabilities of another model, which has the same labels.
func (s *Sample) Rescored(ctx context.Context, m *model.Model) (*Sample, error) {
	c, err := model.NewClassifier(m)
	if err != nil {
		return nil, err
	}
	out := *s
	out.Probabilities = make([]float32, len(s.Probabilities))
	return &out, c.ProbabilitiesFolded(ctx, s.Names, out.Probabilities)
}
