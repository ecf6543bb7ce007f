package graph

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
	"github.com/degas-dns/degas/trainer"

	_ "go4.org/unsafe/assume-no-moving-gc" // gorgonia needs this version on current Go
)

// withoutDropout returns spec with every dropout rate zero: finite differences need a function without chance.
func withoutDropout(spec model.Spec) model.Spec {
	spec.Layers = slices.Clone(spec.Layers)
	for i := range spec.Layers {
		spec.Layers[i].Rate = 0
	}
	return spec
}

func start(t testing.TB, e trainer.Engine, s trainer.Setup) trainer.Differentiator {
	t.Helper()
	ses, err := e.Start(context.Background(), s)
	if err != nil {
		t.Fatalf("%T on %+v: %v", e, s.Spec, err)
	}
	t.Cleanup(func() { ses.Close() })
	return ses.(trainer.Differentiator)
}

func randomBatch(rng *rand.Rand, spec *model.Spec, n int) *trainer.Batch {
	names := modeltest.Names(rng, n, spec.Encoder.Window)
	if n > 2 { // a full window and all padding
		names[0] = names[0][:0]
		names[1] = "abcdefghijklmnopqrstuvwxyz0123456789-.abcdefghijklmnopqrstuvwxyz0123456789-."
	}
	b := &trainer.Batch{Codes: modeltest.Codes(spec, names)}
	for range names {
		b.Labels = append(b.Labels, rng.IntN(len(spec.Labels)))
		b.Weights = append(b.Weights, 0.5+rng.Float32())
	}
	return b
}

// lessons gives half of all batches a teacher's probabilities.
func lessons(b *trainer.Batch, labels int) {
	rng := rand.New(rand.NewPCG(uint64(len(b.Codes)), uint64(b.Codes[len(b.Codes)-1])))
	if rng.IntN(2) == 0 {
		return
	}
	for range b.Labels {
		var sum float32
		p := make([]float32, labels)
		for k := range p {
			p[k] = rng.Float32()
			sum += p[k]
		}
		for _, v := range p {
			b.Taught = append(b.Taught, v/sum)
		}
	}
}

// share is that of a teacher's probabilities in the targets of exactLoss.
const share = 0.6

// exactLoss is the loss in float64, straight from its definition.
func exactLoss(spec *model.Spec, nodes []model.Node, w model.Exact, b *trainer.Batch) float64 {
	z := model.ForwardExact(nodes, w, b.Codes)
	k := spec.Outputs()
	var loss, total float64
	for i, label := range b.Labels {
		y := make([]float64, len(spec.Labels))
		y[label] = 1
		if b.Taught != nil {
			for j := range y {
				y[j] = (1-share)*y[j] + share*float64(b.Taught[i*len(y)+j])
			}
		}
		var l float64
		if k == 1 {
			l = math.Log1p(math.Exp(z[i])) - y[1]*z[i]
		} else {
			var sum float64
			for j, v := range z[i*k : (i+1)*k] {
				sum += math.Exp(v)
				l -= y[j] * v
			}
			l += math.Log(sum)
		}
		loss += l * float64(b.Weights[i])
		total += float64(b.Weights[i])
	}
	return loss / total
}

// checkGradients compares a session's loss and gradients with central differences of the plain pass in float64.
func checkGradients(t *testing.T, e trainer.Engine, spec model.Spec, rng *rand.Rand, batch, rows, workers int) {
	t.Helper()
	spec = withoutDropout(spec)
	w := modeltest.Weights(&spec, rng)
	s := start(t, e, trainer.Setup{Spec: &spec, Weights: w, BatchSize: batch, Workers: workers, Seed: 1,
		LearningRate: 1e-3, Taught: share})
	b := randomBatch(rng, &spec, rows)
	if _, stock := e.(stockEngine); !stock { // its LogSoftMax is -Inf for what is next to impossible, as a label rarely is
		lessons(b, len(spec.Labels))
	}
	loss, grads, err := s.Gradients(b)
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := spec.Graph()
	if err != nil {
		t.Fatal(err)
	}
	exact := w.Exact()
	want := exactLoss(&spec, nodes, exact, b)
	if math.Abs(loss-want) > 1e-4*(1+math.Abs(want)) {
		t.Fatalf("%T: loss %g, want %g\n%+v", e, loss, want, spec)
	}
	params, _ := spec.Params()
	for _, p := range params {
		scale := 0.0
		for _, g := range grads[p.Name].Data {
			scale = max(scale, math.Abs(float64(g)))
		}
		for range 4 {
			i := rng.IntN(p.Size())
			d, smooth := difference(&spec, nodes, exact, b, p.Name, i, want)
			got := float64(grads[p.Name].Data[i])
			if smooth && math.Abs(got-d) > 1e-3*math.Abs(d)+1e-4*scale+1e-6 {
				t.Fatalf("%T: d loss/d %s[%d] = %g, finite differences give %g\n%+v", e, p.Name, i, got, d, spec)
			}
		}
	}
}

// difference is the central difference of the loss; smooth is false where a maximum or a ReLU changes hands within the
// step, so that there is no derivative to compare with.
func difference(
	spec *model.Spec, nodes []model.Node, w model.Exact, b *trainer.Batch, name string, i int, mid float64,
) (d float64, smooth bool) {
	const h = 1e-5
	x := w[name][i]
	w[name][i] = x + h
	up := exactLoss(spec, nodes, w, b)
	w[name][i] = x - h
	down := exactLoss(spec, nodes, w, b)
	w[name][i] = x
	right, left := (up-mid)/h, (mid-down)/h
	d = (up - down) / (2 * h)
	return d, math.Abs(right-left) < 1e-3*(math.Abs(right)+math.Abs(left))+1e-7
}

func TestFusedGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for i := range 200 {
		spec := modeltest.Spec(rng)
		rows := 1 + rng.IntN(7)
		checkGradients(t, engine{}, spec, rng, rows+rng.IntN(3), rows, 1+i%3)
	}
}

func TestStockGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	for range 40 {
		rows := 2 + rng.IntN(4)
		checkGradients(t, stockEngine{}, modeltest.Spec(rng), rng, rows+rng.IntN(2), rows, 1)
	}
}

// FuzzSpecs feeds random Specs to the engine and its judge; each must have the plain pass' loss and gradients.
func FuzzSpecs(f *testing.F) {
	f.Add(uint64(1), uint8(0), uint8(1))
	f.Add(uint64(77), uint8(5), uint8(2))
	f.Fuzz(func(t *testing.T, seed uint64, rows, workers uint8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		spec := modeltest.Spec(rng)
		n := 2 + int(rows%6)
		checkGradients(t, engine{}, spec, rng, n+int(seed%3), n, 1+int(workers%3))
		checkGradients(t, stockEngine{}, spec, rng, n+int(seed%3), n, 1)
	})
}

// What cannot be trained is refused by layer.
func TestGRUIsRefused(t *testing.T) {
	spec, err := model.Preset("lstm")
	if err != nil {
		t.Fatal(err)
	}
	spec.Layers[1].Kind = model.KindGRU
	w := modeltest.Weights(&spec, rand.New(rand.NewPCG(1, 1)))
	_, err = engine{}.Start(context.Background(), trainer.Setup{Spec: &spec, Weights: w, BatchSize: 1, Workers: 1})
	if want := `layer gru: kind "gru" cannot be trained here`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}
