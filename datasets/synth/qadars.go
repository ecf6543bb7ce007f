package synth

func init() {
	registerDGA("qadars", qadars,
		"Qadars: twelve letters and digits, 200 names a week. The seed is the build's.",
		"https://www.johannesbader.ch/2016/04/the-dga-of-qadars/")
}

// qadars follows Bader's "The DGA of Qadars". Known seeds: 0x89f5 (default), 0x4449, 0xe1f1, 0xe1f2 and
// 0xe1f5 with .com, .org and .net; 0xe08a with .net, .org and .top. Weeks turn on Mondays.
func qadars(p Params) ([]string, error) {
	p = p.or(0x89f5, day(2016, 4, 1), 200)
	const week, monday = 7 * 24 * 3600, 4 * 24 * 3600
	tlds := []string{".com", ".org", ".net"}
	if p.Seed == 0xe08a {
		tlds = []string{".net", ".org", ".top"}
	}
	now := p.Date.Unix()
	state := uint32(now - (now-monday)%week)
	next := func() uint32 {
		state = (uint32(p.Seed) - 1043968403*state) & 0x7fffffff
		return state
	}
	return collect(p.Count, func(int) string { return spell(12, lowerDigits, next) + tlds[next()%3] }), nil
}
