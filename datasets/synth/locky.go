package synth

import "math/bits"

func init() {
	registerDGA("locky", locky,
		"Locky: 5 to 15 letters under country domains, eight names for every two days. The seed is the campaign's "+
			"affiliate number.",
		"https://blogs.forcepoint.com/security-labs/lockys-new-dga-seeding-new-domains")
}

// locky follows Forcepoint's "Locky's New DGA". Campaign 0 rotates by 5 and cycles through six names,
// all others rotate by 7 and have eight.
func locky(p Params) ([]string, error) {
	p = p.or(62, day(2016, 2, 28), 8)
	tlds := []string{".ru", ".pw", ".eu", ".in", ".yt", ".pm", ".us", ".fr", ".de", ".it", ".be", ".uk", ".nl", ".tf"}
	const add = 0x27100001
	mix := func(x uint32) uint32 { return bits.RotateLeft32(x*0xb11924e1, -7) }
	seed := uint32(p.Seed)
	t := mix(uint32(p.Date.Year()) + 0x1bf5)
	t = mix(t + seed + add)
	t = mix(t + uint32(p.Date.Day()/2) + add)
	t = mix(t + uint32(p.Date.Month()) + 0x2709a354)
	return collect(min(p.Count, 8), func(i int) string {
		r := mix(bits.RotateLeft32(uint32(i), 21)+t+bits.RotateLeft32(seed, 17)+add) + add
		name := make([]byte, r%11+5)
		for j := range name {
			r = mix(bits.RotateLeft32(r, j)) + add
			name[j] = lower[r%25]
		}
		return string(name) + tlds[(mix(r)+add)%uint32(len(tlds))]
	}), nil
}
