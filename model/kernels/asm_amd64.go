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

// assembly is indexed by level.
var assembly = [...]functions{
	avx2: {add256, adam256, convMax256, lstmForward256, lstmInfer256, lstmBackward256, []gemmFunction{
		gemm1x256, gemm2x256, gemm3x256, gemm4x256, gemm5x256, gemm6x256}},
	avx512: {add512, adam512, convMax512, lstmForward512, lstmInfer512, lstmBackward512, []gemmFunction{
		gemm1x512, gemm2x512, gemm3x512, gemm4x512, gemm5x512, gemm6x512,
		gemm7x512, gemm8x512, gemm9x512, gemm10x512, gemm11x512, gemm12x512}},
}
