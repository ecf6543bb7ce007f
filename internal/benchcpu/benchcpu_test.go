// Package benchcpu measures training steps and inference on the names of a file, which DEGAS_BENCH_NAMES names, one a
// line. scripts/bench-cpu compares the results with other frameworks on the same names:
//
//	DEGAS_BENCH_NAMES=names.txt go test ./internal/benchcpu -bench Train/cnn/256 -count 7
package benchcpu

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/kernels"
	"github.com/degas-dns/degas/trainer"

	_ "github.com/degas-dns/degas/trainer/graph"
	_ "go4.org/unsafe/assume-no-moving-gc" // gorgonia needs this version on current Go
)

func TestMain(m *testing.M) {
	fmt.Println("kernels:", kernels.Name())
	os.Exit(m.Run())
}

// each runs a benchmark for every preset and batch size that the document has.
func each(b *testing.B, run func(b *testing.B, spec *model.Spec, w model.Weights, names []string, batch int)) {
	path := os.Getenv("DEGAS_BENCH_NAMES")
	if path == "" {
		b.Skip("DEGAS_BENCH_NAMES names no file")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	names := strings.Fields(string(data))
	for _, preset := range []string{"cnn", "lstm", "degas"} {
		for _, batch := range []int{256, 1024} {
			b.Run(fmt.Sprintf("%s/%d", preset, batch), func(b *testing.B) {
				if len(names) < batch {
					b.Fatalf("%s has %d names, fewer than a batch", path, len(names))
				}
				spec, err := model.Preset(preset)
				if err != nil {
					b.Fatal(err)
				}
				w, err := model.Initial(&spec, 1)
				if err != nil {
					b.Fatal(err)
				}
				run(b, &spec, w, names, batch)
				b.ReportMetric(float64(batch*b.N)/b.Elapsed().Seconds(), "names/s")
			})
		}
	}
}

// BenchmarkTrain includes encoding the names.
func BenchmarkTrain(b *testing.B) {
	each(b, func(b *testing.B, spec *model.Spec, w model.Weights, names []string, size int) {
		engine, err := trainer.Engines.Lookup("cpu")
		if err != nil {
			b.Fatal(err)
		}
		s, err := engine.Start(b.Context(), trainer.Setup{
			Spec: spec, Weights: w, BatchSize: size, Workers: runtime.GOMAXPROCS(0), Seed: 1, LearningRate: 1e-3,
		})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		coder, at := spec.Encoder.Coder(), 0
		batch := &trainer.Batch{
			Codes: make([]uint16, size*coder.Window()), Labels: make([]int, size), Weights: make([]float32, size),
		}
		step := func() {
			for i := range size {
				coder.Encode(batch.Codes[i*coder.Window():(i+1)*coder.Window()], names[at%len(names)])
				batch.Labels[i], batch.Weights[i] = at%2, 1
				at++
			}
			if _, err := s.Step(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		}
		step() // warm-up
		for b.Loop() {
			step()
		}
	})
}

func BenchmarkInfer(b *testing.B) {
	each(b, func(b *testing.B, spec *model.Spec, w model.Weights, names []string, size int) {
		c, err := model.NewClassifier(&model.Model{Spec: *spec, Weights: w, Threshold: 0.5})
		if err != nil {
			b.Fatal(err)
		}
		at, out := 0, make([]float32, size*c.Width())
		for b.Loop() {
			if at+size > len(names) {
				at = 0
			}
			at += size
			if err := c.ProbabilitiesFolded(b.Context(), names[at-size:at], out); err != nil {
				b.Fatal(err)
			}
		}
	})
}
