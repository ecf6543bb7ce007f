package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func random(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

func near(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	for i := range want {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= tolerance*(1+math.Abs(float64(want[i])))) {
			t.Fatalf("%s: value %d is %g, want %g", what, i, got[i], want[i])
		}
	}
}

func view(rng *rand.Rand, rows, columns int, transposed bool) Matrix {
	if transposed {
		rows, columns = columns, rows
	}
	stride := columns + rng.IntN(3)
	return Matrix{Data: random(rng, (rows-1)*stride+columns), Stride: stride, Transposed: transposed}
}

func (m Matrix) get(i, j int) float64 {
	if m.Transposed {
		i, j = j, i
	}
	return float64(m.Data[i*m.Stride+j])
}

func TestGemm(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 1))
		for range 300 {
			m, n, k := 1+rng.IntN(40), 1+rng.IntN(70), 1+rng.IntN(40)
			if rng.IntN(10) == 0 {
				k += 300
			}
			if rng.IntN(10) == 0 {
				n += 1000
			}
			a, b := view(rng, m, k, rng.IntN(2) == 0), view(rng, k, n, rng.IntN(2) == 0)
			c := view(rng, m, n, false)
			accumulate := rng.IntN(2) == 0
			want := append([]float32(nil), c.Data...)
			for i := range m {
				for j := range n {
					sum := 0.0
					if accumulate {
						sum = c.get(i, j)
					}
					for x := range k {
						sum += a.get(i, x) * b.get(x, j)
					}
					want[i*c.Stride+j] = float32(sum)
				}
			}
			packed := Matrix{Data: append([]float32(nil), c.Data...), Stride: c.Stride}
			var p Packed
			p.Pack(k, n, b)
			GemmPacked(m, a, &p, packed, accumulate)
			near(t, fmt.Sprintf("packed %dx%dx%d", m, n, k), packed.Data, want, 1e-4)
			Gemm(m, n, k, a, b, c, accumulate)
			near(t, fmt.Sprintf("%dx%dx%d", m, n, k), c.Data, want, 1e-4)
		}
	})
}

func TestGemmShortOperandPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a product past the end of its operand did not panic")
		}
	}()
	short := Matrix{Data: make([]float32, 5), Stride: 3}
	Gemm(2, 3, 3, short, Matrix{Data: make([]float32, 9), Stride: 3}, Matrix{Data: make([]float32, 6), Stride: 3}, false)
}

func TestConvMax(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(2, 2))
		for range 100 {
			codes, kernel, filters := 1+rng.IntN(50), 1+rng.IntN(6), 1+rng.IntN(300)
			table := random(rng, codes*kernel*filters)
			name := make([]uint16, kernel+rng.IntN(30))
			for i := range name {
				name[i] = uint16(rng.IntN(codes))
			}
			from := rng.IntN(len(name) - kernel + 1)
			out, arg := make([]float32, filters), make([]int32, filters)
			ConvMax(table, kernel, filters, name, from, out, arg)
			for f := range filters {
				best, at := math.Inf(-1), 0
				for p := from; p+kernel <= len(name); p++ {
					var sum float64
					for j := range kernel {
						sum += float64(table[(int(name[p+j])*kernel+j)*filters+f])
					}
					if sum > best+1e-5 {
						best, at = sum, p
					}
				}
				if math.Abs(best-float64(out[f])) > 1e-4 || int(arg[f]) != at {
					t.Fatalf(
						"kernel %d, %d filters: filter %d is %g at %d, want %g at %d",
						kernel,
						filters,
						f,
						out[f],
						arg[f],
						best,
						at,
					)
				}
			}
		}
	})
}

func TestLSTMCell(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 3))
		for _, u := range []int{1, 3, 8, 16, 17, 128, 130} {
			z := random(rng, 4*u)
			for i := range z {
				z[i] *= 3
			}
			prev, dh, dc := random(rng, u), random(rng, u), random(rng, u)
			wantZ, wantC, wantT, wantH := append(
				[]float32(nil),
				z...), make(
				[]float32,
				u,
			), make(
				[]float32,
				u,
			), make(
				[]float32,
				u,
			)
			wantD, wantDC := make([]float32, 4*u), make([]float32, u)
			for q := range u {
				s := func(g int) float64 { return 1 / (1 + math.Exp(-float64(z[g*u+q]))) }
				i, f, o, g := s(0), s(1), s(3), math.Tanh(float64(z[2*u+q]))
				c := f*float64(prev[q]) + i*g
				th := math.Tanh(c)
				for k, v := range []float64{i, f, g, o} {
					wantZ[k*u+q] = float32(v)
				}
				wantC[q], wantT[q], wantH[q] = float32(c), float32(th), float32(o*th)
				d := float64(dc[q]) + float64(dh[q])*o*(1-th*th)
				for k, v := range []float64{d * g * i * (1 - i), d * float64(prev[q]) * f * (1 - f), d * i * (1 - g*g),
					float64(dh[q]) * th * o * (1 - o)} {
					wantD[k*u+q] = float32(v)
				}
				wantDC[q] = float32(d * f)
			}
			c, tanhC, h := make([]float32, u), make([]float32, u), make([]float32, u)
			half := make([]float32, 4*u)
			for i := range half {
				half[i] = z[i] / 2
			}
			copy(c, prev)
			LSTMInfer(half, half, c, h)
			near(t, "cell in inference", c, wantC, 1e-6)
			near(t, "output in inference", h, wantH, 1e-6)
			LSTMForward(z, prev, c, tanhC, h)
			near(t, "gates", z, wantZ, 1e-6)
			near(t, "cell", c, wantC, 1e-6)
			near(t, "tanh", tanhC, wantT, 1e-6)
			near(t, "output", h, wantH, 1e-6)
			LSTMBackward(z, prev, tanhC, dh, dc)
			near(t, "gate gradients", z, wantD, 1e-5)
			near(t, "cell gradient", dc, wantDC, 1e-5)
		}
	})
}

// The gates' logistic and tanh against float64 over the range where they are not yet flat, through the cell: c = f·prev
// with i·g = 0 shows the logistic, tanhC the hyperbolic tangent. Absolute errors, as the values lie in [-1, 1].
func TestActivationError(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const u = 16
		worst := [2]float64{}
		for x := -100.0; x < 100; x += 0.37 {
			z, prev := make([]float32, 4*u), make([]float32, u)
			for q := range u {
				z[u+q] = float32(x) + float32(q)*0.02
				prev[q] = z[u+q]
			}
			c, tanhC, h := make([]float32, u), make([]float32, u), make([]float32, u)
			LSTMForward(append([]float32(nil), z...), prev, c, tanhC, h)
			for q := range u {
				p := 1 / (1 + math.Exp(-float64(z[u+q])))
				worst[0] = max(worst[0], math.Abs(float64(c[q])-p*float64(prev[q]))/(1+math.Abs(float64(prev[q]))))
				worst[1] = max(worst[1], math.Abs(float64(tanhC[q])-math.Tanh(float64(c[q]))))
			}
		}
		if worst[0] > 2e-7 || worst[1] > 3e-7 {
			t.Errorf("largest error: logistic %g, tanh %g", worst[0], worst[1])
		}
	})
}

// The truth is spelt out with math.Tanh: gates below 0, between 0 and 1, and above 1. Those between have
// gradients.
func TestClipLSTMCell(t *testing.T) {
	z := []float32{2, -1, 0.25, 0.75, 0.5, -0.5, 0.5, 1.5}
	prev, dh, dc := []float32{0.4, -0.8}, []float32{1, 2}, []float32{0.3, -0.2}
	c, tanhC, h := make([]float32, 2), make([]float32, 2), make([]float32, 2)
	tanh := func(x float64) float32 { return float32(math.Tanh(x)) }
	c0, c1 := 0.25*0.4+math.Tanh(0.5), -0.75*0.8
	ClipLSTMForward(z, prev, c, tanhC, h)
	near(t, "gates", z, []float32{1, 0, 0.25, 0.75, tanh(0.5), tanh(-0.5), 0.5, 1}, 1e-6)
	near(t, "cell", c, []float32{float32(c0), float32(c1)}, 1e-6)
	near(t, "tanh", tanhC, []float32{tanh(c0), tanh(c1)}, 1e-6)
	near(t, "output", h, []float32{0.5 * tanh(c0), tanh(c1)}, 1e-6)
	d0, d1 := 0.3+0.5*(1-math.Pow(math.Tanh(c0), 2)), -0.2+2*(1-math.Pow(math.Tanh(c1), 2))
	ClipLSTMBackward(z, prev, tanhC, dh, dc)
	near(t, "gate gradients", z, []float32{0, 0, float32(0.4 * d0), float32(-0.8 * d1),
		float32(d0 * (1 - math.Pow(math.Tanh(0.5), 2))), 0, tanh(c0), 0}, 1e-6)
	near(t, "cell gradient", dc, []float32{float32(0.25 * d0), float32(0.75 * d1)}, 1e-6)
}

func TestLSTMKeepsNaN(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const u = 16
		z := make([]float32, 4*u)
		for i := range z {
			z[i] = float32(math.NaN())
		}
		h := make([]float32, u)
		LSTMForward(z, make([]float32, u), make([]float32, u), make([]float32, u), h)
		if h[3] == h[3] {
			t.Errorf("NaN gates gave output %g", h[3])
		}
	})
}

// Literals from algorithm 1 of the paper, evaluated in Python floats: w=1, rate 0.1, gradients 0.5, -0.2, 0.1; with a
// decay of 0.5 each step first takes 0.05 of the weight.
func TestAdam(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		adamSteps(t, 0, []float64{0.900000002, 0.8654394, 0.8275002})
		adamSteps(t, 0.5, []float64{0.850000002, 0.7729394, 0.6963532})
	})
}

func adamSteps(t *testing.T, decay float64, want []float64) {
	t.Helper()
	const n = 19
	w, m, v := make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range w {
		w[i] = 1
	}
	for step, g := range []float32{0.5, -0.2, 0.1} {
		grad := make([]float32, n)
		for i := range grad {
			grad[i] = g
		}
		Adam(w, grad, m, v, 0.1, 0.9, 0.999, 1e-8, decay, step+1)
		for i := range w {
			if math.Abs(float64(w[i])-want[step]) > 1e-6 {
				t.Fatalf("decay %g, step %d: weight %d is %.7f, want %.7f", decay, step+1, i, w[i], want[step])
			}
		}
	}
}

// A gradient that has died out must not make a step slower: its moments are too small to be normal for thousands of
// steps.
func BenchmarkAdam(b *testing.B) {
	for name, size := range map[string]float32{"normal": 1e-3, "died out": 1e-21} {
		b.Run(name, func(b *testing.B) {
			const n = 1 << 16
			w, grad, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
			for i := range w {
				w[i], grad[i], m[i], v[i] = 1, size, size, size*size
			}
			for b.Loop() {
				Adam(w, grad, m, v, 1e-3, 0.9, 0.999, 1e-7, 0, 1000)
			}
			b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds()/1e6, "M-weights/s")
		})
	}
}

// RMSProp against its definition in float64, over lengths around the vector width.
func TestRMSProp(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 6))
		for _, n := range []int{1, 7, 16, 19, 33} {
			w, v := random(rng, n), make([]float32, n)
			wantW, wantV := make([]float64, n), make([]float64, n)
			for i := range w {
				wantW[i] = float64(w[i])
			}
			for range 5 {
				grad := random(rng, n)
				for i, g := range grad {
					wantV[i] = 0.9*wantV[i] + 0.1*float64(g)*float64(g)
					wantW[i] -= 0.01 * float64(g) / (math.Sqrt(wantV[i]) + 1e-7)
				}
				RMSProp(w, grad, v, 0.01, 0.9, 1e-7)
			}
			for i := range w {
				if math.Abs(float64(w[i])-wantW[i]) > 1e-5 || math.Abs(float64(v[i])-wantV[i]) > 1e-6 {
					t.Fatalf("%d values: value %d is %g (%g), want %g (%g)", n, i, w[i], v[i], wantW[i], wantV[i])
				}
			}
		}
	})
}

func BenchmarkGemm(b *testing.B) {
	for _, s := range []struct {
		m, n, k int
		across  bool // a transposed, as gradients of weights have it
	}{{256, 512, 128, false}, {256, 256, 1024, false}, {1024, 256, 256, false}, {1024, 512, 128, false}, {1024, 256, 1024,
		false}, {128, 512, 5120, true}, {896, 256, 512, true}} {
		b.Run(fmt.Sprintf("%dx%dx%d", s.m, s.n, s.k), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 1))
			m, n, k := s.m, s.n, s.k
			x, y, z := Matrix{
				Data:   random(rng, m*k),
				Stride: k,
			}, Matrix{
				Data:   random(rng, k*n),
				Stride: n,
			}, Matrix{
				Data:   random(rng, m*n),
				Stride: n,
			}
			if s.across {
				x = Matrix{Data: x.Data, Stride: m}.T()
			}
			for b.Loop() {
				Gemm(m, n, k, x, y, z, false)
			}
			b.ReportMetric(2*float64(m*n*k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
