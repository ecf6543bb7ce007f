//go:build !gpu && !emulate

package device

import "fmt"

func without() error {
	return fmt.Errorf("%w: this degas was built without CUDA. Try: scripts/gpu-build, or go build -tags gpu ./cmd/degas "+
		"where cuda.h is installed (README.md)", ErrNone)
}

// List describes the machine's devices. An error says why there are none that this binary can see.
func List() ([]Info, error) { return nil, without() }

// Open makes a device ready for use.
func Open(index int) (Device, error) { return nil, without() }
