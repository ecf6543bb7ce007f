package synth

func init() {
	registerDGA("pykspa", pykspa,
		"Pykspa: 6 to 15 letters. improved takes the seed that a period of 20 days has, precursor the date in steps of "+
			"two days.",
		"https://johannesbader.ch/2015/03/the-dga-of-pykspa/",
		"improved", "precursor")
}

// pykspa follows Bader's "The DGA of Pykspa" and "Pykspa's inferior DGA version". The seeds of improved
// come out of a hash of the date that is not repeated here, so that variant has no calendar. Default:
// 200 names of improved, 5,000 of precursor.
func pykspa(p Params) ([]string, error) {
	if p.Variant == "precursor" {
		return pykspaPrecursor(p.or(0, day(2015, 8, 31), 5000)), nil
	}
	return pykspaImproved(p.or(0xb8b2c9e1, day(2015, 8, 15), 200)), nil
}

func pykspaImproved(p Params) []string {
	tlds := []string{".com", ".net", ".org", ".info"}
	seed := uint64(uint32(p.Seed))
	return collect(p.Count, func(i int) string {
		seed += seed%uint64(i+1) + 1
		length := (seed+uint64(i))%7 + 6
		return pykspaSpell(length, seed, func(r, step uint64) uint64 {
			return r + (uint64(uint32(7837632*r*length))+82344)%(541*length+4)
		}, 2) + tlds[seed&3]
	})
}

func pykspaPrecursor(p Params) []string {
	tlds := []string{".biz", ".com", ".net", ".org", ".info", ".cc"}
	r := uint32(p.Date.Unix() / (2 * 24 * 3600))
	return collect(p.Count, func(i int) string {
		r = r*r + uint32(i)
		return pykspaSpell(uint64(r%10)+6, uint64(r), func(r, step uint64) uint64 {
			return uint64(uint32(r+step)) >> (step * step & 31)
		}, 19) + tlds[r%6]
	})
}

// pykspaSpell is what the two versions share: each letter is a product of the state with three of its
// remainders. They differ in how the state moves on, and in the modulus of one remainder.
func pykspaSpell(length, r uint64, advance func(r, step uint64) uint64, modulus uint64) string {
	name := make([]byte, length)
	for i := range length {
		sum := r%5 + r%123456 + i*(r%modulus+r%4567)
		name[i] = lower[(length*(length+i)+uint64(uint32(r*sum)))%26]
		r = advance(r, i)
	}
	return string(name)
}
