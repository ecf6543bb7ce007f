package synth

import "strconv"

func init() {
	registerDGA("fosniw", fosniw,
		"Fosniw: a counter from 0 to 100 behind a fixed name, the plainest DGA there is. The variant is the name.",
		"https://github.com/baderj/domain_generation_algorithms (fosniw)",
		"winsoft", "koreasys")
}

// fosniw follows Bader's notes; 101 names, no seed, no calendar.
func fosniw(p Params) ([]string, error) {
	p = p.or(0, day(2018, 1, 1), 101)
	stem := map[string]string{"winsoft": "app2.winsoft", "koreasys": "appx.koreasys"}[p.Variant]
	return collect(min(p.Count, 101), func(i int) string { return stem + strconv.Itoa(i) + ".com" }), nil
}
