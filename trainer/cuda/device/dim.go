//go:build gpu || emulate

package device

import "cmp"

// orOne returns the dimensions with 1 for what is 0.
func (d Dim) orOne() Dim { return Dim{cmp.Or(d.X, 1), cmp.Or(d.Y, 1), cmp.Or(d.Z, 1)} }
