//go:build emulate || gpu

package cuda

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

// towerCase is towers over codes, whose outputs lie in rows of stride floats.
type towerCase struct {
	batch, window, rows, filters, stride int
	kernels                              []int
	left                                 bool
	precision                            string
}

// Small whole numbers are exact in f16, and so are their sums, so the towers must give what plain loops do: for filters
// in one block and several, of one pair a lane and two, for all kernels, padding on either side and names of any
// length.
func TestTowers(t *testing.T) {
	dev, err := device.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for _, c := range []towerCase{
		{37, 12, 40, 36, 80, []int{2, 3}, true, trainer.PrecisionBF16},
		{37, 12, 40, 132, 528, []int{2, 3, 4, 5}, false, trainer.PrecisionBF16},
		{5, 20, 39, 70, 281, []int{5, 1, 9, 6}, true, trainer.PrecisionBF16},
		{600, 9, 40, 65, 65, []int{3}, true, trainer.PrecisionBF16},
		{33, 16, 128, 130, 260, []int{12, 2}, false, trainer.PrecisionBF16},
		{37, 12, 40, 70, 210, []int{2, 7, 5}, true, trainer.PrecisionFP32},
		{3, 5, 2, 300, 2400, []int{1, 2, 3, 4, 5, 1, 2, 3}, false, trainer.PrecisionBF16},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) { c.check(t, dev) })
	}
}

func (c towerCase) check(t *testing.T, dev device.Device) {
	n := &network{dev: dev, batch: c.batch, window: c.window, rows: c.rows, left: c.left, precision: c.precision,
		folded: true}
	defer n.close()
	offsets := 0
	for _, k := range c.kernels {
		offsets += k
	}
	width := len(c.kernels) * c.filters
	l := &towers{fold: &fold{network: n, offsets: offsets, filters: c.filters}, kernels: c.kernels, stride: c.stride,
		y: &value{}}
	n.wantScratch(maxShares * l.size())
	n.codes, n.chars, l.table, l.grad = n.take(c.batch*c.window), n.alloc(c.batch), n.alloc(l.size()), n.alloc(l.size())
	l.y.data, l.y.grad, l.arg, l.b, n.scratchAt = n.alloc(c.batch*c.stride), n.alloc(c.batch*c.stride),
		n.alloc(c.batch*width), n.alloc(width), n.alloc(n.scratchSize)

	rng := rand.New(rand.NewPCG(5, uint64(c.rows)))
	table, bias, dy := smalls(rng, l.size()), smalls(rng, width), smalls(rng, c.batch*c.stride)
	codes, chars := make([]byte, c.batch*c.window), make([]int, c.batch)
	for b := range chars { // code 0 is padding
		chars[b] = rng.IntN(c.window + 1)
		for i := range chars[b] {
			at := i
			if c.left {
				at = c.window - 1 - i
			}
			codes[b*c.window+at] = byte(1 + rng.IntN(c.rows-1))
		}
	}
	for at, data := range map[device.Address][]byte{n.codes: codes, l.table: bytesOf(table), l.b: bytesOf(bias),
		l.y.grad: bytesOf(dy)} {
		if err := dev.Upload(at, data); err != nil {
			t.Fatal(err)
		}
	}
	n.count()
	l.forward(true)
	l.tableGrad()
	y, grad := make([]float32, c.batch*c.stride), make([]float32, l.size())
	if n.err != nil {
		t.Fatal(n.err)
	}
	for at, data := range map[device.Address][]byte{l.y.data: bytesOf(y), l.grad: bytesOf(grad)} {
		if err := dev.Download(data, at); err != nil {
			t.Fatal(err)
		}
	}
	c.compare(t, l, codes, chars, table, bias, dy, y, grad)
	scored := make([]float32, len(y))
	n.clear(l.y.data, 4*len(y))
	l.forward(false)
	if err := dev.Download(bytesOf(scored), l.y.data); err != nil || n.err != nil {
		t.Fatal(err, n.err)
	}
	for b := range c.batch {
		for f := range width {
			if i := b*c.stride + f; scored[i] != y[i] {
				t.Fatalf("name %d, column %d: %v when nothing goes back, else %v", b, f, scored[i], y[i])
			}
		}
	}
}

// compare does in loops what the kernels should have.
func (c towerCase) compare(t *testing.T, l *towers, codes []byte, chars []int, table, bias, dy, y, grad []float32) {
	t.Helper()
	want := make([]float32, len(grad))
	row := func(offset, code, f int) int { return (offset*c.rows+code)*c.filters + f }
	for b, n := range chars {
		name, first := codes[b*c.window:(b+1)*c.window], 0
		for z, kernel := range c.kernels {
			from, to := 0, min(n, c.window-kernel)
			if c.left {
				from, to = max(c.window-kernel-n, 0), c.window-kernel
			}
			for f := range c.filters {
				best, at := float32(-1e9), 0
				for w := from; w <= to; w++ {
					sum := float32(0)
					for j := range kernel {
						sum += table[row(first+j, int(name[w+j]), f)]
					}
					if sum > best {
						best, at = sum, w
					}
				}
				column := b*c.stride + z*c.filters + f
				if got := y[column]; got != best+bias[z*c.filters+f] {
					t.Fatalf("name %d, tower %d, filter %d: %v, want %v", b, z, f, got, best+bias[z*c.filters+f])
				}
				for j := range kernel {
					want[row(first+j, int(name[at+j]), f)] += dy[column]
				}
			}
			first += kernel
		}
	}
	for i, w := range want {
		if grad[i] != w {
			t.Fatalf("gradient of the table at %d: %v, want %v", i, grad[i], w)
		}
	}
}

// smalls are whole numbers from -4 to 4.
func smalls(rng *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(rng.IntN(9) - 4)
	}
	return out
}
