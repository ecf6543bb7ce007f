//go:build gpu || emulate

package device

// orOne returns the dimensions with 1 for what is 0.
func (d Dim) orOne() Dim {
	one := func(n int) int {
		if n == 0 {
			return 1
		}
		return n
	}
	return Dim{one(d.X), one(d.Y), one(d.Z)}
}
