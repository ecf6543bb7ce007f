// Command benchcpu measures training steps and inference of a preset on the names of a file, one a line, and prints one
// JSON object. scripts/bench-cpu sets other frameworks beside it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/kernels"
	"github.com/degas-dns/degas/trainer"

	_ "github.com/degas-dns/degas/trainer/graph"
	_ "go4.org/unsafe/assume-no-moving-gc" // gorgonia needs this version on current Go
)

func main() {
	preset := flag.String("preset", "cnn", "model")
	batch := flag.Int("batch", 256, "names a step")
	file := flag.String("names", "", "file of names")
	repeat := flag.Int("repeat", 7, "measurements; the median is reported")
	seconds := flag.Float64("seconds", 1, "length of a measurement")
	flag.Parse()
	names, err := read(*file)
	if err != nil {
		log.Fatal(err)
	}
	spec, err := model.Preset(*preset)
	if err != nil {
		log.Fatal(err)
	}
	train, err := training(&spec, names, *batch, *repeat, *seconds)
	if err != nil {
		log.Fatal(err)
	}
	infer, err := inference(&spec, names, *batch, *repeat, *seconds)
	if err != nil {
		log.Fatal(err)
	}
	out := map[string]any{"train": train, "infer": infer, "kernels": kernels.Name(), "workers": runtime.GOMAXPROCS(0)}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		log.Fatal(err)
	}
}

func read(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	names := strings.Fields(string(data))
	if len(names) == 0 && err == nil {
		err = fmt.Errorf("%s holds no names", path)
	}
	return names, err
}

// measure runs work, which handles n names a call, for about seconds at a time and returns the median names/s.
func measure(repeat int, seconds float64, n int, work func() error) (float64, error) {
	if err := work(); err != nil { // warm-up
		return 0, err
	}
	var rates []float64
	for range repeat {
		calls := 0
		began := time.Now()
		for time.Since(began).Seconds() < seconds {
			if err := work(); err != nil {
				return 0, err
			}
			calls++
		}
		rates = append(rates, float64(calls*n)/time.Since(began).Seconds())
	}
	slices.Sort(rates)
	return rates[len(rates)/2], nil
}

func training(spec *model.Spec, names []string, batch, repeat int, seconds float64) (float64, error) {
	w, err := model.Initial(spec, 1)
	if err != nil {
		return 0, err
	}
	engine, err := trainer.Engines.Lookup("cpu")
	if err != nil {
		return 0, err
	}
	s, err := engine.Start(context.Background(), trainer.Setup{Spec: spec, Weights: w, BatchSize: batch,
		Workers: runtime.GOMAXPROCS(0), Seed: 1, LearningRate: 1e-3})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	coder, at := spec.Encoder.Coder(), 0
	b := &trainer.Batch{Codes: make([]uint16, batch*coder.Window()), Labels: make([]int, batch),
		Weights: make([]float32, batch)}
	return measure(repeat, seconds, batch, func() error {
		for i := range batch {
			coder.Encode(b.Codes[i*coder.Window():(i+1)*coder.Window()], names[at%len(names)])
			b.Labels[i], b.Weights[i] = at%2, 1
			at++
		}
		_, err := s.Step(context.Background(), b)
		return err
	})
}

func inference(spec *model.Spec, names []string, batch, repeat int, seconds float64) (float64, error) {
	w, err := model.Initial(spec, 1)
	if err != nil {
		return 0, err
	}
	c, err := model.NewClassifier(&model.Model{Spec: *spec, Weights: w, Threshold: 0.5})
	if err != nil {
		return 0, err
	}
	at := 0
	out := make([]float32, batch*c.Width())
	return measure(repeat, seconds, batch, func() error {
		if at+batch > len(names) {
			at = 0
		}
		at += batch
		return c.Probabilities(context.Background(), names[at-batch:at], out)
	})
}
