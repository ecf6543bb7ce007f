package synth

func init() {
	registerDGA("m0yv", m0yv,
		"m0yv (Expiro): 5 to 9 letters under .biz, 128 names for a 32-bit seed. No calendar.",
		"https://malpedia.caad.fkie.fraunhofer.de/details/win.m0yv")
}

// m0yv follows the write-ups that Malpedia lists. Known seeds: 0x02484a18, 0x00128a0e, 0x7178af3f.
func m0yv(p Params) ([]string, error) {
	p = p.or(0x02484a18, day(2022, 5, 1), 128)
	return collect(p.Count, func(i int) string {
		g := microsoftRand(uint32(p.Seed) ^ uint32(i))
		length := 5 + int(g.next15()%5)
		return spell(length, lower, g.next15) + ".biz"
	}), nil
}
