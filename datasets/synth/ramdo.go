package synth

func init() {
	registerDGA("ramdo", ramdo,
		"Ramdo (Redyms): 16 letters, every other one of the alphabet, under .org. The seed is the build's; no calendar.",
		"https://github.com/baderj/domain_generation_algorithms (ramdo)")
}

// ramdo follows Bader's reconstruction. Doubling its state at each step loses the lowest bit, which is
// why only every other letter occurs. Known seeds: 0xdeadbeef (default) and 0xd5fff.
func ramdo(p Params) ([]string, error) {
	p = p.or(0xdeadbeef, day(2014, 2, 1), 1000)
	seed := uint32(p.Seed)
	return collect(p.Count, func(i int) string {
		n := uint32(i)
		step := 2 * seed * (n + 1)
		state := step ^ 26*seed*n
		name := make([]byte, 16)
		for j := range name {
			name[j] = lower[state%26]
			state += state ^ step*uint32(j*j)*26
		}
		return string(name) + ".org"
	}), nil
}
