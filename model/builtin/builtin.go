// Package builtin holds the files of the released model, which model.Builtin reads. Nothing here names the files but
// three variables: a program that does not reach model.Builtin is linked without them.
package builtin

import _ "embed"

// The files. model.json and model.safetensors are those of a model directory, with float16 weights; gen makes them.
// scripts/release-model writes card.md.
var (
	//go:embed model.json
	Spec string
	//go:embed model.safetensors
	Weights string
	//go:embed card.md
	Card string
)
