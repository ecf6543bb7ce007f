//go:build emulate || gpu

package cuda

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

// An epoch must take every sample once, in the order that every engine takes, and fill up the last batch with weight 0.
func TestEpochTakesEverySampleOnce(t *testing.T) {
	dev, err := device.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for at, n := range []int{1, 2, 3, 4, 5, 16, 17, 100, 257, 257} {
		const batch, window = 8, 3
		key := uint64(42) // and 0 for the last: the set's own order
		if at == 9 {
			key = 0
		}
		net := &network{dev: dev, batch: batch, window: window, pad: 9}
		s := &session{network: net}
		net.codes, s.labels, s.shares = net.take(batch*window), net.alloc(batch), net.alloc(batch)
		s.set = resident{n: n, codes: net.take(n * window), labels: net.take(2 * n), weights: net.alloc(n)}
		codes, labels, weights := make([]byte, n*window), make([]uint16, n), make([]float32, n)
		for i := range n {
			labels[i], weights[i] = uint16(i%2), 1+2*float32(i%2)
			codes[i*window], codes[i*window+1] = byte(i), byte(i>>8)
		}
		for at, data := range map[device.Address][]byte{s.set.codes: codes, s.set.labels: bytesOf(labels),
			s.set.weights: bytesOf(weights)} {
			if err := dev.Upload(at, data); err != nil {
				t.Fatal(err)
			}
		}
		seen := map[int]bool{}
		for done := 0; done < n; done += batch {
			count := min(batch, n-done)
			s.takeBatch(done, count, key)
			gotCodes, gotLabels, gotWeights := make([]byte, batch*window), make([]int32, batch), make([]float32, batch)
			for at, data := range map[device.Address][]byte{net.codes: gotCodes, s.labels: bytesOf(gotLabels),
				s.shares: bytesOf(gotWeights)} {
				if err := dev.Download(data, at); err != nil {
					t.Fatal(err)
				}
			}
			for b := range batch {
				i := int(gotCodes[b*window]) + int(gotCodes[b*window+1])<<8
				switch {
				case b >= count:
					if gotCodes[b*window] != 9 || gotWeights[b] != 0 {
						t.Fatalf("n %d: row %d beyond the last is %v of weight %v", n, b, gotCodes[b*window:(b+1)*window], gotWeights[b])
					}
				case seen[i] || i >= n || int(gotLabels[b]) != i%2 || gotWeights[b] != 1+2*float32(i%2):
					t.Fatalf("n %d: sample %d again, or with label %d and weight %v", n, i, gotLabels[b], gotWeights[b])
				case key == 0 && i != done+b || key != 0 && i != int(trainer.Shuffled(uint32(done+b), uint32(n), key)):
					t.Fatalf("n %d: sample %d at place %d of the order of key %d", n, i, done+b, key)
				}
				if b < count {
					seen[i] = true
				}
			}
		}
		if len(seen) != n {
			t.Errorf("n %d: %d samples", n, len(seen))
		}
		net.close()
	}
}

// A whole training on the device must come out as on the CPU, which draws the same orders and masks, and the same each
// time.
func TestFitOnDevice(t *testing.T) {
	spec := narrow(t, "cnn", 0)
	rng := rand.New(rand.NewPCG(1, 2))
	var names []string
	var labels []int
	for range 600 {
		b := make([]byte, 3+rng.IntN(7))
		for i := range b {
			b[i] = "abcdefgh01"[rng.IntN(10)]
		}
		names = append(names, string(b))
		labels = append(labels, 0)
		if strings.Contains(names[len(names)-1], "a") {
			labels[len(labels)-1] = 1
		}
	}
	train, validation := trainer.NewSet(names[:500], labels[:500]), trainer.NewSet(names[500:], labels[500:])
	fit := func(engine, precision string, augment float64) *trainer.Result {
		e, err := trainer.Engines.Lookup(engine)
		if err != nil {
			t.Fatal(err)
		}
		o := trainer.DefaultOptions()
		o.Epochs, o.BatchSize, o.LearningRate, o.Augment, o.Schedule, o.Precision, o.Blend = 4, 32, 1e-2, augment,
			trainer.ScheduleCosine, precision, 0.3
		r, err := trainer.Fit(context.Background(), trainer.Task{Spec: &spec, Engine: e, Train: train,
			Validation: validation}, o, trainer.Observer{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	cpu, exact := fit("cpu", "", 0.2), fit("cuda", trainer.PrecisionFP32, 0.2)
	for i, want := range cpu.History {
		if got := exact.History[i]; math.Abs(got.TrainLoss-want.TrainLoss) > 2e-4 ||
			math.Abs(got.ValidationAUC-want.ValidationAUC) > 0.0005 {
			t.Errorf("fp32, epoch %d: loss %v and AUC %v, on the CPU %v and %v", i+1, got.TrainLoss, got.ValidationAUC,
				want.TrainLoss, want.ValidationAUC)
		}
	}
	gpu, again := fit("cuda", "", 0.2), fit("cuda", "", 0.2)
	if d := math.Abs(gpu.Best.ValidationAUC - cpu.Best.ValidationAUC); !(d < 0.02) ||
		gpu.Best.ValidationLoss > 2*cpu.Best.ValidationLoss+0.05 {
		t.Errorf("AUC %v and loss %v, on the CPU %v and %v", gpu.Best.ValidationAUC, gpu.Best.ValidationLoss,
			cpu.Best.ValidationAUC, cpu.Best.ValidationLoss)
	}
	for name, w := range gpu.Weights {
		for i, v := range w.Data {
			if again.Weights[name].Data[i] != v {
				t.Fatalf("%s[%d] is %v and %v in two trainings", name, i, v, again.Weights[name].Data[i])
			}
		}
	}
	if r := fit("cuda", "", 0.5); r.Best.ValidationLoss == gpu.Best.ValidationLoss {
		t.Error("names with hosts before them gave the same loss")
	}
}

// smallEngine is a device with room for few names.
type smallEngine struct {
	engine
	room  int
	kept  int // most that were kept
	calls int
}

func (e *smallEngine) Start(ctx context.Context, s trainer.Setup) (trainer.Session, error) {
	ses, err := e.engine.Start(ctx, s)
	if err != nil {
		return nil, err
	}
	return smallSession{ses.(trainer.Resident), e}, nil
}

type smallSession struct {
	trainer.Resident
	of *smallEngine
}

func (s smallSession) Keep(codes []byte, labels []uint16, weights []float32) error {
	if len(labels) > s.of.room {
		return trainer.ErrTooLarge
	}
	s.of.kept, s.of.calls = max(s.of.kept, len(labels)), s.of.calls+1
	return s.Resident.Keep(codes, labels, weights)
}

// A set that does not fit must be walked in portions, each name once an epoch, with the same result.
func TestFitInPortions(t *testing.T) {
	spec := narrow(t, "cnn", 0)
	var names []string
	var labels []int
	for i := range 300 {
		names, labels = append(names, fmt.Sprintf("%c%dx", 'a'+i%7, i)), append(labels, i%2)
	}
	set := trainer.NewSet(names, labels)
	e, large := &smallEngine{room: 100}, &smallEngine{room: 300}
	o := trainer.DefaultOptions()
	o.Epochs, o.BatchSize = 2, 16
	last := 0
	r, err := trainer.Fit(context.Background(), trainer.Task{Spec: &spec, Engine: e, Train: set, Validation: set}, o,
		trainer.Observer{Step: func(_, done, total int, loss float64) {
			if done <= last%total || total != 300 || math.IsNaN(loss) {
				t.Errorf("%d of %d names after %d, loss %v", done, total, last, loss)
			}
			last = done
		}})
	if err != nil {
		t.Fatal(err)
	}
	if e.kept != 80 || e.calls != 8 || last != 300 || math.Abs(r.History[0].TrainLoss-0.69) > 0.1 {
		t.Errorf("%d portions of at most %d names, %d done, loss %v", e.calls, e.kept, last, r.History[0].TrainLoss)
	}
	whole, err := trainer.Fit(context.Background(), trainer.Task{Spec: &spec, Engine: large, Train: set, Validation: set},
		o, trainer.Observer{})
	if err != nil {
		t.Fatal(err)
	}
	if large.calls != 1 || whole.Best.ValidationLoss != r.Best.ValidationLoss {
		t.Errorf("kept %d times: loss %v, in portions %v", large.calls, whole.Best.ValidationLoss, r.Best.ValidationLoss)
	}
	e.room = 10
	if _, err := trainer.Fit(context.Background(), trainer.Task{Spec: &spec, Engine: e, Train: set, Validation: set}, o,
		trainer.Observer{}); !errors.Is(err, trainer.ErrTooLarge) {
		t.Errorf("no room for a batch: %v", err)
	}
}

// What the device says of names must be what the classifier says with the same weights, in bf16 nearly so; a session
// put into another's state must go on as that one.
func TestScoresAndState(t *testing.T) {
	for _, c := range []struct {
		preset, precision string
		tolerance         float64
	}{
		{"hybrid", trainer.PrecisionFP32, 1e-5},
		{"hybrid", trainer.PrecisionBF16, 1e-2},
		{"cnn", trainer.PrecisionBF16, 1e-2},
		{"lstm", trainer.PrecisionBF16, 1e-2},
		{"degas", trainer.PrecisionTF32, 1e-2},
	} {
		t.Run(c.preset+"/"+c.precision, func(t *testing.T) { scoresAndState(t, c.preset, c.precision, c.tolerance) })
	}
}

func scoresAndState(t *testing.T, preset, precision string, tolerance float64) {
	spec := narrow(t, preset, 32)
	w, err := model.Initial(&spec, 5)
	if err != nil {
		t.Fatal(err)
	}
	setup := trainer.Setup{Spec: &spec, Weights: w, BatchSize: 16, Workers: 1, Seed: 7, LearningRate: 1e-2,
		Precision: precision}
	s := start(t, "cuda", setup)
	rng := rand.New(rand.NewPCG(5, 6))
	for range 3 {
		if _, err := s.Step(context.Background(), batchOf(rng, &spec, 16)); err != nil {
			t.Fatal(err)
		}
	}
	b := batchOf(rng, &spec, 37)
	got, want := make([]float32, 2*37), make([]float32, 2*37)
	on, codes := s.(trainer.Resident), make([]byte, len(b.Codes))
	on.Narrow(codes, b.Codes)
	if err := on.Probabilities(context.Background(), codes, got); err != nil {
		t.Fatal(err)
	}
	c, err := model.NewClassifier(&model.Model{Spec: spec, Weights: weightsOf(t, s), Threshold: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ProbabilitiesOfCodes(context.Background(), b.Codes, want); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > tolerance {
			t.Fatalf("probability %d is %v, the classifier's %v", i, got[i], want[i])
		}
	}
	other := start(t, "cuda", setup)
	state, err := s.State()
	if err := errors.Join(err, other.Restore(state)); err != nil {
		t.Fatal(err)
	}
	next := batchOf(rng, &spec, 16)
	a, errA := s.Step(context.Background(), next)
	z, errZ := other.Step(context.Background(), next)
	if errA != nil || errZ != nil || a != z {
		t.Errorf("after the restore the loss is %v (%v), want %v (%v)", z, errZ, a, errA)
	}
}

// A training whose weights are no numbers must not look as if it went on: its loss is none either.
func TestNaNIsSeen(t *testing.T) {
	for _, c := range []struct{ preset, precision, param string }{
		{"cnn", trainer.PrecisionFP32, "embedding/embeddings"},
		{"cnn", trainer.PrecisionBF16, "embedding/embeddings"},
		{"cnn", trainer.PrecisionBF16, "conv1d_2/kernel"},
		{"cnn", trainer.PrecisionBF16, "dense/kernel"},
		{"degas", trainer.PrecisionTF32, "conv1d/kernel"},
		{"degas", trainer.PrecisionBF16, "conv1d_1/kernel"},
		{"lstm", trainer.PrecisionBF16, "lstm/recurrent_kernel"},
		{"lstm", trainer.PrecisionFP32, "lstm/kernel"},
		{"lstm", trainer.PrecisionBF16, "lstm/kernel"},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			spec := narrow(t, c.preset, 32)
			w, err := model.Initial(&spec, 5)
			if err != nil {
				t.Fatal(err)
			}
			s := start(t, "cuda", trainer.Setup{Spec: &spec, Weights: w, BatchSize: 16, Workers: 1, Seed: 7, LearningRate: 1e-2,
				Precision: c.precision}).(*session)
			for _, p := range s.params {
				if p.Name == c.param { // as an update that overflowed would leave it
					nothing := slices.Repeat([]float32{float32(math.NaN())}, p.Size())
					if err := s.dev.Upload(p.data, bytesOf(nothing)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if loss, err := s.Step(context.Background(), batchOf(rand.New(rand.NewPCG(5, 6)), &spec, 16)); err != nil ||
				!math.IsNaN(loss) {
				t.Errorf("loss %v, %v", loss, err)
			}
		})
	}
}

// Names scored in many batches at once must get what each gets alone, with the weights of now, and leave training as it
// was.
func TestScoresInBatches(t *testing.T) {
	for _, c := range []struct {
		preset, precision, eager string
	}{{"degas", trainer.PrecisionFP32, "0"}, {"cnn", trainer.PrecisionBF16, "1"}, {"lstm", trainer.PrecisionBF16, "1"}} {
		t.Run(c.preset, func(t *testing.T) {
			t.Setenv("DEGAS_EMULATED_EAGER", c.eager) // copies beside the queue as late or as soon as they may run
			const batch, n = 4, 31
			spec := narrow(t, c.preset, 32)
			w, err := model.Initial(&spec, 5)
			if err != nil {
				t.Fatal(err)
			}
			setup := trainer.Setup{Spec: &spec, Weights: w, BatchSize: batch, Workers: 1, Seed: 7, LearningRate: 1e-2,
				Precision: c.precision}
			s, untouched := start(t, "cuda", setup).(*session), start(t, "cuda", setup).(*session)
			rng := rand.New(rand.NewPCG(5, 6))
			b := batchOf(rng, &spec, n)
			codes, labels := make([]byte, len(b.Codes)), make([]uint16, n)
			s.Narrow(codes, b.Codes)
			for i, l := range b.Labels {
				labels[i] = uint16(l)
			}
			score := func(s *session, each int) []float32 {
				p := make([]float32, 2*n)
				for lo := 0; lo < n; lo += each {
					hi := min(lo+each, n)
					if err := s.Probabilities(context.Background(), codes[lo*s.window:hi*s.window], p[2*lo:2*hi]); err != nil {
						t.Fatal(err)
					}
				}
				return p
			}
			alone := score(s, 1) // first, while nothing else has filled the rest of a batch
			before := score(s, n)
			if !slices.Equal(alone, before) {
				t.Errorf("one by one %v, in batches %v", alone, before)
			}
			if err := errors.Join(s.Probabilities(context.Background(), nil, nil), s.Keep(codes, labels, b.Weights),
				untouched.Keep(codes, labels, b.Weights)); err != nil {
				t.Fatal(err)
			}
			for epoch := range 2 { // the second with tables of the weights that the first has left
				var losses [2]float64
				for i, s := range []*session{s, untouched} {
					losses[i], err = s.Epoch(context.Background(), uint64(epoch+1), func(int) {},
						func(int, float64) error { return nil })
					if err != nil {
						t.Fatal(err)
					}
				}
				if losses[0] != losses[1] {
					t.Errorf("epoch %d after scores has loss %v, without %v", epoch, losses[0], losses[1])
				}
				setup.Weights = weightsOf(t, s)
				after := score(s, n)
				if fresh := score(start(t, "cuda", setup).(*session), n); !slices.Equal(after, fresh) ||
					slices.Equal(after, before) {
					t.Errorf("epoch %d: scores %v, with these weights from the start %v, before %v", epoch, after, fresh, before)
				}
			}
			part := batchOf(rng, &spec, batch-1)
			want, err := untouched.Step(context.Background(), part)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.Step(context.Background(), part); err != nil || got != want {
				t.Errorf("a step after scores has loss %v (%v), without %v", got, err, want)
			}
			score(s, n)
			if err := s.Restore(trainer.State{Weights: w}); err != nil {
				t.Fatal(err)
			}
			if again := score(s, 2*batch); !slices.Equal(again, before) {
				t.Errorf("with the first weights again %v, want %v", again, before)
			}
		})
	}
}

// A failure in one batch must end the scores, and so must a context that ends.
func TestScoresEnd(t *testing.T) {
	spec := narrow(t, "cnn", 0)
	w, err := model.Initial(&spec, 5)
	if err != nil {
		t.Fatal(err)
	}
	setup := trainer.Setup{Spec: &spec, Weights: w, BatchSize: 4, Workers: 1, Seed: 7, LearningRate: 1e-2,
		Precision: trainer.PrecisionFP32}
	s := start(t, "cuda", setup).(*session)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	training, codes, p := s.codes, make([]byte, 30*s.window), make([]float32, 60)
	if err := s.Probabilities(ctx, codes, p); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	if err := s.Probabilities(context.Background(), codes, p); err != nil || p[59] == 0 {
		t.Errorf("after that: %v, %v", err, p)
	}
	if s.codes != training {
		t.Error("training has lost its place for codes")
	}
	s.launch("none_such", device.Dim{}, device.Dim{}, 0)
	if err := s.Probabilities(context.Background(), codes, p); err == nil || !strings.Contains(err.Error(), "none_such") {
		t.Errorf("after a launch that failed: %v", err)
	}
}

// Random Specs must either agree with the CPU engine or be refused by the layer's name.
func TestRandomSpecs(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	agreed := 0
	for range 60 {
		spec := modeltest.WithoutDropout(modeltest.Spec(rng))
		w := modeltest.Weights(&spec, rng)
		setup := trainer.Setup{Spec: &spec, Weights: w, BatchSize: 9, Workers: 1, Seed: 7, LearningRate: 1e-3,
			Precision: trainer.PrecisionFP32}
		gpu, err := engine{}.Start(context.Background(), setup)
		if err != nil {
			if !strings.Contains(err.Error(), "--engine cpu") {
				t.Errorf("%v\n%+v", err, spec)
			}
			continue
		}
		setup.Precision = ""
		cpu := start(t, "cpu", setup)
		b := batchOf(rng, &spec, 9)
		for i := range b.Labels {
			b.Labels[i] = rng.IntN(len(spec.Labels))
		}
		want, exact, err := cpu.(trainer.Differentiator).Gradients(b)
		if err != nil {
			t.Fatal(err)
		}
		got, grads, err := gpu.(trainer.Differentiator).Gradients(b)
		if err != nil {
			t.Fatalf("%v\n%+v", err, spec)
		}
		if math.Abs(got-want) > 1e-4*(1+math.Abs(want)) {
			t.Errorf("loss %v, the CPU's %v\n%+v", got, want, spec)
		}
		compareWeights(t, grads, exact, 2e-3, 1e-5)
		if err := gpu.Close(); err != nil {
			t.Error(err)
		}
		agreed++
	}
	if agreed < 10 {
		t.Errorf("only %d Specs ran", agreed)
	}
}
