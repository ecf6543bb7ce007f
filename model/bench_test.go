package model_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
)

func classifier(b testing.TB, preset string) *model.Classifier {
	spec, err := model.Preset(preset)
	if err != nil {
		b.Fatal(err)
	}
	w, err := model.Initial(&spec, 1)
	if err != nil {
		b.Fatal(err)
	}
	c, err := model.NewClassifier(&model.Model{Spec: spec, Weights: w, Threshold: 0.5})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// Names of 0 to 39 characters, as long on average as real ones.
func BenchmarkProbabilities(b *testing.B) {
	for _, preset := range model.Presets() {
		b.Run(preset, func(b *testing.B) {
			c := classifier(b, preset)
			names := modeltest.Names(rand.New(rand.NewPCG(1, 2)), 8192, 20)
			out := make([]float32, len(names)*c.Width())
			b.ReportAllocs()
			for b.Loop() {
				if err := c.ProbabilitiesFolded(context.Background(), names, out); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(names))*float64(b.N)/b.Elapsed().Seconds(), "names/s")
		})
	}
}

func BenchmarkPredict(b *testing.B) {
	for _, preset := range model.Presets() {
		b.Run(preset, func(b *testing.B) {
			c := classifier(b, preset)
			b.ReportAllocs()
			for b.Loop() {
				c.Predict("mail-7.shop.example.com")
			}
		})
	}
}

// One name at a time, with the 50th and 99th percentile of its latency.
func BenchmarkScore(b *testing.B) {
	for _, preset := range model.Presets() {
		b.Run(preset, func(b *testing.B) {
			c := classifier(b, preset)
			names := modeltest.Names(rand.New(rand.NewPCG(1, 2)), 1024, 20)
			took := make([]time.Duration, 0, 1<<16) // growing it would start the collector while it is measured
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if i < 1<<16 {
					began := time.Now()
					c.Score(names[i%len(names)])
					took = append(took, time.Since(began))
				} else {
					c.Score(names[i%len(names)])
				}
				i++
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2])/1e3, "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100])/1e3, "p99-µs")
		})
	}
}

// What a command takes before it scores its first name with the built-in model. The files are parsed once a process.
func BenchmarkBuiltin(b *testing.B) {
	for b.Loop() {
		m, err := model.Builtin()
		if err == nil {
			_, err = model.NewClassifier(m)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
