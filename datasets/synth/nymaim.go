package synth

func init() {
	registerDGA("nymaim", nymaim,
		"Nymaim, first version: 6 to 11 letters, 128 names a day. No seed.",
		"https://github.com/baderj/domain_generation_algorithms (nymaim)")
}

// nymaim follows Bader's reconstruction: a xorshift of four words that the date seeds. The second
// last letter picks the top-level domain.
func nymaim(p Params) ([]string, error) {
	p = p.or(0, day(2018, 2, 24), 128)
	date := uint32(p.Date.Year()) + uint32(p.Date.Month())<<16 + uint32(p.Date.Day())<<16 + uint32(p.Date.Weekday())
	state := [4]uint32{date + 0x52455641, date + 0x49484f4c, date + 0x59554820, date + 0x4d415620}
	next := func() uint32 {
		t := state[0] ^ state[0]<<11
		fresh := state[3] ^ state[3]>>19 ^ t ^ t>>8
		third := state[2]
		for i := range 3 {
			state[i] += state[i+1]
		}
		state[3] = fresh
		return (third + fresh) / 100
	}
	return collect(p.Count, func(int) string {
		name := spell(int(next()%6)+6, lower, next)
		return name + nymaimTLD(name[len(name)-2]-'a')
	}), nil
}

func nymaimTLD(letter byte) string {
	switch {
	case letter < 9:
		return ".com"
	case letter < 13:
		return ".org"
	case letter < 17:
		return ".biz"
	case letter < 21:
		return ".net"
	default:
		return ".info"
	}
}
