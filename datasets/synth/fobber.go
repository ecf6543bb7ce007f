package synth

import "math/bits"

func init() {
	registerDGA("fobber", fobber,
		"Fobber (Tinba v3): 17 letters under .net (v1) or 10 under .com (v2). The seed is the generator's first state; "+
			"no calendar.",
		"https://github.com/baderj/domain_generation_algorithms (fobber)",
		"v1", "v2")
}

// fobber follows Bader's reconstruction: one multiplication and a rotation a letter. Defaults are
// the constants of the two known builds, 300 names each.
func fobber(p Params) ([]string, error) {
	state, add, length, tld := uint32(0xc87c8a78), uint32(0x9983f4aa), 17, ".net"
	if p.Variant == "v2" {
		state, add, length, tld = 0x851a3e59, 0x8dc47b21, 10, ".com"
	}
	p = p.or(uint64(state), day(2015, 6, 1), 300)
	state = uint32(p.Seed)
	next := func() uint32 {
		state = bits.RotateLeft32(321167*state+add, -16)
		return state & 0x17ff
	}
	return collect(p.Count, func(int) string { return spell(length, lower, next) + tld }), nil
}
