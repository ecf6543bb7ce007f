package kernels

import "unsafe"

// ptr is an address that assembly reads or writes unchecked.
type ptr = unsafe.Pointer

// isa is an instruction set. Wider ones are greater.
type isa int

const (
	portable isa = iota
	avx2
	avx512
)

// functions are the assembly of an instruction set. They work unchecked.
type functions struct {
	add          func(n uintptr, dst, src ptr)
	adam         func(n uintptr, w, grad, m, v, args ptr)
	convMax      func(times, k uintptr, codes, table ptr, row, js uintptr, out, arg ptr, first uintptr)
	lstmForward  func(n uintptr, z ptr, gate uintptr, prev, c, tanhC, h ptr)
	lstmInfer    func(n uintptr, x, z ptr, gate uintptr, c, h ptr)
	lstmBackward func(n uintptr, z ptr, gate uintptr, prev, tanhC, dh, dc ptr)
	gemm         []gemmFunction // for one row and more
}

// gemmFunction is a micro-kernel of the matrix product. Strides are in bytes.
type gemmFunction func(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)

func (l isa) String() string { return [...]string{"portable", "avx2", "avx512"}[l] }

// Name is the instruction set that the kernels use on this machine: "avx512", "avx2" or "portable".
func Name() string { return isa(level).String() }

// whole returns how many of n floats assembly handles: as many as fill registers, none where there is no assembly.
func whole(n int) int {
	if level == portable {
		return 0
	}
	return n &^ (4<<level - 1) // 8 floats for avx2, 16 for avx512
}

// at returns the address of x[i]. The caller has checked the bounds of what is read from there.
func at(x []float32, i int) ptr { return ptr(&x[i]) }
