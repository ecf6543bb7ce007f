// Package kernels holds the float32 loops that degas spends its time in: matrix products, the folded convolution, the
// LSTM cell and the Adam update. Everything is row-major. Callers own all memory; nothing here allocates per call
// unless it says so.
package kernels

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// Matrix is a row-major view: element (i, j) is Data[i*Stride+j]. With Transposed set it stands for its transpose.
type Matrix struct {
	Data       []float32
	Stride     int
	Transposed bool
}

// T is the transpose of m.
func (m Matrix) T() Matrix { m.Transposed = !m.Transposed; return m }

// Gemm computes c = a·b, or c += a·b with accumulate, for a [m, k], b [k, n] and c [m, n]. c must not be transposed.
func Gemm(m, n, k int, a, b, c Matrix, accumulate bool) {
	if m == 0 || n == 0 {
		return
	}
	beta := float32(0)
	if accumulate {
		beta = 1
	}
	gonum.Implementation{}.Sgemm(trans(a), trans(b), m, n, k, 1, a.Data, a.Stride, b.Data, b.Stride, beta, c.Data, c.Stride)
}

func trans(m Matrix) blas.Transpose {
	if m.Transposed {
		return blas.Trans
	}
	return blas.NoTrans
}

// Add computes dst += src.
func Add(dst, src []float32) {
	src = src[:len(dst)]
	for i, v := range src {
		dst[i] += v
	}
}

// Axpy computes dst += a·src.
func Axpy(dst, src []float32, a float32) {
	src = src[:len(dst)]
	for i, v := range src {
		dst[i] += a * v
	}
}

// ReLU replaces negative values by zero.
func ReLU(x []float32) {
	for i, v := range x {
		x[i] = max(v, 0)
	}
}

// Logistic is 1/(1+exp(-x)).
func Logistic(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }

// Tanh is the hyperbolic tangent.
func Tanh(x float32) float32 { return float32(math.Tanh(float64(x))) }
