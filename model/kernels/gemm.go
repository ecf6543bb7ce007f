package kernels

import (
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// Matrix is a row-major view: element (i, j) is Data[i*Stride+j]. With Transposed set it stands for its transpose.
type Matrix struct {
	Data       []float32
	Stride     int
	Transposed bool
}

// T returns the transpose of m.
func (m Matrix) T() Matrix { m.Transposed = !m.Transposed; return m }

// strides returns the distances between rows and between columns.
func (m Matrix) strides() (row, column int) {
	if m.Transposed {
		return 1, m.Stride
	}
	return m.Stride, 1
}

// depth is how much of the common dimension is multiplied at a time, so that a panel of B fits the first-level cache.
const depth = 256

// Gemm computes c = a·b, or c += a·b with accumulate, for a [m, k], b [k, n] and c [m, n]. c must not be transposed. It
// uses one core: callers split batches, which wakes fewer cores than splitting products.
func Gemm(m, n, k int, a, b, c Matrix, accumulate bool) {
	if m == 0 || n == 0 {
		return
	}
	if level == portable || k == 0 {
		blasGemm(m, n, k, a, b, c, accumulate)
		return
	}
	check(m, k, a)
	check(k, n, b)
	check(m, n, c)
	p := products.Get().(*product)
	p.multiply(m, n, k, a, b, c, accumulate)
	products.Put(p)
}

// check panics with an index out of range if x is too short for [rows, columns]: the kernels read memory unchecked.
func check(rows, columns int, x Matrix) {
	if x.Transposed {
		rows, columns = columns, rows
	}
	_ = x.Data[(rows-1)*x.Stride+columns-1]
}

// Up to few rows or narrow columns, plain loops replace gonum, which starts goroutines and allocates.
const few, narrow = 4, 16

func blasGemm(m, n, k int, a, b, c Matrix, accumulate bool) {
	if (m <= few || n <= narrow) && !b.Transposed {
		fewRows(m, n, k, a, b, c, accumulate)
		return
	}
	beta := float32(0)
	if accumulate {
		beta = 1
	}
	gonum.Implementation{}.Sgemm(trans(a), trans(b), m, n, k,
		1, a.Data, a.Stride, b.Data, b.Stride, beta, c.Data, c.Stride)
}

// fewRows adds row after row of b, scaled, to the rows of c.
func fewRows(m, n, k int, a, b, c Matrix, accumulate bool) {
	rs, cs := a.strides()
	for i := range m {
		row := c.Data[i*c.Stride:][:n]
		if !accumulate {
			clear(row)
		}
		for x := range k {
			f := a.Data[i*rs+x*cs]
			for j, v := range b.Data[x*b.Stride:][:n] {
				row[j] += f * v
			}
		}
	}
}

func trans(m Matrix) blas.Transpose {
	if m.Transposed {
		return blas.Trans
	}
	return blas.NoTrans
}

// Sizes of the widest micro-kernel, AVX-512's.
const (
	maxRows    = 12
	maxColumns = 32
)

// product is the working memory of a matrix product: packed panels of B, tiles of A if its values lie apart, and a tile
// for the ragged edge of C. It belongs to one goroutine at a time.
type product struct {
	panels, left []float32
	tile         [maxRows * maxColumns]float32
}

var products = sync.Pool{New: func() any { return new(product) }}

// tileSize returns how many rows and columns the micro-kernel computes at once.
func tileSize() (rows, columns int) {
	if level == avx512 {
		return maxRows, maxColumns
	}
	return 6, 16
}

func (p *product) multiply(m, n, k int, a, b, c Matrix, accumulate bool) {
	rows, columns := tileSize()
	for q := 0; q < k; q += depth {
		deep := min(depth, k-q)
		add := accumulate || q > 0
		p.packLeft(a, q, m, n, deep, rows)
		for j := 0; j < n; j += columns {
			wide := min(columns, n-j)
			panel, stride := p.panel(b, q, j, deep, n, columns, m > rows)
			for i := 0; i < m; i += rows {
				high := min(rows, m-i)
				from, ars, acs := p.rows(a, q, i, deep, high)
				if wide == columns {
					tile(high, deep, from, ars, acs, panel, stride, at(c.Data, i*c.Stride+j), c.Stride, add)
					continue
				}
				tile(high, deep, from, ars, acs, panel, stride, ptr(&p.tile), columns, false)
				p.edge(c.Data[i*c.Stride+j:], c.Stride, high, wide, columns, add)
			}
		}
	}
}

// tile calls the micro-kernel with strides in floats.
func tile(rows, k int, a ptr, ars, acs int, b ptr, brs int, c ptr, crs int, accumulate bool) {
	acc := uintptr(0)
	if accumulate {
		acc = 1
	}
	assembly[level].gemm[rows-1](uintptr(k), a, uintptr(ars)*4, uintptr(acs)*4, b, uintptr(brs)*4, c, uintptr(crs)*4, acc)
}

// packedColumns is how many columns of B, in whole panels, are packed at once, so that rows are read in one piece and
// not a cache line here and there. From minColumns on it is worth packing A.
const packedColumns, minColumns = 512, 256

// panel returns the panel [deep, columns] of b at column j, with zeros beyond n. It leaves a panel that few rows will
// use in place.
func (p *product) panel(b Matrix, q, j, deep, n, columns int, many bool) (panel ptr, stride int) {
	wide := min(columns, n-j)
	if !many && wide == columns && !b.Transposed {
		return at(b.Data, q*b.Stride+j), b.Stride
	}
	if b.Transposed {
		p.panels = grown(p.panels, deep*columns)
		packColumns(p.panels, b.Data[j*b.Stride+q:], deep, columns, wide, b.Stride)
		return at(p.panels, 0), columns
	}
	group := columns
	if many {
		group = packedColumns
	}
	if j%group == 0 {
		width := min(group, n-j)
		p.panels = grown(p.panels, panelled(width, columns)*deep)
		packRows(p.panels, b.Data[q*b.Stride+j:], deep, columns, width, b.Stride)
	}
	return at(p.panels, j%group*deep), columns
}

// packLeft lays out a's rows tile by tile if a row's values lie apart and enough columns of b will use them: values
// that are a power of two apart share few places in the cache.
func (p *product) packLeft(a Matrix, q, m, n, deep, rows int) {
	p.left = p.left[:0]
	if !a.Transposed || n < minColumns {
		return
	}
	p.left = grown(p.left, m*deep)
	for y := range deep {
		row := a.Data[(q+y)*a.Stride:][:m]
		for i := 0; i < m; i += rows {
			high := min(rows, m-i)
			copy(p.left[i*deep+y*high:][:high], row[i:])
		}
	}
}

// rows returns the tile of a from row i on, with its strides.
func (p *product) rows(a Matrix, q, i, deep, high int) (from ptr, ars, acs int) {
	if len(p.left) > 0 {
		return at(p.left, i*deep), 1, high
	}
	ars, acs = a.strides()
	return at(a.Data, i*ars+q*acs), ars, acs
}

// edge moves the used part of the tile into c.
func (p *product) edge(c []float32, stride, high, wide, columns int, add bool) {
	for r := range high {
		row, from := c[r*stride:][:wide], p.tile[r*columns:][:wide]
		if !add {
			copy(row, from)
			continue
		}
		for x, v := range from {
			row[x] += v
		}
	}
}
