package main

import "strings"

// chain is a register to compute in and two for intermediate results.
type chain struct{ x, t1, t2 int }

// logistic turns the chains' x into 1/(1+exp(-x)): exp by range reduction to |r| <= ln2/2, a polynomial, and a scale by
// a power of two.
func (i *isa) logistic(chains ...chain) {
	each := func(text string) { // every instruction for all chains: their latencies then hide behind each other
		for line := range strings.Lines(text) {
			for _, c := range chains {
				i.write(strings.NewReplacer("x", v(c.x), "t1", v(c.t1), "t2", v(c.t2)).Replace(line))
			}
		}
	}
	for _, c := range chains {
		i.zero(c.t1)
	}
	// x is the second source of its bounds, which is what NaN comes out of.
	each(`VSUBPS x, t1, x
		VMOVUPS high<>(SB), t2
		VMINPS x, t2, x
		VMOVUPS low<>(SB), t2
		VMAXPS x, t2, x
		VMULPS log2e<>(SB), x, t1`)
	if i.wide() {
		each("VRNDSCALEPS $0, t1, t1")
	} else {
		each("VROUNDPS $0, t1, t1")
	}
	each(`VFNMADD231PS ln2hi<>(SB), t1, x
		VFNMADD231PS ln2lo<>(SB), t1, x
		VMOVUPS p5<>(SB), t2`)
	for _, p := range []string{"p4", "p3", "p2", "p1", "p0", "one", "one"} { // the last two make 1 + x + x²·poly
		each("VFMADD213PS " + p + "<>(SB), x, t2")
	}
	if i.wide() {
		each("VSCALEFPS t1, t2, t2")
	} else {
		each(`VCVTPS2DQ t1, t1
			VPADDD bias<>(SB), t1, t1
			VPSLLD $23, t1, t1
			VMULPS t1, t2, t2`)
	}
	each(`VMOVUPS one<>(SB), t1
		VADDPS t1, t2, t2`)
	if !i.wide() {
		each("VDIVPS t2, t1, x")
		return
	}
	// 1/d by estimate and one step of Newton's method, r + r·(1-d·r): within two units of the last place, never above what
	// it should be, and a third of a division's time.
	each(`VRCP14PS t2, x
		VFNMADD213PS t1, x, t2
		VFMADD231PS t2, x, x`)
}

// double and doubleLess1 before and after logistic make 2·logistic(2x) - 1, which is tanh.
func (i *isa) double(x int) { i.op("VADDPS v%[1]d, v%[1]d, v%[1]d", x) }

func (i *isa) doubleLess1(x int) {
	i.double(x)
	i.op("VSUBPS one<>(SB), v%[1]d, v%[1]d", x)
}

// gates are the addresses of the gates i, f, g and o: from AX on, units apart in bytes (BX).
const gates = "(AX) (AX)(BX*1) (R9) (R9)(BX*1)"

// each writes an instruction for the k-th address and register k.
func (i *isa) each(instruction, addresses string) {
	for k, at := range strings.Fields(addresses) {
		i.op(instruction, at, k)
	}
}

func (i *isa) lstmForward() {
	i.text("lstmForward", "n uintptr, z ptr, gate uintptr, prev, c, tanhC, h ptr", 0, "CX AX BX DX SI DI R8")
	i.op("LEAQ (AX)(BX*2), R9\nloop:")
	i.each("VMOVUPS %s, v%d", gates)
	i.activations()
	i.each("VMOVUPS v%[2]d, %[1]s", gates)
	i.cell("DX", "SI")
	i.op("VMOVUPS v4, (DI)")
	i.output()
	i.next("AX R9 DX SI DI R8")
	i.ret()
}

// lstmInfer is lstmForward with the two halves of the gates apart, keeping nothing for a gradient.
func (i *isa) lstmInfer() {
	i.text("lstmInfer", "n uintptr, x, z ptr, gate uintptr, c, h ptr", 0, "CX DX AX BX SI R8")
	i.op("LEAQ (AX)(BX*2), R9\nLEAQ (DX)(BX*2), DI\nloop:")
	i.each("VMOVUPS %s, v%d", gates)
	i.each("VADDPS %s, v%d, v%[2]d", "(DX) (DX)(BX*1) (DI) (DI)(BX*1)")
	i.activations()
	i.cell("SI", "SI")
	i.output()
	i.next("DX DI AX R9 SI R8")
	i.ret()
}

// activations turns the gates' pre-activations in registers 0 to 3 into i, f, g and o.
func (i *isa) activations() {
	i.double(2)
	var chains []chain
	for k := range 4 {
		chains = append(chains, chain{k, 8 + 2*k, 9 + 2*k})
	}
	i.logistic(chains...)
	i.doubleLess1(2)
}

// cell writes the cell state f·prev + i·g and leaves its tanh in register 4.
func (i *isa) cell(prev, c string) {
	i.op(`VMULPS v0, v2, v4
		VFMADD231PS (%s), v1, v4
		VMOVUPS v4, (%s)`, prev, c)
	i.double(4)
	i.logistic(chain{4, 8, 9})
	i.doubleLess1(4)
}

// output writes o times the state's tanh.
func (i *isa) output() { i.op("VMULPS v3, v4, v4\nVMOVUPS v4, (R8)") }

// next moves pointers by a register, counts CX down and ends the loop.
func (i *isa) next(pointers string) {
	for p := range strings.FieldsSeq(pointers) {
		i.op("ADDQ $%d, %s", i.bytes(), p)
	}
	i.op("SUBQ $%d, CX\nJNZ loop", i.lanes)
}

func (i *isa) lstmBackward() {
	i.text("lstmBackward", "n uintptr, z ptr, gate uintptr, prev, tanhC, dh, dc ptr", 0, "CX AX BX DX SI DI R8")
	i.op("LEAQ (AX)(BX*2), R9\nloop:")
	i.each("VMOVUPS %s, v%d", gates)
	i.op(`VMOVUPS (SI), v5 // tanh c
		VMOVUPS (DI), v6 // dh
		VMULPS v5, v6, v8
		VMULPS v3, v6, v9
		VMOVUPS one<>(SB), v10
		VMOVUPS v10, v4
		VFNMADD231PS v5, v5, v4 // 1 - tanh²
		VMOVUPS (R8), v7
		VFMADD231PS v9, v4, v7 // d = dc + dh·o·(1-tanh²)
		VMULPS v2, v7, v11 // d·g
		VMULPS (DX), v7, v12 // d·prev
		VMULPS v0, v7, v13 // d·i
		VMULPS v1, v7, v14 // d·f
		VMOVUPS v14, (R8)`)
	for _, p := range [][2]int{{0, 11}, {1, 12}, {3, 8}} {
		i.op(`VSUBPS v%[1]d, v10, v15
			VMULPS v%[1]d, v15, v15
			VMULPS v15, v%[2]d, v%[2]d`, p[0], p[1])
	}
	i.op("VFNMADD231PS v2, v2, v10") // 1 - g²
	i.op("VMULPS v10, v13, v13")
	i.op(`VMOVUPS v11, (AX)
		VMOVUPS v12, (AX)(BX*1)
		VMOVUPS v13, (R9)
		VMOVUPS v8, (R9)(BX*1)`)
	i.next("AX R9 DX SI DI R8")
	i.ret()
}

// adam updates n floats. args points at eight floats: beta1, 1-beta1, beta2, 1-beta2, alpha, epsilon, the inverse of
// the second correction, and what is kept of a weight. Numbers too small to be normal count as zero: a gradient that
// has died out takes its moments through thousands of steps of them, each of which costs an Intel core a hundred
// cycles.
func (i *isa) adam() {
	i.text("adam", "n uintptr, w, grad, m, v, args ptr", 8, "")
	i.op(`STMXCSR saved-8(SP)
		MOVL saved-8(SP), R9
		ORL $0x8040, R9
		MOVL R9, flush-4(SP)
		LDMXCSR flush-4(SP)`)
	i.args("CX AX BX DX SI DI")
	for k := range 8 {
		i.op("VBROADCASTSS %d(DI), v%d", 4*k, 8+k)
	}
	i.op(`loop:
		VMOVUPS (BX), v0
		VMULPS (DX), v8, v1
		VFMADD231PS v0, v9, v1
		VMOVUPS v1, (DX)
		VMULPS v0, v0, v2
		VMULPS v11, v2, v2
		VFMADD231PS (SI), v10, v2
		VMOVUPS v2, (SI)
		VSQRTPS v2, v2
		VFMADD213PS v13, v14, v2 // sqrt(v)·inverse + epsilon
		VMULPS v12, v1, v1
		VDIVPS v2, v1, v1
		VMULPS (AX), v15, v3
		VSUBPS v1, v3, v3
		VMOVUPS v3, (AX)`)
	i.next("AX BX DX SI")
	i.op("LDMXCSR saved-8(SP)")
	i.ret()
}
