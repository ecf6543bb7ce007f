//go:build !amd64 || noasm

package kernels

// level is always portable here.
const level = portable

// The portable code calls none of these.

func addAsm(uintptr, ptr, ptr) {}

func convMaxAsm(_, _ uintptr, _, _ ptr, _, _ uintptr, _, _ ptr, _ uintptr) {}

func lstmForwardAsm(_ uintptr, _ ptr, _ uintptr, _, _, _, _ ptr) {}

func lstmInferAsm(_ uintptr, _, _ ptr, _ uintptr, _, _ ptr) {}

func lstmBackwardAsm(_ uintptr, _ ptr, _ uintptr, _, _, _, _ ptr) {}

func adamAsm(uintptr, ptr, ptr, ptr, ptr, ptr) {}

func gemmTile(int, uintptr, ptr, uintptr, uintptr, ptr, uintptr, ptr, uintptr, uintptr) {}
