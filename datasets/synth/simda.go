package synth

func init() {
	registerDGA("simda", simda,
		"Simda (Shiz): seven letters, consonant and vowel in turn, under .com. The seed is the configured base number; "+
			"no calendar.",
		"https://johannesbader.ch/2015/03/the-dga-of-simda-shiz/")
}

// simda follows Bader's "The DGA of Simda/Shiz". The configured key only adds up to a step width.
func simda(p Params) ([]string, error) {
	p = p.or(0x45ae94b2, day(2015, 3, 1), 1000)
	const key, consonants, vowels = "1676d5775e05c50b46baa5579d4fc7", "qwrtpsdfghjklzxcvbnm", "eyuioa"
	step := uint64(0)
	for _, c := range key {
		step += uint64(c)
	}
	base := uint64(uint32(p.Seed))
	return collect(p.Count, func(int) string {
		base += step
		var name [7]byte
		for i := range name {
			letters := consonants
			if i%2 == 1 {
				letters = vowels
			}
			name[i] = letters[base/uint64(3+2*i)%uint64(len(letters))]
		}
		return string(name[:]) + ".com"
	}), nil
}
