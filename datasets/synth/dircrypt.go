package synth

func init() {
	registerDGA("dircrypt", dircrypt,
		"DirCrypt: 8 to 20 letters under .com from a 32-bit seed in the binary. No calendar.",
		"https://johannesbader.ch/2015/03/the-dga-of-dircrypt/")
}

// dircrypt follows Bader's "The DGA of DirCrypt"; 30 names a run.
func dircrypt(p Params) ([]string, error) {
	p = p.or(0xf2113c2a, day(2015, 3, 1), 30)
	g := &parkMiller{uint32(p.Seed)}
	return collect(p.Count, func(int) string {
		length := 8 + int(g.next()%13)
		return spell(length, lower, g.next) + ".com"
	}), nil
}
