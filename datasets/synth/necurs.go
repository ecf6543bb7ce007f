package synth

func init() {
	registerDGA("necurs", necurs,
		"Necurs: 7 to 21 letters under 43 top-level domains, 2,048 names for every four days. The seed is a small "+
			"campaign number.",
		"https://johannesbader.ch/2015/02/the-dgas-of-necurs/")
}

var necursTLDs = []string{
	".tj", ".in", ".jp", ".tw", ".ac", ".cm", ".la", ".mn", ".so", ".sh", ".sc", ".nu", ".nf", ".mu", ".ms",
	".mx", ".ki", ".im", ".cx", ".cc", ".tv", ".bz", ".me", ".eu", ".de", ".ru", ".co", ".su", ".pw", ".kz",
	".sx", ".us", ".ug", ".ir", ".to", ".ga", ".com", ".net", ".org", ".biz", ".xxx", ".pro", ".bit",
}

// necurs follows Bader's "The DGAs of Necurs", the third of them. Default seed: 9.
func necurs(p Params) ([]string, error) {
	p = p.or(9, day(2015, 8, 28), 2048)
	base := necursMix(uint64(p.Date.Year()))
	base = necursMix(base + uint64(p.Date.Month()) + 43690)
	base = necursMix(base + uint64(p.Date.Day()/4))
	return collect(p.Count, func(i int) string {
		n := necursMix(necursMix(base+uint64(i)) + p.Seed)
		name := make([]byte, n%15+7)
		for j := range name {
			n = necursMix(n + uint64(j))
			name[j] = lower[n%25]
			n = necursMix(n + 0xabbedf)
		}
		return string(name) + necursTLDs[n%uint64(len(necursTLDs))]
	}), nil
}

// necursMix scrambles n for as many rounds as its low seven bits say.
func necursMix(n uint64) uint64 {
	for round := range n&0x7f + 21 {
		n += n*7 ^ n<<15 + 8*round - n>>5
	}
	return n
}
