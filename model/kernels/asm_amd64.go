//go:build !noasm

package kernels

import (
	"os"

	"golang.org/x/sys/cpu"
)

//go:generate go run ./gen

// level is the instruction set in use.
var level = detect()

// detect chooses the widest instruction set of this processor. Tests ask for a narrower one with DEGAS_KERNELS.
func detect() isa {
	best := portable
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		best = avx2
	}
	if best == avx2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ {
		best = avx512
	}
	for _, l := range []isa{portable, avx2} {
		if os.Getenv("DEGAS_KERNELS") == l.String() {
			best = min(best, l)
		}
	}
	return best
}

func addAsm(n uintptr, dst, src ptr) {
	if level == avx512 {
		add512(n, dst, src)
	} else {
		add256(n, dst, src)
	}
}

func convMaxAsm(times, k uintptr, codes, table ptr, row, js uintptr, out, arg ptr, first uintptr) {
	if level == avx512 {
		convMax512(times, k, codes, table, row, js, out, arg, first)
	} else {
		convMax256(times, k, codes, table, row, js, out, arg, first)
	}
}

func lstmForwardAsm(n uintptr, z ptr, gate uintptr, prev, c, tanhC, h ptr) {
	if level == avx512 {
		lstmForward512(n, z, gate, prev, c, tanhC, h)
	} else {
		lstmForward256(n, z, gate, prev, c, tanhC, h)
	}
}

func lstmInferAsm(n uintptr, x, z ptr, gate uintptr, c, h ptr) {
	if level == avx512 {
		lstmInfer512(n, x, z, gate, c, h)
	} else {
		lstmInfer256(n, x, z, gate, c, h)
	}
}

func lstmBackwardAsm(n uintptr, z ptr, gate uintptr, prev, tanhC, dh, dc ptr) {
	if level == avx512 {
		lstmBackward512(n, z, gate, prev, tanhC, dh, dc)
	} else {
		lstmBackward256(n, z, gate, prev, tanhC, dh, dc)
	}
}

func adamAsm(n uintptr, w, grad, m, v, args ptr) {
	if level == avx512 {
		adam512(n, w, grad, m, v, args)
	} else {
		adam256(n, w, grad, m, v, args)
	}
}

// gemmTiles are the micro-kernels by instruction set and number of rows, from one row on.
var gemmTiles = [...][]func(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr){
	avx2: {
		gemm1x256, gemm2x256, gemm3x256, gemm4x256, gemm5x256, gemm6x256,
	},
	avx512: {
		gemm1x512, gemm2x512, gemm3x512, gemm4x512, gemm5x512, gemm6x512,
		gemm7x512, gemm8x512, gemm9x512, gemm10x512, gemm11x512, gemm12x512,
	},
}

// gemmTile runs the micro-kernel for a tile of rows.
func gemmTile(rows int, k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr) {
	gemmTiles[level][rows-1](k, a, ars, acs, b, brs, c, crs, acc)
}
