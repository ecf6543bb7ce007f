// Command gpucheck compares the CUDA engine with the CPU engine and measures it, on the names of a file. It prints a JSON
// object a line, each with all that there is so far; scripts/gpu-check carries it to a GPU and sets other frameworks beside it. Built by
// scripts/gpu-check --build.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"

	_ "github.com/degas-dns/degas/trainer/cuda"
	_ "github.com/degas-dns/degas/trainer/graph"
	_ "go4.org/unsafe/assume-no-moving-gc" // gorgonia needs this version on current Go
)

// check is what the measurements share.
type check struct {
	names   []string // "name,label" split
	labels  []int
	seconds float64 // of a measurement
	quick   bool
}

func main() {
	file := flag.String("names", "", "file of names, \"name,0\" or \"name,1\" a line")
	seconds := flag.Float64("seconds", 1, "length of a measurement")
	quick := flag.Bool("quick", false, "small networks and few steps, to try the program under emulation")
	flag.Parse()
	c := &check{seconds: *seconds, quick: *quick}
	if err := c.read(*file); err != nil {
		log.Fatal(err)
	}
	if err := c.all(context.Background(), json.NewEncoder(os.Stdout)); err != nil {
		log.Fatal(err)
	}
}

// all prints everything it has after each part, so that a later one that fails takes nothing along. What matters most is
// first.
func (c *check) all(ctx context.Context, to *json.Encoder) error {
	devices, err := device.List()
	if err != nil {
		return err
	}
	out := map[string]any{"devices": devices}
	for _, part := range []struct {
		name string
		run  func(ctx context.Context) (any, error)
	}{{"gradients", c.gradients}, {"speed", c.speed}, {"epoch", c.epoch}, {"auc", c.auc}, {"trajectories", c.trajectories}} {
		began := time.Now()
		result, err := part.run(ctx)
		if err != nil {
			out[part.name+"_error"] = err.Error()
			log.Printf("%s: %v", part.name, err)
		}
		out[part.name] = result
		log.Printf("%s: %.0f s", part.name, time.Since(began).Seconds())
		if err := to.Encode(out); err != nil {
			return err
		}
	}
	return nil
}

func (c *check) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		if len(line) < 2 || line[len(line)-2] != ',' {
			return fmt.Errorf("read %s: line %d is not \"name,label\"", path, len(c.names)+1)
		}
		c.names = append(c.names, line[:len(line)-2])
		c.labels = append(c.labels, int(line[len(line)-1]-'0'))
	}
	if len(c.names) < 1000 && lines.Err() == nil {
		return fmt.Errorf("read %s: %d names are too few", path, len(c.names))
	}
	return lines.Err()
}

// presets are what is compared and measured.
func (c *check) presets() []string { return []string{"cnn", "lstm", "degas", "hybrid"} }

// spec is a preset, without dropout where engines are compared: their masks differ.
func (c *check) spec(preset string, dropout bool) (*model.Spec, error) {
	s, err := model.Preset(preset)
	if err == nil && !dropout {
		s = modeltest.WithoutDropout(s)
	}
	return &s, err
}

// start opens a session of an engine with the weights of seed 1.
func start(ctx context.Context, engine, precision string, spec *model.Spec, batch int) (trainer.Session, error) {
	e, err := trainer.LookupEngine(engine)
	if err != nil {
		return nil, err
	}
	w, err := model.Initial(spec, 1)
	if err != nil {
		return nil, err
	}
	return e.Start(ctx, trainer.Setup{Spec: spec, Weights: w, BatchSize: batch, Workers: 2, Seed: 1, LearningRate: 1e-3, Precision: precision})
}

// batch encodes n names from the first on, over and over.
func (c *check) batch(spec *model.Spec, first, n int) *trainer.Batch {
	coder := spec.Encoder.Coder()
	window := coder.Window()
	b := &trainer.Batch{Codes: make([]uint16, n*window), Labels: make([]int, n), Weights: make([]float32, n)}
	for i := range n {
		at := (first + i) % len(c.names)
		coder.Encode(b.Codes[i*window:(i+1)*window], c.names[at])
		b.Labels[i], b.Weights[i] = c.labels[at], 1
	}
	return b
}
