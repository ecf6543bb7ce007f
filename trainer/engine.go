// Package trainer fits a model.Spec to a data set: the loop over epochs, validation, early stopping, learning-rate
// schedule, checkpoints and the run directory. What does the arithmetic is an Engine; engines register themselves.
package trainer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/degas-dns/degas/model"
)

// Engine starts training sessions.
type Engine interface {
	// Name is what --engine takes.
	Name() string
	// Start prepares training from s.Weights, which it copies. The error names the layer an engine cannot do.
	Start(ctx context.Context, s Setup) (Session, error)
}

// Setup is what a session is started with.
type Setup struct {
	Spec    *model.Spec
	Weights model.Weights
	// BatchSize is the number of samples a step, at least 1. The last batch of an epoch may be smaller.
	BatchSize int
	// Workers is the number of parts a batch is split into, at least 1. The same seed gives the same weights for the same
	// number of workers.
	Workers int
	// Seed draws the dropout masks.
	Seed uint64
	// Optimizer is OptimizerAdam or OptimizerRMSProp; "" is Adam.
	Optimizer string
	// LearningRate is the optimiser's step size.
	LearningRate float64
	// WeightDecay shrinks matrices by LearningRate·WeightDecay a step, Adam only. LabelSmoothing moves that share of the
	// target from a sample's label to all labels alike.
	WeightDecay, LabelSmoothing float64
}

// Session is one training under way. It is used by one goroutine at a time.
type Session interface {
	// Step does one update and returns the batch's mean loss. The session does not keep b.
	Step(ctx context.Context, b *Batch) (float64, error)
	// Weights copies the parameters out.
	Weights() model.Weights
	// State copies out all that a later Restore needs to go on with the same result.
	State() State
	// Restore puts a session of the same Setup into a state.
	Restore(s State) error
	// SetLearningRate changes the step size from the next step on.
	SetLearningRate(rate float64)
	Close() error
}

// Batch is the input of one step.
type Batch struct {
	// Codes is [n, window]; Labels and Weights are [n]. A weight multiplies its sample's loss; the mean is over the
	// weights' sum.
	Codes   []uint16
	Labels  []int
	Weights []float32
}

// State is a session's memory: the parameters, the optimiser's moments (M is empty for RMSProp) and the number of updates
// done.
type State struct {
	Weights, M, V model.Weights
	Steps         int
}

var engines = map[string]Engine{}

// RegisterEngine makes e known by its name. It panics on a second registration: a programmer's error.
func RegisterEngine(e Engine) {
	if _, dup := engines[e.Name()]; dup {
		panic("trainer: engine " + e.Name() + " registered twice")
	}
	engines[e.Name()] = e
}

// Engines lists the registered engines, sorted.
func Engines() []string {
	var out []string
	for n := range engines {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// LookupEngine finds an engine by name; the error lists the known ones.
func LookupEngine(name string) (Engine, error) {
	e, ok := engines[name]
	if !ok {
		return nil, fmt.Errorf("unknown engine %q, this degas has %s", name, strings.Join(Engines(), ", "))
	}
	return e, nil
}
