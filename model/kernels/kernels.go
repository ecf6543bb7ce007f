// Package kernels holds the float32 loops that degas spends its time in: matrix products, the folded convolution, the
// LSTM cell and the Adam update. Everything is row-major. Callers own all memory.
//
// On amd64 the loops are assembly for AVX-512 or for AVX2 with FMA, chosen when the program starts. Elsewhere, and with
// the build tag noasm, they are plain Go. The environment variable DEGAS_KERNELS (avx2, portable) chooses a narrower
// set. Results of the sets differ by rounding alone.
//
// Slices must have the lengths that the comments state: a shorter one panics. All functions are safe for concurrent use
// on memory that no other goroutine writes.
package kernels

import "math"

// Add computes dst += src.
func Add(dst, src []float32) {
	src = src[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		assembly[level].add(uintptr(n), at(dst, 0), at(src, 0))
	}
	for i := n; i < len(dst); i++ {
		dst[i] += src[i]
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
