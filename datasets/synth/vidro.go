package synth

func init() {
	registerDGA("vidro", vidro,
		"Vidro: 7 to 12 letters under dyndns.org, .com and .net, 100 words a week. No seed.",
		"https://github.com/360netlab/DGA (vidro)")
}

// vidro follows 360 Netlab's reconstruction. The counter is taken modulo 100, so a stream repeats
// its words after 100 names, though under other top-level domains until 300.
func vidro(p Params) ([]string, error) {
	p = p.or(0, day(2016, 12, 22), 100)
	tlds := []string{".dyndns.org", ".com", ".net"}
	week := uint32((p.Date.Unix() - 0x4befb280) / (7 * 24 * 3600))
	return collect(min(p.Count, 300), func(i int) string {
		g := ansiRand(uint32(i%100) + 123456*(week+1005))
		next := func() uint32 { return g.next() >> 10 }
		return spell(int(next()%6)+7, lower, next) + tlds[i%3]
	}), nil
}
