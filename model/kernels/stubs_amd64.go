//go:build !noasm

package kernels

func gemm1x512(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)
func gemm2x512(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)
func gemm3x512(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)
func gemm4x512(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)
func gemm5x512(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)
func gemm6x512(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)
func gemm7x512(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)
func gemm8x512(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)
func gemm9x512(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)
func gemm10x512(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)
func gemm11x512(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)
func gemm12x512(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)

//go:noescape
func add512(n uintptr, dst, src ptr)

//go:noescape
func convMax512(times, k uintptr, codes, table ptr, row, js uintptr, out, arg ptr, first uintptr)

//go:noescape
func lstmForward512(n uintptr, z ptr, gate uintptr, prev, c, tanhC, h ptr)

//go:noescape
func lstmInfer512(n uintptr, x, z ptr, gate uintptr, c, h ptr)

//go:noescape
func lstmBackward512(n uintptr, z ptr, gate uintptr, prev, tanhC, dh, dc ptr)

//go:noescape
func adam512(n uintptr, w, grad, m, v, args ptr)

func gemm1x256(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)
func gemm2x256(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)
func gemm3x256(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)
func gemm4x256(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)
func gemm5x256(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)
func gemm6x256(k uintptr, a ptr, ars, acs uintptr, b ptr, brs uintptr, c ptr, crs, acc uintptr)

//go:noescape
func add256(n uintptr, dst, src ptr)

//go:noescape
func convMax256(times, k uintptr, codes, table ptr, row, js uintptr, out, arg ptr, first uintptr)

//go:noescape
func lstmForward256(n uintptr, z ptr, gate uintptr, prev, c, tanhC, h ptr)

//go:noescape
func lstmInfer256(n uintptr, x, z ptr, gate uintptr, c, h ptr)

//go:noescape
func lstmBackward256(n uintptr, z ptr, gate uintptr, prev, tanhC, dh, dc ptr)

//go:noescape
func adam256(n uintptr, w, grad, m, v, args ptr)
