//go:build emulate

package kernels

import "embed"

// Sources are what the emulator in package device compiles. They are here only so that a change of theirs rebuilds it.
//
//go:embed *.cu *.cuh *.h
var Sources embed.FS
