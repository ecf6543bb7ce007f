package trainer_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"

	_ "go4.org/unsafe/assume-no-moving-gc"

	_ "github.com/degas-dns/degas/trainer/graph"
)

// tiny is a Spec that trains in milliseconds and has every source of randomness: weights, order and dropout.
func tiny() *model.Spec {
	return &model.Spec{Version: 1, Name: "tiny", Labels: model.BinaryLabels,
		Encoder: model.Encoder{Alphabet: model.NameAlphabet, Base: 2, Unknown: 1, Window: 16, PadSide: model.Left,
			Keep: model.Last, Lower: true},
		Layers: []model.Layer{
			{Kind: model.KindEmbedding, Rows: 41, Dim: 8},
			{Kind: model.KindConv1D, Filters: 16, Kernel: 3, Activation: model.ReLU},
			{Kind: model.KindGlobalMaxPool},
			{Kind: model.KindDropout, Rate: 0.3},
			{Kind: model.KindDense, Units: 1, Activation: model.Sigmoid},
		}}
}

// words makes names that are malicious when they are random letters, benign when they repeat syllables.
func words(n int, seed uint64) *trainer.Set {
	rng := rand.New(rand.NewPCG(seed, 1))
	syllables := []string{"ba", "no", "ri", "tel", "com", "go", "le", "mar"}
	var names []string
	var labels []int
	for i := range n {
		var b strings.Builder
		for b.Len() < 6+rng.IntN(6) {
			if i%2 == 0 {
				b.WriteString(syllables[rng.IntN(len(syllables))])
			} else {
				b.WriteByte(byte('a' + rng.IntN(26)))
			}
		}
		names, labels = append(names, b.String()+".com"), append(labels, i%2)
	}
	return trainer.NewSet(names, labels)
}

func task(t *testing.T, dir string) trainer.Task {
	t.Helper()
	e, err := trainer.Engines.Lookup("cpu")
	if err != nil {
		t.Fatal(err)
	}
	task := trainer.Task{Spec: tiny(), Engine: e, Train: words(1000, 1), Validation: words(300, 2)}
	if dir != "" {
		task.Store = &trainer.Store{Dir: dir, History: filepath.Join(dir, "history.jsonl")}
	}
	return task
}

func options(epochs int) trainer.Options {
	o := trainer.DefaultOptions()
	o.Epochs, o.BatchSize, o.Workers, o.LearningRate = epochs, 64, 2, 0.01
	return o
}

func weightBytes(t *testing.T, w model.Weights) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFitLearnsAndRepeats(t *testing.T) {
	a, err := trainer.Fit(context.Background(), task(t, ""), options(6), trainer.Observer{})
	if err != nil {
		t.Fatal(err)
	}
	if a.Best.ValidationAUC < 0.95 {
		t.Errorf("validation AUC %.3f after %d epochs", a.Best.ValidationAUC, len(a.History))
	}
	b, err := trainer.Fit(context.Background(), task(t, ""), options(6), trainer.Observer{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(weightBytes(t, a.Weights), weightBytes(t, b.Weights)) {
		t.Error("the same seed gave other weights")
	}
}

// A student comes out as its teacher, also where the labels say the opposite.
func TestFitLearnsFromTeacher(t *testing.T) {
	o := options(6)
	taught, err := trainer.Fit(context.Background(), task(t, ""), o, trainer.Observer{})
	if err != nil {
		t.Fatal(err)
	}
	teacher, err := model.NewClassifier(&model.Model{Spec: *tiny(), Weights: taught.Weights, Threshold: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	wrong := task(t, "")
	wrong.Teacher = teacher
	names, labels := []string{}, []int{}
	right := words(1000, 1)
	for i := range right.Len() {
		names, labels = append(names, right.Name(i)), append(labels, 1-right.Label(i))
	}
	wrong.Train = trainer.NewSet(names, labels)
	student, err := trainer.Fit(context.Background(), wrong, o, trainer.Observer{})
	if err != nil {
		t.Fatal(err)
	}
	if student.Best.ValidationAUC < 0.9 {
		t.Errorf("validation AUC %.3f after wrong labels and a right teacher", student.Best.ValidationAUC)
	}
}

// A run stopped in the middle of an epoch and resumed ends with the bytes of one that was never stopped.
func TestResumeEqualsUninterrupted(t *testing.T) {
	for _, optimizer := range []string{trainer.OptimizerAdam, trainer.OptimizerRMSProp} {
		t.Run(optimizer, func(t *testing.T) {
			o := options(6)
			o.Optimizer = optimizer
			resumeEqualsUninterrupted(t, o, 1, 3, 4)
		})
	}
}

// The same with everything that a recipe can ask for.
func TestResumeEqualsUninterruptedWithRecipe(t *testing.T) {
	o := options(6)
	o.Schedule, o.WeightDecay, o.LabelSmoothing, o.Average, o.Augment, o.Invent = trainer.ScheduleCosine, 0.01, 0.05, 0.99,
		0.3, 0.2
	resumeEqualsUninterrupted(t, o, 1, 3, 4)
	r, err := trainer.Fit(context.Background(), task(t, ""), o, trainer.Observer{})
	if err != nil {
		t.Fatal(err)
	}
	first, last := r.History[0].LearningRate, r.History[5].LearningRate
	if !(first < o.LearningRate && first > 0.8*o.LearningRate && last < 0.01*o.LearningRate) {
		t.Errorf("cosine from %g went to %g after the first epoch and %g after the last", o.LearningRate, first, last)
	}
	if r.Best.ValidationAUC < 0.9 {
		t.Errorf("validation AUC %.3f", r.Best.ValidationAUC)
	}
}

func resumeEqualsUninterrupted(t *testing.T, o trainer.Options, stops ...int) {
	whole, err := trainer.Fit(context.Background(), task(t, t.TempDir()), o, trainer.Observer{})
	if err != nil {
		t.Fatal(err)
	}
	interrupted := task(t, t.TempDir())
	for _, at := range stops {
		ctx, cancel := context.WithCancel(context.Background())
		_, err := trainer.Fit(ctx, interrupted, o, trainer.Observer{Step: func(epoch, done, _ int, _ float64) {
			if epoch == at && done > 400 {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped in epoch %d: error %v", at, err)
		}
		interrupted.Resume = true
	}
	resumed, err := trainer.Fit(context.Background(), interrupted, o, trainer.Observer{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(weightBytes(t, whole.Weights), weightBytes(t, resumed.Weights)) {
		t.Error("the resumed run ended with other weights")
	}
	if len(resumed.History) != len(whole.History) || resumed.Best.ValidationLoss != whole.Best.ValidationLoss {
		t.Errorf("history of %d epochs, best %v; uninterrupted %d, %v", len(resumed.History), resumed.Best,
			len(whole.History), whole.Best)
	}
	data, err := os.ReadFile(interrupted.Store.History)
	if err != nil || bytes.Count(data, []byte("\n")) != len(whole.History) {
		t.Errorf("history.jsonl has %d lines, %v", bytes.Count(data, []byte("\n")), err)
	}
}

func TestEarlyStoppingKeepsTheBest(t *testing.T) {
	o := options(60)
	o.Patience, o.LearningRate, o.PlateauPatience = 2, 0.05, 1
	r, err := trainer.Fit(context.Background(), task(t, ""), o, trainer.Observer{})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Stopped || len(r.History) != r.Best.Epoch+2 {
		t.Fatalf("stopped %v after %d epochs, best %d", r.Stopped, len(r.History), r.Best.Epoch)
	}
	best := slices.MinFunc(r.History, func(a, b trainer.Epoch) int {
		return int(math.Copysign(1, a.ValidationLoss-b.ValidationLoss))
	})
	if best.Epoch != r.Best.Epoch {
		t.Errorf("best epoch %d, lowest validation loss in %d", r.Best.Epoch, best.Epoch)
	}
	last := r.History[len(r.History)-1]
	if last.LearningRate >= o.LearningRate {
		t.Errorf("learning rate still %g on a plateau", last.LearningRate)
	}
}

// nanEngine wraps the real engine and loses its mind in the third epoch.
type nanEngine struct{ trainer.Engine }

type nanSession struct {
	trainer.Session
	steps int
}

func (e nanEngine) Start(ctx context.Context, s trainer.Setup) (trainer.Session, error) {
	ses, err := e.Engine.Start(ctx, s)
	return &nanSession{Session: ses}, err
}

func (s *nanSession) Step(ctx context.Context, b *trainer.Batch) (float64, error) {
	s.steps++
	if s.steps > 40 {
		return math.NaN(), nil
	}
	return s.Session.Step(ctx, b)
}

// lostEngine wraps the real engine and loses its device when the weights are asked for the last of left times.
type lostEngine struct {
	trainer.Engine
	left int
}

type lostSession struct {
	trainer.Session
	left int
}

var errLost = errors.New("lost")

func (e lostEngine) Start(ctx context.Context, s trainer.Setup) (trainer.Session, error) {
	ses, err := e.Engine.Start(ctx, s)
	return &lostSession{ses, e.left}, err
}

func (s *lostSession) Weights() (model.Weights, error) {
	if s.left--; s.left <= 0 {
		return nil, errLost
	}
	return s.Session.Weights()
}

func (s *lostSession) Step(ctx context.Context, b *trainer.Batch) (float64, error) {
	if s.left <= 0 {
		return 0, errLost
	}
	return s.Session.Step(ctx, b)
}

// A device lost while a running mean is kept ends the training with the device's error: at the mean's first weights, at
// its last in the epoch and when the epoch ends.
func TestDeviceLostWhileAveraging(t *testing.T) {
	for left := 1; left <= 3; left++ {
		task := task(t, "")
		task.Engine = lostEngine{task.Engine, left}
		o := options(1)
		o.Average, o.BatchSize = 0.9, 16
		if _, err := trainer.Fit(context.Background(), task, o, trainer.Observer{}); !errors.Is(err, errLost) {
			t.Errorf("weights asked for %d times: error %v", left, err)
		}
	}
}

func TestDivergenceKeepsTheCheckpoint(t *testing.T) {
	task := task(t, t.TempDir())
	task.Engine = nanEngine{task.Engine}
	_, err := trainer.Fit(context.Background(), task, options(6), trainer.Observer{})
	if !errors.Is(err, trainer.ErrDiverged) || !strings.Contains(err.Error(), "--learning-rate") {
		t.Fatalf("error %v", err)
	}
	c, err := task.Store.Load(task.Spec)
	if err != nil || c.Epoch != 2 {
		t.Errorf("checkpoint of epoch %+v, %v", c, err)
	}
}

func TestDamagedCheckpoint(t *testing.T) {
	task := task(t, t.TempDir())
	if _, err := trainer.Fit(context.Background(), task, options(1), trainer.Observer{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(task.Store.Dir, "epoch-0001.safetensors")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	task.Resume = true
	if _, err := trainer.Fit(context.Background(), task, options(2), trainer.Observer{}); err == nil ||
		!strings.Contains(err.Error(), path) {
		t.Errorf("error %v does not name %s", err, path)
	}
}

// A kill between the checkpoint and the history loses no epoch of the history.
func TestResumeWritesHistory(t *testing.T) {
	task := task(t, t.TempDir())
	task.Store.History = filepath.Join(t.TempDir(), "history.jsonl")
	for range 2 {
		if _, err := trainer.Fit(t.Context(), task, options(1), trainer.Observer{}); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(task.Store.History); err != nil || bytes.Count(data, []byte("\n")) != 1 {
			t.Errorf("history %q, %v", data, err)
		}
		task.Resume = true
		os.Remove(task.Store.History)
	}
}

func TestOptionsOutOfRange(t *testing.T) {
	for want, change := range map[string]func(*trainer.Options){
		"epochs 0":         func(o *trainer.Options) { o.Epochs = 0 },
		"batch-size 0":     func(o *trainer.Options) { o.BatchSize = 0 },
		"patience -1":      func(o *trainer.Options) { o.Patience = -1 },
		"learning-rate 0":  func(o *trainer.Options) { o.LearningRate = 0 },
		"learning-rate Na": func(o *trainer.Options) { o.LearningRate = math.NaN() },
		"blend 1.5":        func(o *trainer.Options) { o.Blend = 1.5 },
		"class-weight":     func(o *trainer.Options) { o.ClassWeight = "heavy" },
	} {
		o := trainer.DefaultOptions()
		change(&o)
		if err := o.Resolve(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", want, err)
		}
	}
}
