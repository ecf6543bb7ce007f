package graph

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
	"github.com/degas-dns/degas/trainer"
)

// narrow shrinks a preset's widths so that the stock operations are quick, keeping every layer.
func narrow(spec model.Spec) model.Spec {
	var shrink func(layers []model.Layer) []model.Layer
	shrink = func(layers []model.Layer) []model.Layer {
		out := slices.Clone(layers)
		for i, l := range out {
			out[i].Dim, out[i].Filters = min(l.Dim, 8), min(l.Filters, 12)
			if l.Units > 1 {
				out[i].Units = min(l.Units, 10)
			}
			for j, b := range l.Branches {
				out[i].Branches[j] = shrink(b)
			}
		}
		return out
	}
	if spec.Encoder.Codes() > 256 { // gta1's 10,000: stock operations walk all rows of the table
		small, err := model.NamedEncoder("en2vec")
		if err != nil {
			panic(err)
		}
		spec.Encoder = small
		spec.Layers = slices.Clone(spec.Layers)
		spec.Layers[0].Rows = small.Codes()
	}
	spec.Layers = shrink(spec.Layers)
	if spec.Layers[0].Kind != model.KindImage { // a picture has its size
		spec.Encoder.Window = 20
	}
	return spec
}

// The fused engine must walk the path of the stock operations: same weights, same batches, same losses.
func TestTrajectoriesAgree(t *testing.T) {
	steps := 200
	if testing.Short() { // enough for the race detector
		steps = 10
	}
	for _, name := range model.Presets() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec, err := model.Preset(name)
			if err != nil {
				t.Fatal(err)
			}
			spec = withoutDropout(narrow(spec))
			rng := rand.New(rand.NewPCG(31, 32))
			w, err := model.Initial(&spec, 5)
			if err != nil {
				t.Fatal(err)
			}
			if spec.Layers[0].Kind == model.KindImage { // where a picture is empty, biases of 0 put a ReLU on its corner
				w = modeltest.Weights(&spec, rng)
			}
			setup := trainer.Setup{Spec: &spec, Weights: w, BatchSize: 16, Workers: 2, Seed: 1, LearningRate: 1e-3}
			fused := start(t, engine{}, setup)
			setup.Workers = 1
			stock := start(t, stockEngine{}, setup)
			for i := range steps {
				b := randomBatch(rng, &spec, 16-i%2)
				for j := range b.Labels { // something to learn: does the name hold an 'a'
					b.Labels[j] = 0
					for _, c := range b.Codes[j*spec.Encoder.Window : (j+1)*spec.Encoder.Window] {
						if c == spec.Encoder.Table()['a'] {
							b.Labels[j] = 1
						}
					}
				}
				lf, err := fused.Step(context.Background(), b)
				if err != nil {
					t.Fatal(err)
				}
				ls, err := stock.Step(context.Background(), b)
				if err != nil {
					t.Fatal(err)
				}
				if d := math.Abs(lf-ls) / (math.Abs(ls) + 1e-3); d > 1e-4 {
					t.Fatalf("step %d: fused loss %g, stock %g", i, lf, ls)
				}
			}
		})
	}
}

func BenchmarkStep(b *testing.B) {
	for _, name := range model.Presets() {
		b.Run(name, func(b *testing.B) {
			spec, err := model.Preset(name)
			if err != nil {
				b.Fatal(err)
			}
			w, err := model.Initial(&spec, 1)
			if err != nil {
				b.Fatal(err)
			}
			const batch = 256
			setup := trainer.Setup{Spec: &spec, Weights: w, BatchSize: batch, Workers: 2, Seed: 1, LearningRate: 1e-3}
			s, err := engine{}.Start(context.Background(), setup)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			in := randomBatch(rand.New(rand.NewPCG(1, 2)), &spec, batch)
			names := modeltest.Names(rand.New(rand.NewPCG(1, 2)), batch, 20) // 0 to 39 characters, as real names have
			in.Codes = modeltest.Codes(&spec, names)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Step(context.Background(), in); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(batch)*float64(b.N)/b.Elapsed().Seconds(), "names/s")
		})
	}
}

// Smoothed targets and decaying weights, for a sigmoid and a softmax head.
func TestSmoothedTrajectoriesAgree(t *testing.T) {
	for _, labels := range [][]string{model.BinaryLabels, {"benign", "dga", "tunnel"}} {
		spec, err := model.Preset("cnn")
		if err != nil {
			t.Fatal(err)
		}
		spec = withoutDropout(narrow(spec)).WithLabels(labels)
		w, err := model.Initial(&spec, 5)
		if err != nil {
			t.Fatal(err)
		}
		setup := trainer.Setup{Spec: &spec, Weights: w, BatchSize: 16, Workers: 2, Seed: 1, LearningRate: 1e-2,
			LabelSmoothing: 0.1, WeightDecay: 0.1}
		var losses [2][]float64
		for k, e := range []trainer.Engine{engine{}, stockEngine{}} {
			s := start(t, e, setup)
			rng := rand.New(rand.NewPCG(31, 32))
			for range 40 {
				loss, err := s.Step(context.Background(), randomBatch(rng, &spec, 16))
				if err != nil {
					t.Fatal(err)
				}
				losses[k] = append(losses[k], loss)
			}
		}
		for i, a := range losses[0] {
			if b := losses[1][i]; math.Abs(a-b) > 1e-4*math.Abs(b) {
				t.Fatalf("%d labels, step %d: fused loss %g, stock %g", len(labels), i, a, b)
			}
		}
	}
}

// rarelyReached is a small Spec whose embedding has many rows that no name reaches.
func rarelyReached(t *testing.T) model.Spec {
	t.Helper()
	spec, err := model.Preset("gta1")
	if err != nil {
		t.Fatal(err)
	}
	spec = withoutDropout(narrow(spec))
	if spec.Encoder, err = model.NamedEncoder("gta1"); err != nil {
		t.Fatal(err)
	}
	spec.Encoder.Window, spec.Encoder.Unknown = 20, 900
	spec.Layers[0].Rows = 1001
	return spec
}

// A teacher is heard, too, where names reach few rows of the embedding.
func TestRowsOutOfReachAreTaught(t *testing.T) {
	spec := rarelyReached(t)
	w, err := model.Initial(&spec, 5)
	if err != nil {
		t.Fatal(err)
	}
	setup := trainer.Setup{Spec: &spec, Weights: w, BatchSize: 8, Workers: 2, Seed: 1, LearningRate: 1e-2, Taught: 0.9}
	var losses [2]float64
	for i := range losses {
		b := randomBatch(rand.New(rand.NewPCG(31, 32)), &spec, 8)
		b.Taught = make([]float32, 8*len(spec.Labels))
		for k := range 8 {
			b.Taught[k*len(spec.Labels)+i] = 1
		}
		s, err := engine{}.Start(t.Context(), setup)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if losses[i], err = s.Step(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if losses[0] == losses[1] {
		t.Errorf("loss %g, whatever the teacher says", losses[0])
	}
}

// An embedding of which names reach few rows trains like that of stock operations, which walk all of them, and goes on
// from its state; rows out of reach stay as they began.
func TestRowsOutOfReach(t *testing.T) {
	spec := rarelyReached(t)
	table := spec.Encoder.Table()
	w, err := model.Initial(&spec, 5)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(31, 32))
	setup := trainer.Setup{Spec: &spec, Weights: w, BatchSize: 8, Workers: 2, Seed: 1, LearningRate: 1e-2}
	fused, err := engine{}.Start(context.Background(), setup)
	if err != nil {
		t.Fatal(err)
	}
	defer fused.Close()
	stock := start(t, stockEngine{}, setup)
	for i := range 12 {
		if i == 6 { // through a state and back
			state, err := fused.State()
			if err := errors.Join(err, fused.Restore(state)); err != nil {
				t.Fatal(err)
			}
		}
		b := randomBatch(rng, &spec, 8)
		lf, err := fused.Step(context.Background(), b)
		if err != nil {
			t.Fatal(err)
		}
		ls, err := stock.Step(context.Background(), b)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(lf-ls) > 1e-4*ls {
			t.Fatalf("step %d: fused loss %g, stock %g", i, lf, ls)
		}
	}
	got, err := fused.Weights()
	if err != nil {
		t.Fatal(err)
	}
	want := w
	const out = 500 // no byte has this code
	dim := spec.Layers[0].Dim
	for i := range dim {
		if g, o := got["embedding/embeddings"].Data[out*dim+i], want["embedding/embeddings"].Data[out*dim+i]; g != o {
			t.Fatalf("row %d moved from %g to %g", out, o, g)
		}
	}
	a := int(table['a'])
	moved, began := got["embedding/embeddings"].Data[a*dim:], want["embedding/embeddings"].Data[a*dim:]
	if slices.Equal(moved[:dim], began[:dim]) {
		t.Error("the row of 'a' did not move")
	}
	wrong := randomBatch(rng, &spec, 1)
	wrong.Codes[0] = out
	if _, err := fused.Step(context.Background(), wrong); err == nil {
		t.Error("a code that no byte has: no error")
	}
}
