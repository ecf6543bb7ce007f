package synth

func init() {
	registerDGA("dmsniff", dmsniff,
		"DMSniff: a two-letter tag and six letters made of multiples of a counter. The variant is the tag; no seed, no "+
			"calendar.",
		"https://www.flashpoint-intel.com/blog/dmsniff-pos-malware-actively-leveraged-target-medium-sized-businesses/",
		"al", "sn")
}

// dmsniffOrder is where each variant puts the six multiples.
var dmsniffOrder = map[string][6]int{
	"al": {0, 1, 2, 3, 4, 5},
	"sn": {0, 3, 1, 2, 4, 5},
}

// dmsniff was worked out from the published lists of 50 names: name n has the letters number n·1, n·3,
// n·5, n·7, n·11 and n·13, each halved until it is under 25, and a top-level domain for every five of
// the first letter.
func dmsniff(p Params) ([]string, error) {
	p = p.or(0, day(2019, 3, 1), 50)
	tlds := []string{".com", ".org", ".net", ".ru", ".in"}
	order := dmsniffOrder[p.Variant]
	return collect(min(p.Count, 50), func(i int) string {
		var letters [6]int
		for j, factor := range [6]int{1, 3, 5, 7, 11, 13} {
			n := (i + 1) * factor
			for n >= 25 {
				n /= 2
			}
			letters[j] = n
		}
		name := []byte(p.Variant)
		for _, j := range order {
			name = append(name, lower[letters[j]])
		}
		return string(name) + tlds[letters[0]/5]
	}), nil
}
