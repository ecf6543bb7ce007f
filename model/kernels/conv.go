package kernels

// convBlock is how many filters are summed at a time. The block stays in the first-level cache for a whole name.
const convBlock = 256

// ConvMax finds, for every filter, the largest response of a folded convolution over one name:
//
//	out[f] = max over t in [from, len(codes)-kernel] of sum over j of table[codes[t+j]][j·filters+f]
//
// and arg[f], the first t with that response. table is [codes, kernel·filters]: row c holds what character c
// contributes at each offset of the kernel. Positions before from equal position from and are left out.
func ConvMax(table []float32, kernel, filters int, codes []uint16, from int, out []float32, arg []int32) {
	row := kernel * filters
	start := convMaxWide(table, kernel, filters, codes, from, out, arg)
	var sum [convBlock]float32
	for lo := start; lo < filters; lo += convBlock {
		n := min(convBlock, filters-lo)
		y, o, a := sum[:n], out[lo:lo+n], arg[lo:lo+n]
		for t := from; t+kernel <= len(codes); t++ {
			convSum(table, row, filters, codes[t:t+kernel], lo, y)
			if t == from {
				copy(o, y)
				for f := range a {
					a[f] = int32(t)
				}
				continue
			}
			for f, v := range y {
				if v > o[f] {
					o[f], a[f] = v, int32(t)
				}
			}
		}
	}
}

// convMaxWide handles as many filters as fill the assembly's blocks and returns their number.
func convMaxWide(table []float32, kernel, filters int, codes []uint16, from int, out []float32, arg []int32) int {
	times, row := len(codes)-kernel-from+1, kernel*filters
	block := [...]int{0, 32, 128}[level]
	if block == 0 || filters < block || times < 1 {
		return 0
	}
	for _, c := range codes[from:] { // the assembly reads the table unchecked
		_ = table[int(c)*row+row-1]
	}
	out, arg = out[:filters], arg[:filters]
	lo := 0
	for ; lo+block <= filters; lo += block {
		assembly[level].convMax(uintptr(times), uintptr(kernel), ptr(&codes[from]), at(table, lo),
			uintptr(row)*4, uintptr(filters)*4, at(out, lo), ptr(&arg[lo]), uintptr(from))
	}
	return lo
}

// convSum adds up one window: y[f] = sum over j of table[codes[j]·row + j·filters + lo + f].
func convSum(table []float32, row, filters int, codes []uint16, lo int, y []float32) {
	n := len(y)
	copy(y, table[int(codes[0])*row+lo:][:n])
	j := 1
	for ; j+1 < len(codes); j += 2 {
		r := table[int(codes[j])*row+j*filters+lo:][:n]
		q := table[int(codes[j+1])*row+(j+1)*filters+lo:][:n]
		for f := range y {
			y[f] += r[f] + q[f]
		}
	}
	if j < len(codes) {
		r := table[int(codes[j])*row+j*filters+lo:][:n]
		for f := range y {
			y[f] += r[f]
		}
	}
}

// ConvMaxGrad adds one name's gradient to the table's: grad[codes[arg[f]+j]][j·filters+f] += dout[f]. It adds zeros
// too: about half of the filters have no gradient, at random, and a mispredicted branch costs more than an addition.
func ConvMaxGrad(grad []float32, kernel, filters int, codes []uint16, arg []int32, dout []float32) {
	row := kernel * filters
	arg = arg[:len(dout)]
	for j := range kernel {
		to, from := grad[j*filters:], codes[j:]
		for f, g := range dout {
			to[int(from[arg[f]])*row+f] += g
		}
	}
}
