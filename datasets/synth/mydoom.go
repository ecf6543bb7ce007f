package synth

func init() {
	registerDGA("mydoom", mydoom,
		"Mydoom: ten letters of asnhreqwpm spelling a number in base ten, new names every day. The seed is the magic number.",
		"https://github.com/baderj/domain_generation_algorithms (mydoom)")
}

// mydoom follows Bader's reconstruction; 99 names a day. From the 51st name on the stream starts
// anew from the magic number alone, so those never change. Only the sum of year, month and day counts.
func mydoom(p Params) ([]string, error) {
	p = p.or(0xfa8, day(2008, 4, 29), 99)
	tlds := []string{".com", ".biz", ".us", ".net", ".org", ".ws", ".info", ".in", ".in", ".in"}
	year, month, dayOfMonth := p.Date.Date()
	g := numericalRand(uint32(year) + uint32(month) + uint32(dayOfMonth) + uint32(p.Seed))
	return collect(p.Count, func(i int) string {
		if i == 50 {
			g = numericalRand(uint32(p.Seed))
		}
		number := g.next()
		tld := tlds[number%10]
		return spell(10, "asnhreqwpm", func() uint32 {
			digit := number % 10
			number /= 10
			return digit
		}) + tld
	}), nil
}
