//go:build !noasm

package kernels

import "testing"

// eachLevel runs f with every instruction set this machine has.
func eachLevel(t *testing.T, f func(t *testing.T)) {
	best := level
	defer func() { level = best }()
	for l := portable; l <= best; l++ {
		level = l
		t.Run(l.String(), f)
	}
}
