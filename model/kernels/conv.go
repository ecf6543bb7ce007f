package kernels

// convBlock is the filters summed at a time: the block stays in the first-level cache while a name is walked.
const convBlock = 256

// ConvMax finds, for every filter, the largest response of a folded convolution over one name:
//
//	out[f] = max over t in [from, len(codes)-kernel] of sum over j of table[codes[t+j]][j·filters+f]
//
// and arg[f], the first t where it is reached. table is [codes, kernel·filters]: row c holds what character c
// contributes at each offset of the kernel. Positions before from are known to equal position from and are left out.
func ConvMax(table []float32, kernel, filters int, codes []uint16, from int, out []float32, arg []int32) {
	var sum [convBlock]float32
	row := kernel * filters
	for lo := 0; lo < filters; lo += convBlock {
		n := min(convBlock, filters-lo)
		y, o, a := sum[:n], out[lo:lo+n], arg[lo:lo+n]
		for t := from; t+kernel <= len(codes); t++ {
			ConvSum(table, row, filters, codes[t:t+kernel], lo, y)
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

// ConvSum adds up one window: y[f] = sum over j of table[codes[j]·row + j·filters + lo + f].
func ConvSum(table []float32, row, filters int, codes []uint16, lo int, y []float32) {
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

// ConvMaxGrad adds one name's gradient to the table's: grad[codes[arg[f]+j]][j·filters+f] += dout[f].
func ConvMaxGrad(grad []float32, kernel, filters int, codes []uint16, arg []int32, dout []float32) {
	row := kernel * filters
	for f, g := range dout {
		if g == 0 {
			continue
		}
		t := int(arg[f])
		for j := range kernel {
			grad[int(codes[t+j])*row+j*filters+f] += g
		}
	}
}
