// Package baseline holds plain classifiers of names. A report trains them on the same names as the model it is about: a
// neural model that does not beat them is not worth its weights.
package baseline

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Scorer gives the score of a name, higher for malicious ones.
type Scorer interface {
	Score(name string) float64
}

// Kind is a way to make a Scorer.
type Kind struct {
	Name, Description string
	// Train learns from names, malicious[i] saying what names[i] is. Equal names, labels and seed give an equal Scorer.
	Train func(ctx context.Context, names []string, malicious []bool, seed uint64) (Scorer, error)
}

var kinds []Kind

// Register adds a kind; files that have one call it from init. It panics on a second registration of a name, a
// programmer's error.
func Register(k Kind) {
	if slices.ContainsFunc(kinds, func(o Kind) bool { return o.Name == k.Name }) {
		panic("baseline: " + k.Name + " registered twice")
	}
	kinds = append(kinds, k)
	slices.SortFunc(kinds, func(a, b Kind) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
}

// Kinds are all of them, by name.
func Kinds() []Kind { return slices.Clone(kinds) }

// Trained is a kind with what it learned.
type Trained struct {
	Kind
	Scorer
	Names   int // it had to train on
	Seconds float64
}

// TrainAll trains every kind, one after the other.
func TrainAll(ctx context.Context, names []string, malicious []bool, seed uint64) ([]Trained, error) {
	var positives int
	for _, m := range malicious {
		if m {
			positives++
		}
	}
	if len(names) != len(malicious) || positives == 0 || positives == len(names) {
		return nil, fmt.Errorf("baselines: %d names, %d of them malicious: both kinds are needed", len(names), positives)
	}
	var out []Trained
	for _, k := range kinds {
		began := time.Now()
		s, err := k.Train(ctx, names, malicious, seed)
		if err != nil {
			return nil, fmt.Errorf("baseline %s: %w", k.Name, err)
		}
		out = append(out, Trained{k, s, len(names), time.Since(began).Seconds()})
	}
	return out, nil
}

// ScoreAll scores names on all cores, until ctx ends.
func ScoreAll(ctx context.Context, s Scorer, names []string) ([]float64, error) {
	out := make([]float64, len(names))
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := len(names) * w / workers; i < len(names)*(w+1)/workers && (i%1024 > 0 || ctx.Err() == nil); i++ {
				out[i] = s.Score(names[i])
			}
		})
	}
	wg.Wait()
	return out, ctx.Err()
}
