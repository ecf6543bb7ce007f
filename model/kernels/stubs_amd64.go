//go:build !noasm

package kernels

import "unsafe"

//go:noescape
func gemm1x512(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func gemm2x512(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func gemm3x512(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func gemm4x512(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func gemm5x512(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func gemm6x512(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func gemm7x512(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func gemm8x512(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func gemm9x512(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func gemm10x512(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func gemm11x512(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func gemm12x512(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func add512(n uintptr, dst, src unsafe.Pointer)

//go:noescape
func convMax512(times, k uintptr, codes, table unsafe.Pointer, row, js uintptr, out, arg unsafe.Pointer, first uintptr)

//go:noescape
func lstmForward512(n uintptr, z unsafe.Pointer, gate uintptr, prev, c, tanhC, h unsafe.Pointer)

//go:noescape
func lstmInfer512(n uintptr, x, z unsafe.Pointer, gate uintptr, c, h unsafe.Pointer)

//go:noescape
func lstmBackward512(n uintptr, z unsafe.Pointer, gate uintptr, prev, tanhC, dh, dc unsafe.Pointer)

//go:noescape
func adam512(n uintptr, w, grad, m, v, args unsafe.Pointer)

//go:noescape
func gemm1x256(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func gemm2x256(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func gemm3x256(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func gemm4x256(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func gemm5x256(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func gemm6x256(k uintptr, a unsafe.Pointer, ars, acs uintptr, b unsafe.Pointer, brs uintptr, c unsafe.Pointer, crs, acc uintptr)

//go:noescape
func add256(n uintptr, dst, src unsafe.Pointer)

//go:noescape
func convMax256(times, k uintptr, codes, table unsafe.Pointer, row, js uintptr, out, arg unsafe.Pointer, first uintptr)

//go:noescape
func lstmForward256(n uintptr, z unsafe.Pointer, gate uintptr, prev, c, tanhC, h unsafe.Pointer)

//go:noescape
func lstmInfer256(n uintptr, x, z unsafe.Pointer, gate uintptr, c, h unsafe.Pointer)

//go:noescape
func lstmBackward256(n uintptr, z unsafe.Pointer, gate uintptr, prev, tanhC, dh, dc unsafe.Pointer)

//go:noescape
func adam256(n uintptr, w, grad, m, v, args unsafe.Pointer)
