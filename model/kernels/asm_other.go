//go:build !amd64 || noasm

package kernels

import "unsafe"

// level is always portable here.
const level = portable

// What portable never calls.

func addAsm(uintptr, unsafe.Pointer, unsafe.Pointer) {}

func convMaxAsm(_, _ uintptr, _, _ unsafe.Pointer, _, _ uintptr, _, _ unsafe.Pointer, _ uintptr) {}

func lstmForwardAsm(_ uintptr, _ unsafe.Pointer, _ uintptr, _, _, _, _ unsafe.Pointer) {}

func lstmInferAsm(_ uintptr, _, _ unsafe.Pointer, _ uintptr, _, _ unsafe.Pointer) {}

func lstmBackwardAsm(_ uintptr, _ unsafe.Pointer, _ uintptr, _, _, _, _ unsafe.Pointer) {}

func adamAsm(uintptr, unsafe.Pointer, unsafe.Pointer, unsafe.Pointer, unsafe.Pointer, unsafe.Pointer) {
}

func gemmTile(int, uintptr, unsafe.Pointer, uintptr, uintptr, unsafe.Pointer, uintptr, unsafe.Pointer, uintptr, uintptr) {
}
