package cuda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

func init() { trainer.Engines.Register("cuda", engine{}) }

var (
	_ trainer.Accelerator    = engine{}
	_ trainer.Differentiator = (*session)(nil)
)

// engine opens a device and builds sessions on it.
type engine struct{}

// Available describes the first device.
func (engine) Available() (string, error) {
	all, err := device.List()
	if err != nil {
		return "", err
	}
	if all[0].Problem != "" {
		return "", fmt.Errorf("%w: %s: %s", device.ErrNone, all[0].Name, all[0].Problem)
	}
	return all[0].Name, nil
}

// Start opens the first device and lays the network out on it.
func (e engine) Start(ctx context.Context, s trainer.Setup) (trainer.Session, error) {
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("engine cuda: %w", err)
	}
	if s.Taught > 0 {
		return nil, errors.New("engine cuda: it learns from labels alone. Try: --engine cpu with --teacher")
	}
	return trainer.Reachable(s, func(s trainer.Setup) (trainer.Session, error) { return e.open(ctx, s) })
}

func (engine) open(ctx context.Context, s trainer.Setup) (trainer.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dev, err := device.Open(0)
	if err != nil {
		return nil, fmt.Errorf("engine cuda: %w", err)
	}
	ses, err := newSession(dev, s, cmp.Or(s.Precision, trainer.PrecisionBF16))
	if err != nil {
		dev.Close()
		return nil, fmt.Errorf("engine cuda: %w", err)
	}
	return ses, nil
}

// session is a network under training.
type session struct {
	*network
	setup   trainer.Setup
	updates uint64 // done, and the key of dropout masks
	rate    float64

	m, v           device.Address // the optimiser's moments, [size]
	labels, shares device.Address // [batch] int32, [batch] float32
	losses         device.Address // [lossBlocks] float64: parts of the batch's
	sums           device.Address // float64: the batch's loss, the epoch's
	hostCodes      []byte
	hostLabels     []int32
	hostWeights    []float32
	set            resident
	ahead          [2]device.Address // [batch, window] bytes each, filled in turn with names to score
}

// Places of the numbers in sums.
const (
	batchLoss = 8 * iota
	epochLoss
	sumsSize
)

func newSession(dev device.Device, s trainer.Setup, precision string) (*session, error) {
	ses := &session{setup: s, rate: s.LearningRate}
	n, err := build(dev, s, precision, &ses.updates)
	if err != nil {
		return nil, err
	}
	ses.network = n
	ses.m, ses.v = n.alloc(n.size), n.alloc(n.size)
	ses.labels, ses.shares = n.alloc(n.batch), n.alloc(n.batch)
	ses.losses, ses.sums = n.take(8*lossBlocks), n.take(sumsSize)
	ses.hostCodes = make([]byte, n.batch*n.window)
	ses.hostLabels, ses.hostWeights = make([]int32, n.batch), make([]float32, n.batch)
	for i := range ses.ahead {
		ses.ahead[i] = n.take(n.batch * n.window)
		n.clear(ses.ahead[i], n.batch*n.window) // as n.codes
	}
	n.clear(ses.m, 4*n.size)
	n.clear(ses.v, 4*n.size)
	n.clear(ses.sums, sumsSize)
	if n.err != nil {
		n.close()
		return nil, n.err
	}
	return ses, nil
}

func (s *session) Step(ctx context.Context, b *trainer.Batch) (float64, error) {
	if err := errors.Join(ctx.Err(), s.err); err != nil {
		return 0, err
	}
	if err := s.load(b); err != nil {
		return 0, err
	}
	s.update(0)
	loss, err := s.number(batchLoss)
	if err != nil {
		return 0, err
	}
	if !math.IsNaN(loss) && !math.IsInf(loss, 0) { // else the device kept the parameters that gave it
		s.updates++
	}
	return loss, nil
}

// load copies a batch to the device; a short one is filled up with padding of weight 0.
func (s *session) load(b *trainer.Batch) error {
	if err := b.Check(s.batch, s.window, len(s.spec.Labels)); err != nil {
		return err
	}
	for i := range s.hostCodes {
		s.hostCodes[i] = byte(s.pad)
	}
	for i, c := range b.Codes {
		if int(c) >= s.rows {
			return fmt.Errorf("code %d at %d: the model has %d", c, i, s.rows)
		}
		s.hostCodes[i] = byte(c)
	}
	clear(s.hostLabels)
	clear(s.hostWeights)
	for i, l := range b.Labels {
		s.hostLabels[i] = int32(l)
	}
	copy(s.hostWeights, b.Weights)
	for at, data := range map[device.Address][]byte{s.codes: s.hostCodes, s.labels: bytesOf(s.hostLabels),
		s.shares: bytesOf(s.hostWeights)} {
		if err := s.dev.Upload(at, data); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) Gradients(b *trainer.Batch) (float64, model.Weights, error) {
	if err := s.load(b); err != nil {
		return 0, nil, err
	}
	s.gradients(0)
	loss, err := s.number(batchLoss)
	if err != nil {
		return 0, nil, err
	}
	grads, err := s.get(s.grads)
	return loss, grads, err
}

// lossBlocks is the most blocks that share a batch's loss, lossSamples what a thread of them has at least.
const lossBlocks, lossSamples = 64, 4

// gradients queues both passes over the batch that is on the device; its loss counts that often in an epoch's.
func (s *session) gradients(count int) {
	outputs := s.spec.Outputs()
	s.forward(true)
	wide := 1024
	for wide > 64 && wide/2 >= s.batch {
		wide /= 2
	}
	blocks := min(max(s.batch*outputs/(lossSamples*wide), 1), lossBlocks)
	s.launch("cross_entropy", device.Dim{X: blocks}, device.Dim{X: wide}, 0, s.losses, s.logits.grad, s.logits.data,
		s.labels, s.shares, s.batch, outputs, float32(s.setup.LabelSmoothing))
	s.launch("add_loss", device.Dim{X: 1}, device.Dim{X: 1}, 0, s.sums+batchLoss, s.sums+epochLoss, s.losses, blocks,
		count)
	s.backward()
}

func (s *session) update(count int) {
	s.gradients(count)
	s.optimize()
}

func (s *session) optimize() {
	s.folded = false
	b1, b2, epsilon, rate, inverse := 0.9, 0.999, 1e-7, s.rate, 1.0
	if s.setup.Optimizer == trainer.OptimizerRMSProp {
		b1, b2 = 0, 0.9
	} else {
		t := float64(s.updates + 1)
		rate /= 1 - math.Pow(b1, t)
		inverse = 1 / math.Sqrt(1-math.Pow(b2, t))
	}
	keep := float32(1 - s.rate*s.setup.WeightDecay)
	s.each("adam", s.size, s.weights, s.grads, s.m, s.v, s.size, s.matrices, float32(b1), float32(1-b1), float32(b2),
		float32(1-b2), float32(rate), float32(epsilon), float32(inverse), keep, s.sums+batchLoss)
}

// number waits for the device and reads one of the sums.
func (s *session) number(which device.Address) (float64, error) {
	if s.err != nil {
		return 0, s.err
	}
	out := make([]float64, 1)
	if err := s.dev.Download(bytesOf(out), s.sums+which); err != nil {
		return 0, fmt.Errorf("step %d: %w. What was kept of the last epoch is there: go on with --resume", s.updates, err)
	}
	return out[0], nil
}

func (s *session) Weights() (model.Weights, error) { return s.copyOut(s.weights) }

// copyOut copies parameters or moments, after which the session has an error if the device was lost.
func (s *session) copyOut(base device.Address) (model.Weights, error) {
	w, err := s.get(base)
	s.err = cmp.Or(s.err, err)
	return w, s.err
}

func (s *session) State() (st trainer.State, err error) {
	st.Steps = int(s.updates)
	if st.Weights, err = s.Weights(); err != nil || st.Steps == 0 {
		return st, err
	}
	if st.V, err = s.copyOut(s.v); err != nil || s.setup.Optimizer == trainer.OptimizerRMSProp {
		return st, err
	}
	st.M, err = s.copyOut(s.m)
	return st, err
}

func (s *session) Restore(st trainer.State) error {
	err := s.put(s.weights, st.Weights)
	if err == nil && st.Steps > 0 {
		err = s.put(s.v, st.V)
	}
	if err == nil && st.Steps > 0 && s.setup.Optimizer != trainer.OptimizerRMSProp {
		err = s.put(s.m, st.M)
	}
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	s.updates = uint64(st.Steps)
	return nil
}

func (s *session) SetLearningRate(rate float64) { s.rate = rate }

func (s *session) Close() error {
	s.close()
	return s.dev.Close()
}
