package synth

func init() {
	registerDGA("reconyc", reconyc,
		"Reconyc: ten letters and digits of both cases under .com. The seed is the tick count at start, so nobody can "+
			"foretell it; no calendar.",
		"https://github.com/baderj/domain_generation_algorithms (reconyc)")
}

// reconyc follows Bader's reconstruction: a Mersenne twister over a shuffled alphabet; 100 names.
func reconyc(p Params) ([]string, error) {
	p = p.or(0x6a2e9, day(2017, 1, 1), 100)
	const alphabet = "iHRYg79zJXaGw1CF5K0d3vZobhAlx6StUBnjOIMpe2yVuPr4sL8DqmQTkEcWNf"
	m := newMersenne(uint32(p.Seed))
	m.frozenTail = true
	below := func() uint32 { return uint32(uint64(m.next()) * uint64(len(alphabet)) >> 32) }
	return collect(p.Count, func(int) string { return spell(10, alphabet, below) + ".com" }), nil
}
