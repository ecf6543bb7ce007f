package synth

import "strings"

func init() {
	registerDGA("shiotob", shiotob,
		"Shiotob (URLZone, Bebloh): each name comes out of the one before, .net and .com in turn. A seed makes up the "+
			"first name; no calendar.",
		"https://johannesbader.ch/2015/01/the-dga-of-shiotob/")
}

// The last three characters cannot be reached.
const shiotobAlphabet = "qwertyuiopasdfghjklzxcvbnm123945678"

// shiotob follows Bader's "The DGA of Shiotob". The first name sits in the configuration that the command
// server sends; default is the one of the published list, 2,001 names.
func shiotob(p Params) ([]string, error) {
	p = p.or(0, day(2015, 1, 1), 2001)
	name := "wtipubctwiekhir.net"
	if p.Seed != 0 {
		name = newDice(p.Seed, "shiotob").text(15, shiotobAlphabet[:32]) + ".net"
	}
	return collect(p.Count, func(int) string {
		current := name
		name = shiotobNext(name)
		return current
	}), nil
}

func shiotobNext(name string) string {
	const size = 65
	length := len(name) - 4
	var state [size]byte
	copy(state[:], name)
	var sum byte
	for _, c := range []byte(name[:length+1]) {
		sum += c
	}
	// Every pass starts one place further on, so early characters reach all later ones.
	for i := range size {
		for j := 0; i+j < size; j++ {
			state[i+j] ^= byte(length)*state[j] ^ sum
		}
	}
	if wanted := int((state[2]*byte(length) ^ state[0]) / 16); wanted >= 10 {
		length = wanted
	}
	word := make([]byte, length)
	for i := range word {
		word[i] = shiotobAlphabet[state[i]/8]
	}
	if strings.HasSuffix(name, ".net") {
		return string(word) + ".com"
	}
	return string(word) + ".net"
}
