// Package float16 converts numbers of 16 bits: IEEE 754's binary16, which has a sign, five bits of exponent and ten of
// fraction. safetensors calls it F16.
package float16

import (
	"fmt"
	"math"
)

const (
	fraction = 10 // bits
	infinity = 31 << fraction
	bias     = 127 - 15 // between the two exponents
)

// Widen returns the number with the bits h. A float32 holds every binary16; infinities and NaNs stay what they are.
func Widen(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	magnitude := uint32(h & 0x7fff)
	const shift = 23 - fraction
	switch {
	case magnitude >= infinity:
		return math.Float32frombits(sign | 0xff<<23 | magnitude<<shift)
	case magnitude < 1<<fraction: // subnormal: a number of steps of 2^-24
		f := float32(magnitude) / (1 << 24)
		return math.Float32frombits(sign | math.Float32bits(f))
	}
	return math.Float32frombits(sign | (magnitude<<shift + bias<<23))
}

// Round returns the bits of the binary16 that is nearest to f. Of two, it is the one with an even fraction. A number
// that would become an infinity is an error, and so is a NaN.
func Round(f float32) (uint16, error) {
	bits := math.Float32bits(f)
	sign := uint16(bits >> 16 & 0x8000)
	exponent := max(int(bits>>23&0xff)-bias, 1) // of subnormals too, whose fraction has no leading 1
	steps := math.RoundToEven(math.Ldexp(math.Abs(float64(f)), 25-exponent))
	magnitude := steps + float64((exponent-1)<<fraction) // rounding up may carry into the exponent, as it should
	if !(magnitude < infinity) {
		return 0, fmt.Errorf("%g does not fit into 16 bits, which end at ±65504", f)
	}
	return sign | uint16(magnitude), nil
}
