// Package kernels holds the CUDA kernels as the PTX that a driver turns into a device's own code when it loads them.
// It is made from all.cu by scripts/cuda-ptx and checked in, so that building degas takes no CUDA compiler.
package kernels

import _ "embed"

//go:generate ../../../scripts/cuda-ptx

// PTX is for compute capability 8.0 and later; drivers since 520 (CUDA 11.8) take it.
//
//go:embed degas.ptx
var PTX string
