//go:build !amd64 || noasm

package kernels

import "testing"

// eachLevel runs f with every instruction set this machine has.
func eachLevel(t *testing.T, f func(t *testing.T)) { t.Run(level.String(), f) }
