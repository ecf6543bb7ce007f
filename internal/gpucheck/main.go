// Command gpucheck compares the CUDA engine with the CPU engine and measures it, on the names of a file. Each line that
// it prints is a JSON object with all results so far. scripts/gpu-check builds it (--build), carries it to a GPU and
// starts a process for each part: a kernel that fails ends the process's use of the device.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"os"
	"strings"
	"time"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
	"github.com/degas-dns/degas/trainer/cuda/kernels"

	_ "github.com/degas-dns/degas/trainer/cuda"
	_ "github.com/degas-dns/degas/trainer/graph"
	_ "go4.org/unsafe/assume-no-moving-gc" // gorgonia needs this version on current Go
)

// commit is what scripts/gpu-check --build had checked out, with -dirty where that was changed.
var commit = "unknown"

// check is what the measurements share.
type check struct {
	names   []string // "name,label" split
	labels  []int
	seconds float64 // of a measurement
	quick   bool
	engine  string   // what is held against the CPU engine
	presets []string // what is compared and measured
}

// part is one kind of measurement. It shows all it has whenever there is more, so that what fails later takes nothing
// along.
type part struct {
	name string
	run  func(c *check, ctx context.Context, show func(result any)) error
}

// parts has what matters most first, as scripts/gpu-check does, which starts a process for each.
var parts = []part{{"gradients", (*check).gradients}, {"speed", (*check).speed}, {"epoch", (*check).epoch},
	{"products", (*check).products}, {"auc", (*check).auc}, {"trajectories", (*check).trajectories}}

func main() {
	file := flag.String("names", "", "file of names, \"name,0\" or \"name,1\" a line")
	seconds := flag.Float64("seconds", 1, "length of a measurement")
	quick := flag.Bool("quick", false, "small networks and few steps, to try the program under emulation")
	name := flag.String("part", "", "the only part to run; devices lists them and runs none")
	preset := flag.String("preset", "", "the only preset to compare and measure")
	flag.Parse()
	c := &check{seconds: *seconds, quick: *quick, engine: "cuda", presets: []string{"cnn", "lstm", "degas", "hybrid"}}
	if *preset != "" {
		c.presets = []string{*preset}
	}
	run, err := choose(*name)
	if err == nil {
		err = c.read(*file)
	}
	if err == nil {
		err = c.all(context.Background(), run, json.NewEncoder(os.Stdout))
	}
	if err != nil {
		log.Fatal(err)
	}
}

// choose gives the parts of a name: all for "", none for "devices".
func choose(name string) ([]part, error) {
	known := []string{"devices"}
	for _, p := range parts {
		if p.name == name {
			return []part{p}, nil
		}
		known = append(known, p.name)
	}
	switch name {
	case "":
		return parts, nil
	case "devices":
		return nil, nil
	}
	return nil, fmt.Errorf("unknown part %q, known are %s", name, strings.Join(known, ", "))
}

// all prints what the program was made of, which takes no device, then the devices, then what the parts give.
func (c *check) all(ctx context.Context, run []part, to *json.Encoder) error {
	out := map[string]any{"commit": commit, "ptx": fmt.Sprintf("%x", sha256.Sum256([]byte(kernels.PTX)))}
	if err := to.Encode(out); err != nil {
		return err
	}
	devices, err := device.List()
	if err != nil {
		return err
	}
	out["devices"] = devices
	if err := to.Encode(out); err != nil {
		return err
	}
	for _, p := range run {
		if err := c.one(ctx, p, out, to); err != nil {
			return err
		}
	}
	return nil
}

// one runs a part. What it gives, and what it or its encoding fails with, goes into out.
func (c *check) one(ctx context.Context, p part, out map[string]any, to *json.Encoder) error {
	began := time.Now()
	var encoding error
	err := p.run(c, ctx, func(result any) {
		var text []byte
		if text, encoding = json.Marshal(result); encoding == nil {
			out[p.name] = json.RawMessage(text)
			to.Encode(out) // an error comes again below
		}
	})
	if err = errors.Join(err, encoding); err != nil {
		out[p.name+"_error"] = err.Error()
		log.Printf("%s: %v", p.name, err)
	}
	log.Printf("%s: %.0f s", p.name, time.Since(began).Seconds())
	return to.Encode(out)
}

// number is a float64 of which JSON takes all values: NaN, +Inf and -Inf as strings.
type number float64

func (n number) finite() bool { return !math.IsNaN(float64(n)) && !math.IsInf(float64(n), 0) }

func (n number) MarshalJSON() ([]byte, error) {
	if !n.finite() {
		return json.Marshal(fmt.Sprint(float64(n)))
	}
	return json.Marshal(float64(n))
}

func (c *check) read(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for line := range strings.FieldsSeq(string(data)) {
		name, label, ok := strings.Cut(line, ",")
		if !ok || len(label) != 1 {
			return fmt.Errorf("read %s: line %d is not \"name,label\"", path, len(c.names)+1)
		}
		c.names, c.labels = append(c.names, name), append(c.labels, int(label[0]-'0'))
	}
	if len(c.names) < 1000 {
		return fmt.Errorf("read %s: %d names are too few", path, len(c.names))
	}
	return nil
}

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
	e, err := trainer.Engines.Lookup(engine)
	if err != nil {
		return nil, err
	}
	w, err := model.Initial(spec, 1)
	if err != nil {
		return nil, err
	}
	return e.Start(ctx, trainer.Setup{Spec: spec, Weights: w, BatchSize: batch, Workers: 2, Seed: 1, LearningRate: 1e-3,
		Precision: precision})
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
