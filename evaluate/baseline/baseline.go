// Package baseline holds plain classifiers of names. A report trains them on the same names as the model it is about: a
// neural model that does not beat them is not worth its weights.
package baseline

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/degas-dns/degas/internal/registry"
)

// Scorer gives the score of a name, higher for malicious ones.
type Scorer interface {
	Score(name string) float64
}

// Kind is a way to make a Scorer.
type Kind struct {
	Name, Description string
	Train             Trainer
}

// Trainer learns from names, malicious[i] saying what names[i] is. Equal names, labels and seed give an equal Scorer.
type Trainer func(ctx context.Context, names []string, malicious []bool, seed uint64) (Scorer, error)

// Kinds holds every kind by its name; files that have one register it in init.
var Kinds = registry.New[Kind]("baseline")

func register(k Kind) { Kinds.Register(k.Name, k) }

// Trained is a kind with what it learned.
type Trained struct {
	Kind
	Scorer
}

// TrainAll trains every kind, one after the other in the order of their names. Names of one class alone are an error.
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
	for _, k := range Kinds.All() {
		s, err := k.Train(ctx, names, malicious, seed)
		if err != nil {
			return nil, fmt.Errorf("baseline %s: %w", k.Name, err)
		}
		out = append(out, Trained{k, s})
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
