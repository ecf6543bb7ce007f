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

// gemmTile runs the micro-kernel for a tile of rows.
func gemmTile(rows int, k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr) {
	if level == avx512 {
		gemmTile512(rows, k, a, ars, acs, b, brs, c, crs, acc)
	} else {
		gemmTile256(rows, k, a, ars, acs, b, brs, c, crs, acc)
	}
}

func gemmTile512(rows int, k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr) {
	switch rows {
	case 1:
		gemm1x512(k, a, ars, acs, b, brs, c, crs, acc)
	case 2:
		gemm2x512(k, a, ars, acs, b, brs, c, crs, acc)
	case 3:
		gemm3x512(k, a, ars, acs, b, brs, c, crs, acc)
	case 4:
		gemm4x512(k, a, ars, acs, b, brs, c, crs, acc)
	case 5:
		gemm5x512(k, a, ars, acs, b, brs, c, crs, acc)
	case 6:
		gemm6x512(k, a, ars, acs, b, brs, c, crs, acc)
	case 7:
		gemm7x512(k, a, ars, acs, b, brs, c, crs, acc)
	case 8:
		gemm8x512(k, a, ars, acs, b, brs, c, crs, acc)
	case 9:
		gemm9x512(k, a, ars, acs, b, brs, c, crs, acc)
	case 10:
		gemm10x512(k, a, ars, acs, b, brs, c, crs, acc)
	case 11:
		gemm11x512(k, a, ars, acs, b, brs, c, crs, acc)
	case 12:
		gemm12x512(k, a, ars, acs, b, brs, c, crs, acc)
	}
}

func gemmTile256(rows int, k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr) {
	switch rows {
	case 1:
		gemm1x256(k, a, ars, acs, b, brs, c, crs, acc)
	case 2:
		gemm2x256(k, a, ars, acs, b, brs, c, crs, acc)
	case 3:
		gemm3x256(k, a, ars, acs, b, brs, c, crs, acc)
	case 4:
		gemm4x256(k, a, ars, acs, b, brs, c, crs, acc)
	case 5:
		gemm5x256(k, a, ars, acs, b, brs, c, crs, acc)
	case 6:
		gemm6x256(k, a, ars, acs, b, brs, c, crs, acc)
	}
}
