package synth

func init() {
	registerDGA("dnschanger", dnschanger,
		"DNSChanger (Alureon): ten letters under .com, five a run. The seed is the tick count at start.",
		"https://johannesbader.ch/2016/01/the-dga-in-alureon-dnschanger/")
}

// dnschanger follows Bader's "The DGA in Alureon/DNSChanger". No calendar.
func dnschanger(p Params) ([]string, error) {
	p = p.or(0x1554d, day(2016, 1, 1), 5)
	g := microsoftRand(uint32(p.Seed))
	return collect(p.Count, func(int) string { return spell(10, lower, g.next15) + ".com" }), nil
}
