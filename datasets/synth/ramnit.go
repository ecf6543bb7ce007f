package synth

func init() {
	registerDGA("ramnit", ramnit,
		"Ramnit: 8 to 19 letters under .com from a 32-bit seed in the binary. No calendar.",
		"https://johannesbader.ch/2014/12/the-dga-of-ramnit/")
}

// ramnit follows Bader's "The DGA of Ramnit". Known seeds: 0xef214bbf, 0x28488eea, 0x4bfcbc6a,
// 0x79159c10, 0x92f4be35, 0x52278648.
func ramnit(p Params) ([]string, error) {
	p = p.or(0x79159c10, day(2014, 12, 1), 100)
	g := &parkMiller{uint32(p.Seed)}
	return collect(p.Count, func(int) string {
		before := uint64(g.state)
		length := int(g.next()%12) + 8
		product := before * uint64(g.state)
		// The letter z is never reached.
		name := spell(length, lower[:25], g.next) + ".com"
		g.state = uint32(product) + uint32(product>>32)
		return name
	}), nil
}
