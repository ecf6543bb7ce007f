package kernels

// Packed is the right-hand operand of a matrix product, laid out once for many products, such as the steps of an LSTM:
// panels of the micro-kernel's columns, with zeros beyond the last.
type Packed struct {
	rows, columns int
	data          []float32
	plain         Matrix // what portable multiplies by
}

// Pack lays out b, [k, n]. It reuses p's memory. Portable kernels keep b itself, which must then not change.
func (p *Packed) Pack(k, n int, b Matrix) {
	p.rows, p.columns, p.plain = k, n, b
	if level == portable {
		return
	}
	check(k, n, b)
	_, wide := tileSize()
	p.data = grown(p.data, panelled(n, wide)*k)
	rs, cs := b.strides()
	if cs == 1 {
		packRows(p.data, b.Data, k, wide, n, rs)
		return
	}
	for j := 0; j < n; j += wide {
		packColumns(p.data[j*k:(j+wide)*k], b.Data[j*cs:], k, wide, min(wide, n-j), cs)
	}
}

// panelled rounds n columns up to whole panels.
func panelled(n, wide int) int { return (n + wide - 1) / wide * wide }

// grown returns n values, in x's memory if they fit there.
func grown(x []float32, n int) []float32 {
	if cap(x) < n {
		return make([]float32, n)
	}
	return x[:n]
}

// packRows fills panels one behind the other from a matrix whose rows of n columns are stride floats apart. It goes row
// by row, because memory is fast at reading what lies in one piece.
func packRows(panels, src []float32, k, wide, n, stride int) {
	full := n / wide * wide
	for y := range k {
		row := src[y*stride:][:n]
		at := y * wide
		for x := 0; x < full; x += wide {
			copy(panels[at:][:wide], row[x:])
			at += k * wide
		}
		if full < n {
			to := panels[at:][:wide]
			clear(to[copy(to, row[full:]):])
		}
	}
}

// packColumns fills a panel from a transposed matrix: column x of the panel is row x of src, stride floats apart. It
// works in blocks of rows, so that the panel's cache lines are written whole while they are near, four columns at a
// time.
func packColumns(panel, src []float32, k, wide, used, stride int) {
	if used < wide {
		clear(panel)
	}
	const block = 16
	for y := 0; y < k; y += block {
		deep := min(block, k-y)
		x := 0
		for ; x+4 <= used; x += 4 {
			a, b := src[x*stride+y:][:deep], src[(x+1)*stride+y:][:deep]
			c, d := src[(x+2)*stride+y:][:deep], src[(x+3)*stride+y:][:deep]
			for i := range a {
				to := panel[(y+i)*wide+x:][:4]
				to[0], to[1], to[2], to[3] = a[i], b[i], c[i], d[i]
			}
		}
		for ; x < used; x++ {
			for i, v := range src[x*stride+y:][:deep] {
				panel[(y+i)*wide+x] = v
			}
		}
	}
}

// GemmPacked computes c = a·b, or c += a·b with accumulate, for a [m, k] and c [m, n] with a packed b [k, n].
func GemmPacked(m int, a Matrix, b *Packed, c Matrix, accumulate bool) {
	k, n := b.rows, b.columns
	if m == 0 || n == 0 {
		return
	}
	if level == portable || k == 0 {
		blasGemm(m, n, k, a, b.plain, c, accumulate)
		return
	}
	check(m, k, a)
	check(m, n, c)
	p := products.Get().(*product)
	defer products.Put(p)
	rows, columns := tileSize()
	ars, acs := a.strides()
	for q := 0; q < k; q += depth {
		deep := min(depth, k-q)
		add := accumulate || q > 0
		for j := 0; j < n; j += columns {
			wide := min(columns, n-j)
			panel := at(b.data, j*k+q*columns)
			for i := 0; i < m; i += rows {
				high := min(rows, m-i)
				from := at(a.Data, i*ars+q*acs)
				if wide == columns {
					tile(high, deep, from, ars, acs, panel, columns, at(c.Data, i*c.Stride+j), c.Stride, add)
					continue
				}
				tile(high, deep, from, ars, acs, panel, columns, ptr(&p.tile), columns, false)
				p.edge(c.Data[i*c.Stride+j:], c.Stride, high, wide, columns, add)
			}
		}
	}
}
