package float16

import (
	"math"
	"strings"
	"testing"
)

// reference is IEEE 754's definition of binary16, in float64.
func reference(h uint16) float64 {
	exponent, fraction := int(h>>10&31), float64(h&1023)
	v := math.Ldexp(fraction, -24)
	switch {
	case exponent == 31 && fraction == 0:
		v = math.Inf(1)
	case exponent == 31:
		v = math.NaN()
	case exponent > 0:
		v = math.Ldexp(1024+fraction, exponent-25)
	}
	if h&0x8000 != 0 {
		v = math.Copysign(v, -1)
	}
	return v
}

// Every binary16 widens to what the definition says, and every finite one comes back as it was.
func TestAll(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		got, want := float64(Widen(h)), reference(h)
		if math.Float64bits(got) != math.Float64bits(want) && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("%#04x widens to %g, want %g", h, got, want)
		}
		back, err := Round(float32(want))
		if finite := h&0x7c00 != 0x7c00; finite != (err == nil) || finite && back != h {
			t.Fatalf("%#04x, %g, rounds to %#04x, %v", h, want, back, err)
		}
	}
}

// Between two neighbours, what is nearer wins, and halfway the one with an even fraction: at 0, among subnormals, where
// they end, at powers of two and at the largest.
func TestRound(t *testing.T) {
	for i := range 31 << 10 {
		low := uint16(i)
		below, above := reference(low), reference(low+1)
		if low+1 == 31<<10 {
			above = 1 << 16 // where the next number would be
		}
		middle := float32((below + above) / 2)
		even := low + low&1
		for _, tc := range []struct {
			f    float32
			want uint16
		}{
			{math.Nextafter32(middle, 0), low},
			{middle, even},
			{math.Nextafter32(middle, math.MaxFloat32), low + 1},
		} {
			got, err := Round(tc.f)
			negative, _ := Round(-tc.f)
			if tc.want == 31<<10 {
				if err == nil || !strings.Contains(err.Error(), "65504") {
					t.Fatalf("%g: %#04x, error %v, want one about 65504", tc.f, got, err)
				}
			} else if err != nil || got != tc.want || negative != tc.want|0x8000 {
				t.Fatalf("%g rounds to %#04x, its negative to %#04x, want %#04x; %v", tc.f, got, negative, tc.want, err)
			}
		}
	}
	for _, f := range []float32{1e-30, math.SmallestNonzeroFloat32} {
		if got, err := Round(f); got != 0 || err != nil {
			t.Errorf("%g rounds to %#04x, %v", f, got, err)
		}
	}
	for _, f := range []float32{1e30, math.MaxFloat32} {
		if got, err := Round(f); err == nil {
			t.Errorf("%g rounds to %#04x", f, got)
		}
	}
}
