package graph

import "github.com/degas-dns/degas/model/kernels"

// charTable is an embedding folded into a convolution. A linear map of a table's row is a row of another table: T_j =
// E·W_j is computed once a step, [codes, kernel·filters], and each position of a name costs kernel row additions.
type charTable struct {
	*step
	codes, dim, kernel, filters int
	values                      []float32
	parts                       [][]float32 // each worker's part of the gradient
}

func newCharTable(s *step, codes, dim, kernel, filters int) charTable {
	size := codes * kernel * filters
	return charTable{step: s, codes: codes, dim: dim, kernel: kernel, filters: filters, values: floats(size),
		parts: s.perWorker(size)}
}

// row is what code contributes at offset j of the kernel, in the table or a part of its gradient.
func (t *charTable) row(table []float32, code uint16, j int) []float32 {
	return table[(int(code)*t.kernel+j)*t.filters:][:t.filters]
}

// fold computes the table from the embedding e [codes, dim] and the kernel w [kernel·dim, filters].
func (t *charTable) fold(e, w []float32) {
	t.split(t.filters, func(_, lo, hi int) {
		for j := range t.kernel {
			kernels.Gemm(t.codes, hi-lo, t.dim, rows(e, 0, t.dim), columns(w[j*t.dim*t.filters:], lo, t.filters),
				t.offset(t.values, j, lo), false)
		}
	})
}

// unfold adds the parts up, in order, and takes the table's gradient back to the embedding's and the kernel's:
// dW_j = Eᵀ·dT_j, dE = Σ dT_j·W_jᵀ.
func (t *charTable) unfold(e, w, de, dw []float32) {
	t.sumParts(t.parts[0], t.parts)
	grad := t.parts[0]
	t.split(t.workers, func(_, first, last int) {
		for k := first; k < last; k++ {
			lo, hi := t.part(t.filters, k)
			from, to := t.part(t.dim, k)
			for j := range t.kernel {
				if lo < hi {
					kernels.Gemm(t.dim, hi-lo, t.codes, rows(e, 0, t.dim).T(), t.offset(grad, j, lo),
						columns(dw[j*t.dim*t.filters:], lo, t.filters), false)
				}
				if from < to {
					kernels.Gemm(t.codes, to-from, t.filters, t.offset(grad, j, 0), rows(w, j*t.dim+from, t.filters).T(),
						columns(de, from, t.dim), j > 0)
				}
			}
		}
	})
}

// offset views the columns of a table, from filter lo on, that belong to offset j of the kernel.
func (t *charTable) offset(table []float32, j, lo int) kernels.Matrix {
	return kernels.Matrix{Data: table[j*t.filters+lo:], Stride: t.kernel * t.filters}
}
