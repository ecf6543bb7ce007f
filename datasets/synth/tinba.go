package synth

func init() {
	registerDGA("tinba", tinba,
		"Tinba (TinyBanker): twelve letters, each word from the one before. Seed n is the n-th known configuration, "+
			"larger ones make up keys; no calendar.",
		"https://johannesbader.ch/2015/04/new-top-level-domains-for-tinbas-dga/")
}

// tinbaConfig is what a build carries: a key of 16 bytes, the first domain and the top-level domains that
// every later word gets.
type tinbaConfig struct {
	key, first string
	tlds       []string
}

var tinbaConfigs = []tinbaConfig{
	{"jc74FlUna852Ji9o", "blackfreeqazyio.cc", []string{".com", ".net", ".in", ".ru"}},
	{"oGkS3w3sGGOGG7oc", "ssrgwnrmgrxe.com", []string{".com"}},
	{"yqokqFC2TPBFfJcG", "watchthisnow.xyz", []string{".pw", ".us", ".xyz", ".club"}},
	{"j193HsnW72Yqns7u", "j193hsne720uie8i.cc", []string{".com", ".net", ".biz", ".org"}},
}

// tinba follows Bader's "New Top Level Domains for Tinba's DGA"; the first domain and 100 words under
// each top-level domain.
func tinba(p Params) ([]string, error) {
	p = p.or(0, day(2015, 4, 1), 401)
	config := tinbaConfigs[p.Seed%uint64(len(tinbaConfigs))]
	if p.Seed >= uint64(len(tinbaConfigs)) {
		config.key = newDice(p.Seed, "tinba").text(16, lowerDigits)
	}
	name, word := config.first, ""
	return collect(p.Count, func(i int) string {
		if i == 0 {
			return name
		}
		tld := (i - 1) % len(config.tlds)
		if tld == 0 {
			word = tinbaWord(config.key, name)
		}
		name = word + config.tlds[tld]
		return name
	}), nil
}

// tinbaWord turns a name into the next word. A letter that does not come out between b and y is tried
// again with a sum one higher, and the sum stays so for the letters that follow.
func tinbaWord(key, name string) string {
	var sum byte
	for _, c := range []byte(key) {
		sum += c
	}
	c := key[len(key)-1]
	word := make([]byte, 12)
	for i := range word {
		for {
			c = (c + name[i]) ^ sum + name[i+1]
			if c > 'a' && c < 'z' {
				break
			}
			sum++
		}
		word[i] = c
	}
	return string(word)
}
