package synth

func init() {
	registerDGA("symmi", symmi,
		"Symmi (MewsSpy): 8 to 15 letters under ddns.net, vowels and consonants mostly in turn, new twice a month. The "+
			"seed is the build's.",
		"https://johannesbader.ch/2015/01/the-dga-of-symmi/")
}

// symmi follows Bader's "The DGA of Symmi"; 64 names for each half of a month. Default seed: 42.
func symmi(p Params) ([]string, error) {
	p = p.or(42, day(2015, 8, 16), 64)
	// y and z are in the malware's lists but out of its reach.
	letters := [2]string{"aeiou", "bcdfghklmnpqrstvwx"}
	year, month, dayOfMonth := p.Date.Date()
	g := microsoftRand(uint32(10000*(dayOfMonth/16*100+int(month))+year) + uint32(p.Seed))
	return collect(p.Count, func(int) string {
		name := make([]byte, 8+g.next15()%8)
		var first uint32
		for i := range name {
			if i%2 == 0 { // each pair decides which kind goes first
				first = g.next15() >> 8 & 1
			}
			kind := letters[(first+uint32(i))%2]
			name[i] = kind[g.next15()%uint32(len(kind))]
		}
		return string(name) + ".ddns.net"
	}), nil
}
