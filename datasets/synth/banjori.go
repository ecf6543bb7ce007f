package synth

import "slices"

// banjoriSeeds are the first domains of known campaigns. Only the first four letters ever change, so the
// rest of the name is the campaign's fingerprint.
var banjoriSeeds = []string{
	"earnestnessbiophysicalohax.com",
	"antisemitismgavenuteq.com",
	"sstmerionirkutskagl.com",
}

func init() {
	registerDGA("banjori", banjori,
		"Banjori (MultiBanker 2): rewrites the first four letters of the previous name. Seed n is the n-th known first "+
			"domain.",
		"https://johannesbader.ch/2015/02/the-dga-of-banjori/")
}

// banjori follows Bader's "The DGA of Banjori". Default: the campaign of earnestnessbiophysicalohax.com,
// 1,000 names; the stream returns to its start after 15,372 names. No calendar.
func banjori(p Params) ([]string, error) {
	p = p.or(0, day(2015, 2, 1), 1000)
	domain := []byte(banjoriSeeds[p.Seed%uint64(len(banjoriSeeds))])
	letter := func(sum int) byte { return 'a' + byte((sum+26*26-'a')%26) }
	return collect(p.Count, func(int) string {
		name := string(domain)
		old := slices.Clone(domain[:4])
		domain[0] = letter(int(old[0]) + int(old[3]))
		domain[1] = letter(int(domain[0]) + 2*int(old[1]))
		domain[2] = letter(int(domain[0]) + int(old[2]) - 1)
		domain[3] = letter(int(domain[1]) + int(domain[2]) + int(old[3]))
		return name
	}), nil
}
