package main

// chain is a register to compute in and two for intermediate results.
type chain struct{ x, t1, t2 string }

// logistic turns the chains' x into 1/(1+exp(-x)): exp by range reduction to |r| <= ln2/2, a polynomial, and a scale by
// a power of two.
func (i isa) logistic(chains ...chain) {
	each := func(f func(c chain)) { // one instruction for every chain: their latencies then hide behind each other
		for _, c := range chains {
			f(c)
		}
	}
	each(func(c chain) { i.zero(c.t1) })
	each(func(c chain) { i.op("VSUBPS %s, %s, %s", c.x, c.t1, c.x) })
	for _, bound := range []string{"MIN", "MAX"} { // with x as the second source, which is what NaN comes out of
		each(func(c chain) {
			i.op("VMOVUPS %s<>(SB), %s", map[string]string{"MIN": "high", "MAX": "low"}[bound], c.t2)
		})
		each(func(c chain) { i.op("V%sPS %s, %s, %s", bound, c.x, c.t2, c.x) })
	}
	each(func(c chain) { i.op("VMULPS log2e<>(SB), %s, %s", c.x, c.t1) })
	round := "VROUNDPS"
	if i.wide() {
		round = "VRNDSCALEPS"
	}
	each(func(c chain) { i.op("%s $0, %s, %s", round, c.t1, c.t1) })
	each(func(c chain) { i.op("VFNMADD231PS ln2hi<>(SB), %s, %s", c.t1, c.x) })
	each(func(c chain) { i.op("VFNMADD231PS ln2lo<>(SB), %s, %s", c.t1, c.x) })
	each(func(c chain) { i.op("VMOVUPS p5<>(SB), %s", c.t2) })
	for _, p := range []string{"p4", "p3", "p2", "p1", "p0", "one", "one"} { // the last two make 1 + x + x²·poly
		each(func(c chain) { i.op("VFMADD213PS %s<>(SB), %s, %s", p, c.x, c.t2) })
	}
	if i.wide() {
		each(func(c chain) { i.op("VSCALEFPS %s, %s, %s", c.t1, c.t2, c.t2) })
	} else {
		each(func(c chain) { i.op("VCVTPS2DQ %s, %s", c.t1, c.t1) })
		each(func(c chain) { i.op("VPADDD bias<>(SB), %s, %s", c.t1, c.t1) })
		each(func(c chain) { i.op("VPSLLD $23, %s, %s", c.t1, c.t1) })
		each(func(c chain) { i.op("VMULPS %s, %s, %s", c.t1, c.t2, c.t2) })
	}
	each(func(c chain) { i.op("VMOVUPS one<>(SB), %s", c.t1) })
	each(func(c chain) { i.op("VADDPS %s, %s, %s", c.t1, c.t2, c.t2) })
	if !i.wide() {
		each(func(c chain) { i.op("VDIVPS %s, %s, %s", c.t2, c.t1, c.x) })
		return
	}
	// 1/d by estimate and one step of Newton's method, r + r·(1-d·r): within two units of the last place, never above what
	// it should be, and a third of a division's time.
	each(func(c chain) { i.op("VRCP14PS %s, %s", c.t2, c.x) })
	each(func(c chain) { i.op("VFNMADD213PS %s, %s, %s", c.t1, c.x, c.t2) })
	each(func(c chain) { i.op("VFMADD231PS %s, %s, %s", c.t2, c.x, c.x) })
}

// double and doubleLess1 before and after logistic make 2·logistic(2x) - 1, which is tanh.
func (i isa) double(x string) { i.op("VADDPS %s, %s, %s", x, x, x) }

func (i isa) doubleLess1(x string) {
	i.double(x)
	i.op("VSUBPS one<>(SB), %s, %s", x, x)
}

// gates loads or stores the four gates at AX, units apart in bytes (BX).
var gates = []string{"(AX)", "(AX)(BX*1)", "(R9)", "(R9)(BX*1)"}

func (i isa) lstmForward() {
	i.text("lstmForward", "n uintptr, z ptr, gate uintptr, prev, c, tanhC, h ptr", 0, 56)
	i.args("n", "CX", "z", "AX", "gate", "BX", "prev", "DX", "c", "SI", "tanhC", "DI", "h", "R8")
	i.op("LEAQ (AX)(BX*2), R9")
	i.label("loop")
	for k, at := range gates {
		i.op("VMOVUPS %s, %s", at, i.v(k))
	}
	i.activations()
	for k, at := range gates {
		i.op("VMOVUPS %s, %s", i.v(k), at)
	}
	i.cell("DX", "SI")
	i.op("VMOVUPS %s, (DI)", i.v(4))
	i.output("R8")
	i.next("AX", "R9", "DX", "SI", "DI", "R8")
	i.ret()
}

// lstmInfer is lstmForward with the two halves of the gates apart, keeping nothing for a gradient.
func (i isa) lstmInfer() {
	i.text("lstmInfer", "n uintptr, x, z ptr, gate uintptr, c, h ptr", 0, 48)
	i.args("n", "CX", "x", "DX", "z", "AX", "gate", "BX", "c", "SI", "h", "R8")
	i.op("LEAQ (AX)(BX*2), R9")
	i.op("LEAQ (DX)(BX*2), DI")
	i.label("loop")
	for k, at := range gates {
		i.op("VMOVUPS %s, %s", at, i.v(k))
	}
	for k, at := range []string{"(DX)", "(DX)(BX*1)", "(DI)", "(DI)(BX*1)"} {
		i.op("VADDPS %s, %s, %s", at, i.v(k), i.v(k))
	}
	i.activations()
	i.cell("SI", "SI")
	i.output("R8")
	i.next("DX", "DI", "AX", "R9", "SI", "R8")
	i.ret()
}

// activations turns the gates' pre-activations in registers 0 to 3 into i, f, g and o.
func (i isa) activations() {
	i.double(i.v(2))
	var chains []chain
	for k := range gates {
		chains = append(chains, chain{i.v(k), i.v(8 + 2*k), i.v(9 + 2*k)})
	}
	i.logistic(chains...)
	i.doubleLess1(i.v(2))
}

// cell writes the cell state f·prev + i·g and leaves its tanh in register 4.
func (i isa) cell(prev, c string) {
	i.op("VMULPS %s, %s, %s", i.v(0), i.v(2), i.v(4))
	i.op("VFMADD231PS (%s), %s, %s", prev, i.v(1), i.v(4))
	i.op("VMOVUPS %s, (%s)", i.v(4), c)
	i.double(i.v(4))
	i.logistic(chain{i.v(4), i.v(8), i.v(9)})
	i.doubleLess1(i.v(4))
}

// output writes o times the state's tanh.
func (i isa) output(h string) {
	i.op("VMULPS %s, %s, %s", i.v(3), i.v(4), i.v(4))
	i.op("VMOVUPS %s, (%s)", i.v(4), h)
}

// next moves pointers by a register, counts CX down and ends the loop.
func (i isa) next(pointers ...string) {
	for _, p := range pointers {
		i.op("ADDQ $%d, %s", i.bytes(), p)
	}
	i.op("SUBQ $%d, CX", i.lanes)
	i.op("JNZ loop")
}

func (i isa) lstmBackward() {
	i.text("lstmBackward", "n uintptr, z ptr, gate uintptr, prev, tanhC, dh, dc ptr", 0, 56)
	i.args("n", "CX", "z", "AX", "gate", "BX", "prev", "DX", "tanhC", "SI", "dh", "DI", "dc", "R8")
	i.op("LEAQ (AX)(BX*2), R9")
	i.label("loop")
	v := i.v
	for k, at := range gates { // 0 i, 1 f, 2 g, 3 o
		i.op("VMOVUPS %s, %s", at, v(k))
	}
	i.op("VMOVUPS (SI), %s", v(5)) // tanh c
	i.op("VMOVUPS (DI), %s", v(6)) // dh
	i.op("VMULPS %s, %s, %s", v(5), v(6), v(8))
	i.op("VMULPS %s, %s, %s", v(3), v(6), v(9))
	i.op("VMOVUPS one<>(SB), %s", v(10))
	i.op("VMOVUPS %s, %s", v(10), v(4))
	i.op("VFNMADD231PS %s, %s, %s", v(5), v(5), v(4)) // 1 - tanh²
	i.op("VMOVUPS (R8), %s", v(7))
	i.op("VFMADD231PS %s, %s, %s", v(9), v(4), v(7)) // d = dc + dh·o·(1-tanh²)
	i.op("VMULPS %s, %s, %s", v(2), v(7), v(11))     // d·g
	i.op("VMULPS (DX), %s, %s", v(7), v(12))         // d·prev
	i.op("VMULPS %s, %s, %s", v(0), v(7), v(13))     // d·i
	i.op("VMULPS %s, %s, %s", v(1), v(7), v(14))     // d·f
	i.op("VMOVUPS %s, (R8)", v(14))
	for _, p := range [][2]int{{0, 11}, {1, 12}, {3, 8}} {
		i.op("VSUBPS %s, %s, %s", v(p[0]), v(10), v(15))
		i.op("VMULPS %s, %s, %s", v(p[0]), v(15), v(15))
		i.op("VMULPS %s, %s, %s", v(15), v(p[1]), v(p[1]))
	}
	i.op("VFNMADD231PS %s, %s, %s", v(2), v(2), v(10)) // 1 - g²
	i.op("VMULPS %s, %s, %s", v(10), v(13), v(13))
	for k, r := range []int{11, 12, 13, 8} {
		i.op("VMOVUPS %s, %s", v(r), gates[k])
	}
	i.next("AX", "R9", "DX", "SI", "DI", "R8")
	i.ret()
}

// adam updates n floats. args points at eight floats: beta1, 1-beta1, beta2, 1-beta2, alpha, epsilon, the inverse of
// the second correction, and what is kept of a weight. Numbers too small to be normal count as zero: a gradient that
// has died out takes its moments through thousands of steps of them, each of which costs an Intel core a hundred
// cycles.
func (i isa) adam() {
	i.text("adam", "n uintptr, w, grad, m, v, args ptr", 8, 48)
	i.op("STMXCSR saved-8(SP)")
	i.op("MOVL saved-8(SP), R9")
	i.op("ORL $0x8040, R9")
	i.op("MOVL R9, flush-4(SP)")
	i.op("LDMXCSR flush-4(SP)")
	i.args("n", "CX", "w", "AX", "grad", "BX", "m", "DX", "v", "SI", "args", "DI")
	v := i.v
	for k := range 8 {
		i.op("VBROADCASTSS %d(DI), %s", 4*k, v(8+k))
	}
	i.label("loop")
	i.op("VMOVUPS (BX), %s", v(0))
	i.op("VMULPS (DX), %s, %s", v(8), v(1))
	i.op("VFMADD231PS %s, %s, %s", v(0), v(9), v(1))
	i.op("VMOVUPS %s, (DX)", v(1))
	i.op("VMULPS %s, %s, %s", v(0), v(0), v(2))
	i.op("VMULPS %s, %s, %s", v(11), v(2), v(2))
	i.op("VFMADD231PS (SI), %s, %s", v(10), v(2))
	i.op("VMOVUPS %s, (SI)", v(2))
	i.op("VSQRTPS %s, %s", v(2), v(2))
	i.op("VFMADD213PS %s, %s, %s", v(13), v(14), v(2)) // sqrt(v)·inverse + epsilon
	i.op("VMULPS %s, %s, %s", v(12), v(1), v(1))
	i.op("VDIVPS %s, %s, %s", v(2), v(1), v(1))
	i.op("VMULPS (AX), %s, %s", v(15), v(3))
	i.op("VSUBPS %s, %s, %s", v(1), v(3), v(3))
	i.op("VMOVUPS %s, (AX)", v(3))
	i.next("AX", "BX", "DX", "SI")
	i.op("LDMXCSR saved-8(SP)")
	i.ret()
}
