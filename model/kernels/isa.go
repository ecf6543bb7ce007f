package kernels

import "unsafe"

// isa is an instruction set, wider ones above narrower ones.
type isa int

const (
	portable isa = iota
	avx2
	avx512
)

func (l isa) String() string { return [...]string{"portable", "avx2", "avx512"}[l] }

// Name is the instruction set the kernels use on this machine: "avx512", "avx2" or "portable".
func Name() string { return isa(level).String() }

// lanes is the floats of a register; loops in assembly take multiples of it.
func (l isa) lanes() int { return [...]int{1, 8, 16}[l] }

// whole is the largest multiple of the register that n holds; 0 where there is no assembly.
func whole(n int) int {
	if level == portable {
		return 0
	}
	return n &^ (isa(level).lanes() - 1)
}

// at is the address of x[i]. The caller has checked the bounds of what is read from there.
func at(x []float32, i int) unsafe.Pointer { return unsafe.Pointer(&x[i]) }
