//go:build emulate || gpu

package cuda

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"

	_ "github.com/degas-dns/degas/trainer/graph"
	_ "go4.org/unsafe/assume-no-moving-gc" // gorgonia needs this version on current Go
)

// narrow shrinks a preset so that the emulation is quick, keeping every layer. Units is the LSTM's.
func narrow(t *testing.T, name string, units int) model.Spec {
	t.Helper()
	spec, err := model.Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	var shrink func(layers []model.Layer) []model.Layer
	shrink = func(layers []model.Layer) []model.Layer {
		out := slices.Clone(layers)
		for i, l := range out {
			out[i].Dim, out[i].Filters = min(l.Dim, 8), min(l.Filters, 36)
			if l.Kind == model.KindLSTM {
				out[i].Units = units
			} else if l.Units > 2 {
				out[i].Units = 10
			}
			for j, b := range l.Branches {
				out[i].Branches = slices.Clone(out[i].Branches)
				out[i].Branches[j] = shrink(b)
			}
		}
		return out
	}
	spec.Layers = shrink(spec.Layers)
	spec.Encoder.Window = 12
	return spec
}

// batchOf draws names of all lengths; whether one holds an 'a' is its label.
func batchOf(rng *rand.Rand, spec *model.Spec, n int) *trainer.Batch {
	window := spec.Encoder.Window
	b := &trainer.Batch{Codes: make([]uint16, n*window), Labels: make([]int, n), Weights: make([]float32, n)}
	coder := spec.Encoder.Coder()
	for i := range n {
		name := make([]byte, rng.IntN(window+3))
		for j := range name {
			name[j] = "abcdefghij0123456789-."[rng.IntN(22)]
		}
		coder.Encode(b.Codes[i*window:(i+1)*window], string(name))
		if slices.Contains(name, 'a') {
			b.Labels[i] = 1
		}
		b.Weights[i] = 0.5 + rng.Float32()
	}
	return b
}

// TestMain leaves the tests out where a degas for GPUs finds none.
func TestMain(m *testing.M) {
	if _, err := device.List(); errors.Is(err, device.ErrNone) {
		fmt.Println("skipped:", err)
		return
	}
	os.Exit(m.Run())
}

func start(t *testing.T, engine string, s trainer.Setup) trainer.Session {
	t.Helper()
	e, err := trainer.Engines.Lookup(engine)
	if err != nil {
		t.Fatal(err)
	}
	ses, err := e.Start(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ses.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return ses
}

// The kernels must walk the CPU engine's path: same weights, same batches, same losses and, in the end, weights.
func TestAgreesWithCPU(t *testing.T) {
	for _, c := range []struct {
		preset, precision string
		units             int
		tolerance         float64
	}{
		{"cnn", trainer.PrecisionFP32, 0, 1e-4},
		{"cnn", trainer.PrecisionTF32, 0, 5e-3},
		{"cnn", trainer.PrecisionBF16, 0, 3e-2},
		{"degas", trainer.PrecisionFP32, 0, 1e-4},
		{"degas", trainer.PrecisionBF16, 0, 3e-2},
		{"lstm", trainer.PrecisionFP32, 10, 1e-4},
		{"lstm", trainer.PrecisionBF16, 32, 3e-2},
		{"lstm", trainer.PrecisionBF16, 10, 3e-2},
		{"hybrid", trainer.PrecisionFP32, 40, 1e-4},
		{"hybrid", trainer.PrecisionBF16, 32, 3e-2},
		{"gta1", trainer.PrecisionFP32, 10, 1e-4},
		{"gta1", trainer.PrecisionBF16, 64, 3e-2},
	} {
		t.Run(fmt.Sprintf("%s/%s/%d", c.preset, c.precision, c.units), func(t *testing.T) {
			spec := narrow(t, c.preset, c.units)
			w, err := model.Initial(&spec, 5)
			if err != nil {
				t.Fatal(err)
			}
			setup := trainer.Setup{Spec: &spec, Weights: w, BatchSize: 37, Workers: 1, Seed: 7, LearningRate: 3e-3,
				WeightDecay: 0.02, LabelSmoothing: 0.05}
			cpu := start(t, "cpu", setup)
			setup.Precision = c.precision
			gpu := start(t, "cuda", setup)
			rng := rand.New(rand.NewPCG(31, 32))
			steps := 10
			if testing.Short() {
				steps = 3
			}
			for i := range steps {
				b := batchOf(rng, &spec, 37-i%2*5)
				want, err := cpu.Step(context.Background(), b)
				if err != nil {
					t.Fatal(err)
				}
				got, err := gpu.Step(context.Background(), b)
				if err != nil {
					t.Fatal(err)
				}
				if math.IsNaN(got) || math.Abs(got-want) > c.tolerance*math.Max(1, want) {
					t.Fatalf("step %d: loss %v, the CPU's is %v", i, got, want)
				}
			}
			if c.precision == trainer.PrecisionFP32 {
				compareWeights(t, weightsOf(t, gpu), weightsOf(t, cpu), 2e-3, 1e-5)
			}
		})
	}
}

func weightsOf(t *testing.T, s trainer.Session) model.Weights {
	t.Helper()
	w, err := s.Weights()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// compareWeights wants each tensor to differ by at most a share of its norm and what is added to that.
func compareWeights(t *testing.T, got, want model.Weights, share, more float64) {
	t.Helper()
	for name, w := range want {
		var diff, norm float64
		for i, v := range w.Data {
			d := float64(v - got[name].Data[i])
			diff, norm = diff+d*d, norm+float64(v)*float64(v)
		}
		if !(math.Sqrt(diff) <= share*math.Sqrt(norm)+more) {
			t.Errorf("%s: differs by %.2g of its norm %.2g", name, math.Sqrt(diff), math.Sqrt(norm))
		}
	}
}

// What cannot be done must be said before anything is trained, by layer or by amount.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		preset string
		change func(*trainer.Setup)
		want   string
	}{
		"image": {"mlbridge", func(*trainer.Setup) {},
			`layer image: no CUDA kernel does a layer of kind "image". Try: --engine cpu`},
		"units": {"lstm", func(s *trainer.Setup) { s.Spec.Layers[1].Units = 200 },
			"layer lstm: 200 units: at most 128. Try: --engine cpu"},
		"stacked": {"lstm", func(s *trainer.Setup) {
			first := s.Spec.Layers[1]
			first.ReturnSequences = true
			s.Spec.Layers = slices.Insert(s.Spec.Layers, 1, first)
		}, "layer lstm: no CUDA kernel does return_sequences. Try: --engine cpu"},
		"hard sigmoid": {"lstm", func(s *trainer.Setup) { s.Spec.Layers[1].RecurrentActivation = model.Clip },
			"layer lstm: no CUDA kernel does recurrent_activation clip. Try: --engine cpu"},
		"memory": {"cnn", func(s *trainer.Setup) { s.BatchSize = 1 << 24 }, "Try: a smaller --batch-size"},
		"precision": {"cnn", func(s *trainer.Setup) { s.Precision = "fp8" },
			`unknown precision "fp8", known are fp32, tf32, bf16`},
		"batch size": {"cnn", func(s *trainer.Setup) { s.BatchSize = 0 }, "batch size 0"},
		"rmsprop": {"cnn", func(s *trainer.Setup) { s.Optimizer, s.WeightDecay = trainer.OptimizerRMSProp, 0.1 },
			"rmsprop has no weight decay"},
	} {
		t.Run(name, func(t *testing.T) {
			spec, err := model.Preset(c.preset)
			if err != nil {
				t.Fatal(err)
			}
			s := trainer.Setup{Spec: &spec, BatchSize: 8, Workers: 1, Seed: 1, LearningRate: 1e-3}
			c.change(&s)
			if s.Weights, err = model.Initial(&spec, 1); err != nil {
				t.Fatal(err)
			}
			ses, err := engine{}.Start(context.Background(), s)
			if err == nil {
				ses.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q, want %q in it", err, c.want)
			}
			if refused := (engine{}).Supports(&spec); (refused != nil) != strings.Contains(c.want, "--engine cpu") {
				t.Errorf("whether it is supported: %v", refused)
			}
		})
	}
}
