package model

import (
	"fmt"
	"slices"
	"strings"
)

// encoders holds the encoders a user can name; each file that has one adds it.
var encoders = map[string]Encoder{}

// RegisterEncoder makes an Encoder known under name. It panics on a second registration: a programmer's error.
func RegisterEncoder(name string, e Encoder) {
	if _, dup := encoders[name]; dup {
		panic("model: encoder " + name + " registered twice")
	}
	encoders[name] = e
}

// Encoders lists the known encoders, sorted.
func Encoders() []string {
	var out []string
	for n := range encoders {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// NamedEncoder returns an encoder by name.
func NamedEncoder(name string) (Encoder, error) {
	e, ok := encoders[name]
	if !ok {
		return Encoder{}, fmt.Errorf("model: unknown encoder %q, known are %s", name, strings.Join(Encoders(), ", "))
	}
	return e, nil
}

func init() {
	RegisterEncoder("names", nameEncoder())
	RegisterEncoder("degas", degasEncoder())
	RegisterEncoder("gta1", gta1Encoder())
	// deep-lookup's en2vec: Python's string.printable from 1 on, 0 for anything else and for padding, the last 256
	// characters written last to first from the left.
	RegisterEncoder("en2vec", Encoder{Alphabet: pythonPrintable, Base: 1, Window: 256, PadSide: Right, Keep: Last, Reverse: true})
}

// pythonPrintable is string.printable.
const pythonPrintable = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \t\n\r\x0b\x0c"
