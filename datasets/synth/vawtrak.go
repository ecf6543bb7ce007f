package synth

func init() {
	registerDGA("vawtrak", vawtrak,
		"Vawtrak (Neverquest), second version: 7 to 11 pronounceable letters under .com. The seed is the build's; no "+
			"calendar.",
		"http://www.threatgeek.com/2016/11/vawtrak-dga-round-2.html")
}

// vawtrak follows Fidelis' "Vawtrak DGA Round 2". Known seeds: 0x5884c3c4 (default) and 0x5542b2; 100
// names.
func vawtrak(p Params) ([]string, error) {
	p = p.or(0x5884c3c4, day(2016, 11, 1), 100)
	const consonants, vowels = "cdfghlmnrstw", "aeiou"
	g := ansiRand(uint32(p.Seed))
	next := func() uint32 {
		g.state = g.next() & 0x7fffffff
		return g.state
	}
	return collect(p.Count, func(int) string {
		name := make([]byte, next()%5+7)
		pending := next() % 2 // consonants still to come before the next vowel
		for i := range name {
			g.state += 2
			r := next()
			if pending > 0 {
				name[i] = consonants[r%uint32(len(consonants))]
				pending--
				continue
			}
			name[i] = vowels[r%uint32(len(vowels))]
			pending = next()%2 + 1
		}
		return string(name) + ".com"
	}), nil
}
