package trainer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/degas-dns/degas/datasets/prepare"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
)

// processed is a data set whose training names take more than a MiB.
func processed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	raw, rng := filepath.Join(dir, "raw.csv"), rand.New(rand.NewPCG(3, 4))
	var rows bytes.Buffer
	rows.WriteString("domain,class,family\n")
	for i := range 70000 {
		name, letters := make([]byte, 12), []string{"aeiou", "bcdfghlmnprst"}
		for j := range name {
			from := letters[j%2]
			if i%2 == 1 || rng.IntN(5) == 0 { // benign names are pronounceable, mostly
				from = letters[0] + letters[1]
			}
			name[j] = from[rng.IntN(len(from))]
		}
		class := []string{"benign,", fmt.Sprintf("dga,family%d", i%7)}[i%2]
		fmt.Fprintf(&rows, "%s.com,%s\n", name, class)
	}
	if err := os.WriteFile(raw, rows.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	o := prepare.Options{Seed: 1, Test: 0.01, Validation: 0.3, Split: "random"}
	if _, err := prepare.Run(t.Context(), raw, filepath.Join(dir, "data"), o); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "data")
}

func fromDisk(t *testing.T, data, name, memory string) trainer.Request {
	o := trainer.DefaultOptions()
	o.Epochs, o.BatchSize, o.Workers, o.LearningRate, o.Memory = 2, 512, 2, 0.01, memory
	o.Schedule, o.Augment, o.Invent, o.Blend = trainer.ScheduleCosine, 0.1, 0.1, 0.5
	return trainer.Request{Dir: filepath.Join(t.TempDir(), name), Spec: tiny(), Config: trainer.Config{Arch: "tiny",
		Target: trainer.TargetBinary, Engine: "cpu", Data: data, Options: o}}
}

// trained trains, and gives the weights' bytes too.
func trained(t *testing.T, r trainer.Request) (*trainer.Summary, []byte) {
	t.Helper()
	s, err := trainer.Train(t.Context(), r, trainer.Observer{})
	if err != nil {
		t.Fatal(err)
	}
	weights, err := os.ReadFile(filepath.Join(r.Dir, trainer.ModelDir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return s, weights
}

// Training from disk learns what training from memory does, with the same bytes whatever the processors, and after an
// interruption too.
func TestTrainFromDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; go test ./... runs it")
	}
	data := processed(t)
	request := func(name, memory string) trainer.Request { return fromDisk(t, data, name, memory) }
	train := func(r trainer.Request) (*trainer.Summary, []byte) { return trained(t, r) }
	inMemory, memoryWeights := train(request("memory", ""))
	_, unbounded := train(request("unbounded", "0"))
	if !bytes.Equal(memoryWeights, unbounded) {
		t.Error("names that fit into memory are trained on in another order where memory has no bound")
	}
	disk, weights := train(request("disk", "1MiB"))
	if bytes.Equal(weights, memoryWeights) {
		t.Error("the order from disk is that from memory")
	}
	if disk.Train != inMemory.Train || disk.Validation >= inMemory.Validation || disk.Validation < 5000 {
		t.Errorf("%d names to train and %d to validate, in memory %d and %d", disk.Train, disk.Validation,
			inMemory.Train, inMemory.Validation)
	}
	t.Logf("AUC %.4f from disk, %.4f from memory", disk.Best.ValidationAUC, inMemory.Best.ValidationAUC)
	if diff := math.Abs(disk.Best.ValidationAUC - inMemory.Best.ValidationAUC); diff > 0.01 ||
		inMemory.Best.ValidationAUC < 0.9 {
		t.Errorf("AUC %.4f from disk, %.4f from memory", disk.Best.ValidationAUC, inMemory.Best.ValidationAUC)
	}

	was := runtime.GOMAXPROCS(5)
	_, again := train(request("processors", "1MiB"))
	runtime.GOMAXPROCS(was)
	if !bytes.Equal(weights, again) {
		t.Error("another number of processors gives other weights")
	}

	stopped := request("stopped", "1MiB")
	for epoch := 1; epoch <= 3; epoch++ {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := trainer.Train(ctx, stopped, trainer.Observer{Step: func(at, done, _ int, _ float64) {
			if at == epoch && done > 20000 {
				cancel()
			}
		}})
		if cancel(); !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped in epoch %d: %v", epoch, err)
		}
		stopped.Resume = true
	}
	if _, resumed := train(stopped); !bytes.Equal(weights, resumed) {
		t.Error("the resumed run has other weights")
	}
}

// deviceEngine is the cpu engine as one whose device keeps the training names, up to room of them.
type deviceEngine struct {
	trainer.Engine
	room *int
}

var deviceRoom int

func init() {
	cpu, err := trainer.Engines.Lookup("cpu")
	if err != nil {
		panic(err)
	}
	trainer.Engines.Register("test-device", deviceEngine{cpu, &deviceRoom})
}

func (e deviceEngine) Start(ctx context.Context, s trainer.Setup) (trainer.Session, error) {
	ses, err := e.Engine.Start(ctx, s)
	return &deviceSession{Session: ses, setup: s, room: *e.room}, err
}

type deviceSession struct {
	trainer.Session
	setup   trainer.Setup
	room    int
	codes   []byte
	labels  []uint16
	weights []float32
}

func (s *deviceSession) Keep(codes []byte, labels []uint16, weights []float32) error {
	if len(labels) > s.room {
		return trainer.ErrTooLarge
	}
	s.codes, s.labels, s.weights = slices.Clone(codes), slices.Clone(labels), slices.Clone(weights)
	return nil
}

func (s *deviceSession) Epoch(ctx context.Context, key uint64, before func(int),
	report func(int, float64) error) (float64, error) {
	window, sum := s.setup.Spec.Encoder.Window, 0.0
	for done, n := 0, len(s.labels); done < n; {
		before(done)
		var b trainer.Batch
		for range min(s.setup.BatchSize, n-done) {
			at := done
			if key != 0 {
				at = int(trainer.Shuffled(uint32(done), uint32(n), key))
			}
			b.Codes = append(b.Codes, s.wide(s.codes[at*window:(at+1)*window])...)
			b.Labels, b.Weights = append(b.Labels, int(s.labels[at])), append(b.Weights, s.weights[at])
			done++
		}
		loss, err := s.Step(ctx, &b)
		if err != nil {
			return 0, err
		}
		sum += loss * float64(len(b.Labels))
		if err := report(done, sum/float64(done)); err != nil {
			return 0, err
		}
	}
	return sum / float64(len(s.labels)), nil
}

func (s *deviceSession) Probabilities(ctx context.Context, codes []byte, out []float32) error {
	w, err := s.Weights()
	if err != nil {
		return err
	}
	c, err := model.NewClassifier(&model.Model{Spec: *s.setup.Spec, Weights: w, Threshold: 0.5})
	if err != nil {
		return err
	}
	return c.ProbabilitiesOfCodes(ctx, s.wide(codes), out)
}

func (s *deviceSession) Narrow(dst []byte, codes []uint16) {
	for i, c := range codes {
		dst[i] = byte(c)
	}
}

func (s *deviceSession) wide(codes []byte) (out []uint16) {
	for _, c := range codes {
		out = append(out, uint16(c))
	}
	return out
}

// A device gets the names in the order of the cpu engine, whether it has room for all or for a piece of a portion.
func TestDeviceTrainsFromDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; go test ./... runs it")
	}
	data := processed(t)
	for _, memory := range []string{"2GiB", "1MiB"} {
		_, want := trained(t, fromDisk(t, data, "cpu", memory))
		for _, deviceRoom = range []int{1 << 20, 1100} {
			r := fromDisk(t, data, "device", memory)
			r.Config.Engine = "test-device"
			if _, got := trained(t, r); !bytes.Equal(got, want) {
				t.Errorf("--memory %s, a device of %d names: other weights", memory, deviceRoom)
			}
		}
	}
}
