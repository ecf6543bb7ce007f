// Package trainer fits a model.Spec to a data set: the loop over epochs, validation, early stopping, learning-rate
// schedule, checkpoints and the run directory. What does the arithmetic is an Engine; engines register themselves.
package trainer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/degas-dns/degas/internal/registry"
	"github.com/degas-dns/degas/model"
)

// Engine starts training sessions.
type Engine interface {
	// Start prepares training from s.Weights, which it copies. The error names the layer an engine cannot do.
	Start(ctx context.Context, s Setup) (Session, error)
}

// Accelerator is an Engine that needs a device.
type Accelerator interface {
	Engine
	// Available describes the device it would use; an error says why there is none.
	Available() (string, error)
	// Supports says why it cannot train a Spec, nil where it can.
	Supports(spec *model.Spec) error
}

// EngineAuto stands for an accelerator whose device answers and that can train the Spec, else for the CPU.
const EngineAuto = "auto"

// ChooseEngine gives the name of the engine that name asks for, an error where it cannot be used here for spec. device
// is the accelerator's, "" for others.
func ChooseEngine(name string, spec *model.Spec) (engine, device string, err error) {
	if name == EngineAuto {
		for i, e := range Engines.All() {
			if device, err := usable(e, spec); err == nil && device != "" {
				return Engines.Names()[i], device, nil
			}
		}
		return "cpu", "", nil
	}
	e, err := Engines.Lookup(name)
	if err != nil {
		return "", "", err
	}
	device, err = usable(e, spec)
	if err != nil {
		return "", "", fmt.Errorf("engine %s: %w", name, err)
	}
	return name, device, nil
}

// usable describes an accelerator's device, "" for other engines; an error says why it cannot be used.
func usable(e Engine, spec *model.Spec) (device string, err error) {
	a, ok := e.(Accelerator)
	if !ok {
		return "", nil
	}
	if device, err = a.Available(); err != nil {
		return "", err
	}
	return device, a.Supports(spec)
}

// Setup is what a session is started with.
type Setup struct {
	Spec    *model.Spec
	Weights model.Weights
	// BatchSize is the number of names a step, at least 1. The last batch of an epoch may be smaller.
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
	// target from a name's label to all labels alike.
	WeightDecay, LabelSmoothing float64
	// Taught is the share that a teacher's probabilities have in a name's target, [0, 1], where a batch has them.
	Taught float64
	// Precision is that of matrix products, one of the Precision constants; "" is the engine's own choice.
	Precision string
}

// Check reports a value that no engine can start with.
func (s *Setup) Check() error {
	precisions := []string{"", PrecisionFP32, PrecisionTF32, PrecisionBF16}
	switch {
	case s.BatchSize < 1:
		return fmt.Errorf("batch size %d: must be at least 1", s.BatchSize)
	case !slices.Contains(precisions, s.Precision):
		return fmt.Errorf("unknown precision %q, known are %s", s.Precision, strings.Join(precisions[1:], ", "))
	case !slices.Contains([]string{"", OptimizerAdam, OptimizerRMSProp}, s.Optimizer):
		return fmt.Errorf("unknown optimizer %q", s.Optimizer)
	case s.Optimizer == OptimizerRMSProp && s.WeightDecay > 0:
		return fmt.Errorf("optimizer %s has no weight decay", s.Optimizer)
	}
	return s.Weights.Check(s.Spec)
}

// Precisions of matrix products. Weights and sums are fp32 throughout.
const (
	PrecisionFP32 = "fp32"
	PrecisionTF32 = "tf32"
	PrecisionBF16 = "bf16"
)

// Session is one training under way. It is used by one goroutine at a time.
type Session interface {
	// Step does one update and returns the batch's mean loss. The session does not keep b.
	Step(ctx context.Context, b *Batch) (float64, error)
	// Weights copies the parameters out. It fails when a device was lost.
	Weights() (model.Weights, error)
	// State copies out all that a later Restore needs to go on with the same result. It fails when a device was lost.
	State() (State, error)
	// Restore puts a session of the same Setup into a state.
	Restore(s State) error
	// SetLearningRate changes the step size from the next step on.
	SetLearningRate(rate float64)
	Close() error
}

// Differentiator is a Session that shows its gradients, for those who compare engines.
type Differentiator interface {
	Session
	// Gradients gives a batch's mean loss and its gradient by every parameter, and changes nothing.
	Gradients(b *Batch) (float64, model.Weights, error)
}

// ErrTooLarge is what Resident.Keep returns for a set that the device has no room for.
var ErrTooLarge = errors.New("the training set does not fit on the device")

// Resident is a Session on a device that keeps the training set in its memory and walks an epoch without the host.
type Resident interface {
	Session
	DeviceSet
}

// DeviceSet is what a Resident does with the training set. Names are codes [n, window] that Narrow made.
type DeviceSet interface {
	// Keep puts a training set on the device in place of what was there: labels and weights are [n]. The caller may change
	// all three afterwards. The error is ErrTooLarge where the device has no room.
	Keep(codes []byte, labels []uint16, weights []float32) error
	// Epoch does one epoch's steps over the set and returns the mean loss. The order is the one that Shuffled draws by
	// key, the set's own for key 0. before is called ahead of every step with the names done. report is called now and
	// then with the names done and their mean loss; its error ends the epoch.
	Epoch(ctx context.Context, key uint64, before func(done int),
		report func(done int, loss float64) error) (float64, error)
	// Probabilities scores names with the weights of now into out [n, labels].
	Probabilities(ctx context.Context, codes []byte, out []float32) error
	// Narrow writes codes of the Spec as bytes.
	Narrow(dst []byte, codes []uint16)
}

// Batch is the input of one step.
type Batch struct {
	// Codes is [n, window]; Labels and Weights are [n]. A weight multiplies its name's loss; the mean is over the
	// weights' sum.
	Codes   []uint16
	Labels  []int
	Weights []float32
	// Taught is a teacher's probabilities, [n, labels], nil without a teacher. A name's target lies between them and its
	// label.
	Taught []float32
}

// Check reports a batch that is no 1 to most names of window codes, or has a label beyond labels.
func (b *Batch) Check(most, window, labels int) error {
	n := len(b.Labels)
	if n < 1 || n > most || len(b.Codes) != n*window || len(b.Weights) != n ||
		b.Taught != nil && len(b.Taught) != n*labels {
		return fmt.Errorf("batch of %d labels, %d codes, %d weights and %d of a teacher's: want 1 to %d names of %d codes",
			n, len(b.Codes), len(b.Weights), len(b.Taught), most, window)
	}
	for i, l := range b.Labels {
		if l < 0 || l >= labels {
			return fmt.Errorf("name %d has label %d of %d", i, l, labels)
		}
	}
	return nil
}

// State is a session's memory: the parameters, the optimiser's moments (M is empty for RMSProp) and the number of
// updates done.
type State struct {
	Weights, M, V model.Weights
	Steps         int
}

// Engines are the engines of this program, by the name that --engine takes.
var Engines = registry.New[Engine]("engine")
