//go:build emulate || gpu

package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

// laid is a matrix [rows, columns] in memory that leaves gaps of other values between its lines, row by row or column
// by column.
func laid(t *testing.T, n *network, rng *rand.Rand, rows, columns int, order byte) (matrix, func(i, j int) float64) {
	t.Helper()
	m := matrix{row: columns + 8, column: 1}
	if order == 't' {
		m = matrix{row: 1, column: rows + 8}
	}
	data := make([]float32, (rows+8)*(columns+8))
	for i := range data {
		data[i] = rng.Float32()*2 - 1
	}
	m.at = n.alloc(len(data))
	if n.err != nil {
		t.Fatal(n.err)
	}
	if err := n.dev.Upload(m.at, bytesOf(data)); err != nil {
		t.Fatal(err)
	}
	return m, func(i, j int) float64 { return float64(data[i*m.row+j*m.column]) }
}

// Products of all orders and precisions, over whole tiles and parts of them, must be what a naive one gives.
func TestProducts(t *testing.T) {
	dev, err := device.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	rng := rand.New(rand.NewPCG(3, 4))
	for _, size := range [][3]int{{64, 128, 64}, {36, 8, 600}, {70, 132, 200}, {4, 4, 4}, {129, 20, 68}, {5, 7, 9}} {
		for _, orders := range []string{"nn", "nt", "tn", "tt"} {
			for _, precision := range []string{trainer.PrecisionFP32, trainer.PrecisionTF32, trainer.PrecisionBF16} {
				for _, way := range []string{"", "split", "weights"} {
					t.Run(fmt.Sprintf("%v/%s/%s/%s", size, orders, precision, way), func(t *testing.T) {
						product1(t, dev, rng, size, orders, precision, way)
					})
				}
			}
		}
	}
}

func product1(t *testing.T, dev device.Device, rng *rand.Rand, size [3]int, orders, precision, way string) {
	n := &network{dev: dev}
	defer n.close()
	p := product{m: size[0], n: size[1], k: size[2], activation: relu}
	var a, b, before, bias func(i, j int) float64
	p.a, a = laid(t, n, rng, p.m, p.k, orders[0])
	p.b, b = laid(t, n, rng, p.k, p.n, orders[1])
	p.c, before = laid(t, n, rng, p.m, p.n, 'n')
	stride := p.c.row
	split := way == "split"
	if split {
		p.c.row, p.activation = p.n, linear // c is dense
		n.wantSplit(p.m, p.n, p.k)
		n.scratchAt = n.alloc(n.scratchSize)
		n.gemmSplit(precision, p)
		before = func(int, int) float64 { return 0 }
		bias, stride = before, p.n
	} else {
		var at matrix
		at, bias = laid(t, n, rng, 1, p.n, 'n')
		p.bias, p.accumulate, p.weights = at.at, true, way == "weights"
		n.weights, n.size = p.b.at, (p.k+8)*(p.n+8)
		n.rounded = n.take(2 * n.size)
		n.each("round_weights", n.size/2, n.rounded, n.weights, n.size/2)
		n.gemm(precision, p)
	}
	if n.err != nil {
		t.Fatal(n.err)
	}
	got := make([]float32, (p.m-1)*stride+p.n)
	if err := dev.Download(bytesOf(got), p.c.at); err != nil {
		t.Fatal(err)
	}
	tolerance := map[string]float64{trainer.PrecisionFP32: 1e-6, trainer.PrecisionTF32: 1e-3,
		trainer.PrecisionBF16: 8e-3}[precision] * math.Sqrt(float64(p.k)+4)
	for i := range p.m {
		for j := range p.n {
			want := before(i, j) + bias(0, j)
			for k := range p.k {
				want += a(i, k) * b(k, j)
			}
			if !split {
				want = math.Max(want, 0)
			}
			if d := math.Abs(float64(got[i*stride+j]) - want); !(d <= tolerance) {
				t.Fatalf("c[%d, %d] is %v, want %v", i, j, got[i*stride+j], want)
			}
		}
	}
}
