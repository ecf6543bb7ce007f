package synth

func init() {
	registerDGA("tempedreve", tempedreve,
		"Tempedreve: one name of 7 to 11 letters a day, from the date back into the past. No seed.",
		"https://www.anubisnetworks.com/tempedreve-botnet-report")
}

// tempedreve follows Anubis Networks' report and Bader's notes on the version with a calendar. Name i is
// that of day Date-i.
func tempedreve(p Params) ([]string, error) {
	p = p.or(0, day(2020, 1, 1), 1746)
	tlds := []string{".com", ".net", ".org", ".info"}
	return collect(p.Count, func(i int) string {
		seed := 1664525*uint32(daysSinceEpoch(p.Date)-i) + 1013904223
		letters := []byte(lower)
		g := tempedreveRand(seed)
		for j := range letters {
			other := g.state % uint32(len(letters))
			letters[j], letters[other] = letters[other], letters[j]
			g.next()
		}
		g.state = seed
		name := make([]byte, seed%5+7)
		for j := range name {
			name[j] = letters[g.state%uint32(len(letters))]
			g.next()
		}
		return string(name) + tlds[seed&3]
	}), nil
}
