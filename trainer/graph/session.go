// Package graph trains on gorgonia: a Spec becomes an expression graph, gorgonia differentiates it and runs it, and a
// gorgonia.Solver updates the parameters. Two engines build that graph: "cpu" from fused layers with hand-written
// passes, "reference" from gorgonia's stock operations, slow and there to judge the other.
package graph

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func init() {
	trainer.RegisterEngine(engine{name: "cpu", lower: newFused, reach: true})
	trainer.RegisterEngine(engine{name: "reference", lower: newStock})
}

// engine builds sessions with one way of lowering a Spec's nodes to gorgonia's.
type engine struct {
	name  string
	lower func(b *builder) lowering
	reach bool // leave out the rows of an embedding that no name can reach
}

func (e engine) Name() string { return e.name }

// lowering turns one node of a Spec into gorgonia nodes. Sequences are matrices [batch·time, features], vectors
// [batch, features]. An embedding is asked for by its readers.
type lowering interface {
	node(n model.Node, in []*G.Node) (*G.Node, error)
	// loss is the weighted mean cross-entropy of logits [batch, outputs].
	loss(logits, labels, weights *G.Node) (*G.Node, error)
}

// param is one learned tensor: a gorgonia node over memory in the layout of model.Weights.
type param struct {
	model.Param
	node *G.Node
	data []float32
}

// session is a graph with its machine, inputs and solver.
type session struct {
	*step
	spec    *model.Spec
	batch   int
	params  []param
	values  []G.ValueGrad
	machine G.VM
	solver  optimizer
	feed    func(codes []uint16)
	codes   []uint16     // [batch, window]
	pads    []model.Span // [batch]: where a sample's codes are padding
	labels  []int
	weights []float32
	loss    G.Value
	pad     uint16
	smooth  float64 // label smoothing
}

var _ trainer.Differentiator = (*session)(nil)

// Start builds the graph for batches of s.BatchSize.
func (e engine) Start(ctx context.Context, s trainer.Setup) (trainer.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.BatchSize < 1 || s.Workers < 1 {
		return nil, fmt.Errorf("engine %s: batch size %d and %d workers: both must be at least 1", e.name, s.BatchSize, s.Workers)
	}
	if err := s.Weights.Check(s.Spec); err != nil {
		return nil, err
	}
	if e.reach {
		return trainer.Reachable(s, e.open)
	}
	return e.open(s)
}

// open builds the graph.
func (e engine) open(s trainer.Setup) (trainer.Session, error) {
	if s.Precision != "" && s.Precision != trainer.PrecisionFP32 {
		return nil, fmt.Errorf("engine %s: precision %q: it computes in %s alone", e.name, s.Precision, trainer.PrecisionFP32)
	}
	ses := &session{step: newStep(s.Workers, s.Seed), spec: s.Spec, batch: s.BatchSize, pad: uint16(s.Spec.Encoder.Pad), smooth: s.LabelSmoothing,
		codes: make([]uint16, s.BatchSize*s.Spec.Encoder.Window), pads: make([]model.Span, s.BatchSize), labels: make([]int, s.BatchSize), weights: make([]float32, s.BatchSize)}
	if err := ses.build(e.lower, s.Weights); err != nil {
		return nil, fmt.Errorf("engine %s: %w", e.name, err)
	}
	var err error
	if ses.solver, err = newOptimizer(s, ses.split); err != nil {
		return nil, fmt.Errorf("engine %s: %w", e.name, err)
	}
	return ses, nil
}

// building is held while a graph is made: gorgonia counts groups of nodes in a variable of its own, without a lock.
var building sync.Mutex

func (s *session) build(lower func(*builder) lowering, w model.Weights) error {
	building.Lock()
	defer building.Unlock()
	b, err := newBuilder(s, w)
	if err != nil {
		return err
	}
	logits, err := b.lay(lower(b))
	if err != nil {
		return err
	}
	labels := G.NewVector(b.graph, tensor.Int, G.WithShape(s.batch), G.WithName("labels"), G.WithValue(tensor.New(tensor.WithShape(s.batch), tensor.WithBacking(s.labels))))
	weights := G.NewVector(b.graph, tensor.Float32, G.WithShape(s.batch), G.WithName("weights"), G.WithValue(tensor.New(tensor.WithShape(s.batch), tensor.WithBacking(s.weights))))
	cost, err := b.low.loss(logits, labels, weights)
	if err != nil {
		return err
	}
	G.Read(cost, &s.loss)
	var nodes, bound G.Nodes
	for _, p := range b.params {
		nodes = append(nodes, p.node)
		if grad := b.soleGradient(p.node); grad != nil {
			s.values = append(s.values, soleGradient{p.node, grad})
			continue
		}
		s.values = append(s.values, p.node)
		bound = append(bound, p.node)
	}
	if _, err := G.Grad(cost, nodes...); err != nil {
		return fmt.Errorf("differentiate: %w", err)
	}
	s.params, s.feed = b.params, b.feed
	options := []G.VMOpt{}
	if len(bound) > 0 {
		options = append(options, G.BindDualValues(bound...))
	}
	s.machine = G.NewTapeMachine(b.graph, options...)
	return nil
}

// soleGradient is a parameter that one layer alone uses, with the gradient where that layer's backward pass leaves it.
// Others have theirs added up by gorgonia, into memory that has to be cleared before: three passes more over it.
type soleGradient struct {
	*G.Node
	grad G.Value
}

// Grad implements gorgonia.ValueGrad.
func (g soleGradient) Grad() (G.Value, error) { return g.grad, nil }

// soleGradient is where the gradient of n ends up when one fused layer is all that reads it. It must be asked before the
// graph has gradients.
func (b *builder) soleGradient(n *G.Node) G.Value {
	readers := b.graph.To(n.ID())
	if readers.Len() != 1 || !readers.Next() {
		return nil
	}
	o, ok := readers.Node().(*G.Node).Op().(*fused)
	if !ok {
		return nil
	}
	return o.grads[slices.Index(o.inputs, n)]
}

// Step does one update.
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
	if n < 1 || n > s.batch || len(b.Codes) != n*window || len(b.Weights) != n {
		return fmt.Errorf("batch of %d labels, %d codes and %d weights: want 1 to %d samples of %d codes", n, len(b.Codes), len(b.Weights), s.batch, window)
	}
	classes := len(s.spec.Labels)
	for i, l := range b.Labels {
		if l < 0 || l >= classes {
			return fmt.Errorf("sample %d has label %d of %d", i, l, classes)
		}
	}
	copy(s.codes, b.Codes)
	copy(s.labels, b.Labels)
	copy(s.weights, b.Weights)
	for i := n * window; i < len(s.codes); i++ {
		s.codes[i] = s.pad
	}
	for i := range s.pads {
		s.pads[i] = padding(s.codes[i*window:(i+1)*window], s.pad, s.spec.Encoder.PadSide == model.Left)
	}
	clear(s.labels[n:])
	clear(s.weights[n:])
	s.feed(s.codes)
	return nil
}

// Weights copies the parameters out.
func (s *session) Weights() model.Weights {
	return s.copyOut(func(i int) []float32 { return s.params[i].data })
}

// State copies parameters and optimiser out.
func (s *session) State() trainer.State {
	steps, m, v := s.solver.state()
	st := trainer.State{Weights: s.Weights(), Steps: steps}
	if len(m) > 0 {
		st.M = s.copyOut(func(i int) []float32 { return m[i] })
	}
	if len(v) > 0 {
		st.V = s.copyOut(func(i int) []float32 { return v[i] })
	}
	return st
}

func (s *session) copyOut(data func(i int) []float32) model.Weights {
	w := model.Weights{}
	for i, p := range s.params {
		t := model.NewTensor(p.Shape...)
		copy(t.Data, data(i))
		w[p.Name] = t
	}
	return w
}

// Restore continues from st.
func (s *session) Restore(st trainer.State) error {
	sets := []model.Weights{st.Weights}
	if st.Steps > 0 {
		sets = append(sets, st.V)
		if _, ok := s.solver.(*Adam); ok {
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

// SetLearningRate changes the step size.
func (s *session) SetLearningRate(rate float64) { s.solver.setRate(rate) }

// Close frees the machine.
func (s *session) Close() error { return s.machine.Close() }

// Gradients runs the graph without an update.
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
		t := model.NewTensor(s.params[i].Shape...)
		copy(t.Data, data)
		out[s.params[i].Name] = t
		clear(data)
	}
	return float64(s.loss.Data().(float32)), out, nil
}
