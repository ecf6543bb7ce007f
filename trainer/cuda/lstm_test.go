//go:build emulate || gpu

package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

// An LSTM's gradients on the tensor cores must be the CPU's, but for bf16's rounding, whether it reads the embedding or
// a sequence, forward or both ways, and for any number of names.
func TestTensorGradients(t *testing.T) {
	for _, c := range []struct {
		units, batch, window int
		both, sequence       bool
	}{
		{32, 37, 12, false, false},
		{64, 5, 12, true, false},
		{128, 37, 9, false, false},
		{32, 3, 1, true, false},
		{32, 32, 12, false, true},
		{64, 17, 5, true, true},
		{128, 33, 12, false, true},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			spec := narrow(t, "lstm", c.units)
			spec.Encoder.Window, spec.Layers[1].Bidirectional = c.window, c.both
			if c.sequence {
				spec.Layers = slices.Insert(spec.Layers, 1, model.Layer{Kind: model.KindConv1D, Filters: 12, Kernel: 3,
					Padding: model.Same, Activation: model.Tanh})
			}
			w, err := model.Initial(&spec, 5)
			if err != nil {
				t.Fatal(err)
			}
			for name := range w { // so that states grow and every gate has its share of the gradients
				for i := range w[name].Data {
					w[name].Data[i] *= 3
				}
			}
			setup := trainer.Setup{Spec: &spec, Weights: w, BatchSize: c.batch, Workers: 1, Seed: 7, LearningRate: 1e-3}
			b := batchOf(rand.New(rand.NewPCG(3, 4)), &spec, c.batch)
			want, exact, err := start(t, "cpu", setup).(trainer.Differentiator).Gradients(b)
			if err != nil {
				t.Fatal(err)
			}
			setup.Precision = trainer.PrecisionBF16
			got, grads, err := start(t, "cuda", setup).(trainer.Differentiator).Gradients(b)
			if err != nil {
				t.Fatal(err)
			}
			if !(math.Abs(got-want) < 5e-3*want) {
				t.Errorf("loss %v, the CPU's %v", got, want)
			}
			compareWeights(t, grads, exact, 3e-2, 1e-3)
		})
	}
}

// Small whole numbers are exact in bf16, and so are their sums in fp32, so lstm_weights_bf16 must give what plain loops
// do.
func TestTensorWeights(t *testing.T) {
	dev, err := device.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for _, c := range []struct{ batch, time, units, rows int }{
		{37, 12, 32, 40},
		{1, 1, 32, 1},
		{300, 9, 64, 65},
		{33, 64, 64, 256},
		{11, 50, 128, 40},
		{70, 8, 128, 200},
		{70, 8, 128, 0},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			n := &network{dev: dev, batch: c.batch, rows: c.rows}
			defer n.close()
			l := &lstm{network: n, units: c.units, time: c.time}
			if c.rows > 0 {
				l.fold = &fold{network: n}
			}
			w := newTensorWalk(l)
			n.scratchAt = n.alloc(n.scratchSize)
			cells, gates := c.batch*c.time, 4*c.units
			rng := rand.New(rand.NewPCG(1, uint64(c.rows)))
			h, dz, codes := wholes(rng, cells*c.units), wholes(rng, cells*gates), make([]byte, cells)
			for i := range codes {
				codes[i] = byte(rng.IntN(max(c.rows, 1)))
			}
			u, table, codesAt := n.alloc(c.units*gates), n.alloc(c.rows*gates), device.Address(0)
			if c.rows > 0 {
				codesAt = n.take(cells)
			}
			for at, data := range map[device.Address][]byte{w.hBefore: bytesOf(h), w.dz: bytesOf(dz), codesAt: codes} {
				if at != 0 {
					if err := dev.Upload(at, data); err != nil {
						t.Fatal(err)
					}
				}
			}
			w.weights(u, table, codesAt)
			got := make([]float32, (c.units+c.rows)*gates)
			if n.err != nil {
				t.Fatal(n.err)
			}
			if err := dev.Download(bytesOf(got[:c.units*gates]), u); err != nil {
				t.Fatal(err)
			}
			if c.rows > 0 {
				if err := dev.Download(bytesOf(got[c.units*gates:]), table); err != nil {
					t.Fatal(err)
				}
			}
			want := make([]float32, len(got))
			for k := range cells {
				for j := range gates {
					d := widened(dz[k*gates+j])
					for i := range c.units {
						want[i*gates+j] += widened(h[k*c.units+i]) * d
					}
					if c.rows > 0 {
						want[(c.units+int(codes[k]))*gates+j] += d
					}
				}
			}
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("row %d, column %d is %v, want %v", i/gates, i%gates, got[i], want[i])
				}
			}
		})
	}
}

// wholes draws whole numbers as bf16.
func wholes(rng *rand.Rand, n int) []uint16 {
	out := make([]uint16, n)
	for i := range out {
		out[i] = uint16(math.Float32bits(float32(rng.IntN(9)-4)) >> 16)
	}
	return out
}

func widened(bf16 uint16) float32 { return math.Float32frombits(uint32(bf16) << 16) }
