// Package graph trains on gorgonia: a Spec becomes an expression graph, gorgonia differentiates it and runs it, and a
// gorgonia.Solver updates the parameters. The graph is made of fused layers whose passes are written by hand; tests
// hold it against one of gorgonia's stock operations. The engine is called "cpu".
package graph

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
	G "gorgonia.org/gorgonia"
)

func init() { trainer.Engines.Register("cpu", engine{}) }

type engine struct{}

// param is one learned tensor: a gorgonia node over memory in the layout of model.Weights.
type param struct {
	model.Param
	node *G.Node
	data []float32
}

// session is a graph with its machine, inputs and solver.
type session struct {
	*step
	spec  *model.Spec
	batch int
	pad   uint16
	goal  goal
	// The graph's inputs, [batch] each. load fills them.
	codes   []uint16     // [batch, window]
	pads    []model.Span // where a name's codes are padding
	labels  []int
	weights []float32
	// The graph and what it computes.
	params  []param
	values  []G.ValueGrad // the params as the solver takes them
	loss    G.Value
	machine G.VM
	solver  optimizer
}

var _ trainer.Differentiator = (*session)(nil)

// Start builds the graph for batches of s.BatchSize.
func (engine) Start(ctx context.Context, s trainer.Setup) (trainer.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("engine cpu: %w", err)
	}
	if s.Workers < 1 {
		return nil, fmt.Errorf("engine cpu: %d workers: must be at least 1", s.Workers)
	}
	return trainer.Reachable(s, func(s trainer.Setup) (trainer.Session, error) {
		ses, err := open(s, (*session).build)
		if err != nil {
			return nil, fmt.Errorf("engine cpu: %w", err)
		}
		return ses, nil
	})
}

// maxValues bounds the activations of one step: 8 GiB, and as much for their gradients.
const maxValues = 1 << 31

// open makes a session whose graph build makes of the weights.
func open(s trainer.Setup, build func(*session, model.Weights) error) (*session, error) {
	if s.Precision != "" && s.Precision != trainer.PrecisionFP32 {
		return nil, fmt.Errorf("precision %q: it computes in %s alone", s.Precision, trainer.PrecisionFP32)
	}
	if one, err := s.Spec.Activations(); err != nil {
		return nil, err
	} else if one*s.BatchSize > maxValues {
		return nil, fmt.Errorf("a step of %d names takes %d values, more than %d. Try: --batch-size %d",
			s.BatchSize, one*s.BatchSize, maxValues, maxValues/one)
	}
	ses := &session{
		step:    newStep(s.Workers, s.Seed),
		spec:    s.Spec,
		batch:   s.BatchSize,
		pad:     uint16(s.Spec.Encoder.Pad),
		goal:    goal{smooth: s.LabelSmoothing, share: s.Taught},
		codes:   make([]uint16, s.BatchSize*s.Spec.Encoder.Window),
		pads:    make([]model.Span, s.BatchSize),
		labels:  make([]int, s.BatchSize),
		weights: floats(s.BatchSize),
	}
	ses.solver = newOptimizer(s, ses.step)
	return ses, build(ses, s.Weights)
}

func (s *session) Step(ctx context.Context, b *trainer.Batch) (float64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := s.load(b); err != nil {
		return 0, err
	}
	defer s.machine.Reset()
	if err := s.machine.RunAll(); err != nil {
		return 0, fmt.Errorf("step %d: %w", s.number, err)
	}
	loss := float64(s.loss.Data().(float32))
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return loss, nil // the caller decides; the parameters are still those that gave it
	}
	if err := s.solver.Step(s.values); err != nil {
		return 0, fmt.Errorf("step %d: %w", s.number, err)
	}
	s.number++
	return loss, nil
}

// load copies a batch into the graph's inputs; a short one is filled up with padding of weight 0.
func (s *session) load(b *trainer.Batch) error {
	n, window := len(b.Labels), s.spec.Encoder.Window
	if err := b.Check(s.batch, window, len(s.spec.Labels)); err != nil {
		return err
	}
	copy(s.codes, b.Codes)
	copy(s.labels, b.Labels)
	copy(s.weights, b.Weights)
	s.goal.taught = append(s.goal.taught[:0], b.Taught...)
	if b.Taught != nil { // names that only fill the batch up have a target too
		s.goal.taught = append(s.goal.taught, make([]float32, (s.batch-n)*len(s.spec.Labels))...)
	}
	for i := n * window; i < len(s.codes); i++ {
		s.codes[i] = s.pad
	}
	for i := range s.pads {
		s.pads[i] = padding(nth(s.codes, i, window), s.pad, s.spec.Encoder.PadSide == model.Left)
	}
	clear(s.labels[n:])
	clear(s.weights[n:])
	return nil
}

func (s *session) Weights() (model.Weights, error) {
	return s.copyOut(func(i int) []float32 { return s.params[i].data }), nil
}

func (s *session) State() (st trainer.State, err error) {
	steps, m, v := s.solver.state()
	st.Steps = steps
	st.Weights, err = s.Weights()
	if len(m) > 0 {
		st.M = s.copyOut(func(i int) []float32 { return m[i] })
	}
	if len(v) > 0 {
		st.V = s.copyOut(func(i int) []float32 { return v[i] })
	}
	return st, err
}

func (s *session) copyOut(data func(i int) []float32) model.Weights {
	w := model.Weights{}
	for i, p := range s.params {
		w[p.Name] = &model.Tensor{Shape: slices.Clone(p.Shape), Data: slices.Clone(data(i))}
	}
	return w
}

func (s *session) Restore(st trainer.State) error {
	sets := []model.Weights{st.Weights}
	if st.Steps > 0 {
		sets = append(sets, st.V)
		if _, ok := s.solver.(*adam); ok {
			sets = append(sets, st.M)
		}
	}
	for _, w := range sets {
		if err := w.Check(s.spec); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
	}
	moments := func(w model.Weights) (out [][]float32) {
		for _, p := range s.params {
			if t := w[p.Name]; t != nil {
				out = append(out, slices.Clone(t.Data))
			}
		}
		return out
	}
	for _, p := range s.params {
		copy(p.data, st.Weights[p.Name].Data)
	}
	s.solver.restore(st.Steps, moments(st.M), moments(st.V))
	s.number = uint64(st.Steps)
	return nil
}

func (s *session) SetLearningRate(rate float64) { s.solver.setRate(rate) }

func (s *session) Close() error { return s.machine.Close() }

func (s *session) Gradients(b *trainer.Batch) (float64, model.Weights, error) {
	if err := s.load(b); err != nil {
		return 0, nil, err
	}
	defer s.machine.Reset()
	if err := s.machine.RunAll(); err != nil {
		return 0, nil, err
	}
	out := model.Weights{}
	for i, v := range s.values {
		g, err := v.Grad()
		if err != nil {
			return 0, nil, errors.Join(fmt.Errorf("gradient of %s", s.params[i].Name), err)
		}
		data := g.Data().([]float32)
		out[s.params[i].Name] = &model.Tensor{Shape: slices.Clone(s.params[i].Shape), Data: slices.Clone(data)}
		clear(data)
	}
	return float64(s.loss.Data().(float32)), out, nil
}
