package synth

func init() {
	registerDGA("kraken", kraken,
		"Kraken (Bobax, Oderoor): 6 to 12 letters. v1 has no calendar, v2 changes weekly. Odd seeds take the published "+
			"set b, the others set a.",
		"https://johannesbader.ch/2015/12/krakens-two-domain-generation-algorithms/",
		"v1", "v2")
}

// kraken follows Bader's "Kraken's two Domain Generation Algorithms". Both versions make two names for
// each counter, one for machines where a marker file exists and one for those where it does not; the
// stream here alternates, without the file first. 2,000 names.
func kraken(p Params) ([]string, error) {
	p = p.or(0, day(2015, 12, 22), 2000)
	name := kraken1
	if p.Variant == "v2" {
		name = kraken2
	}
	return collect(p.Count, func(i int) string { return name(p, int32(i/2), i%2 == 1) }), nil
}

// krakenRand is a misremembered rand(): the increment should end in 45.
func krakenRand(state int32) *lcg { return &lcg{uint32(state), 1103515245, 12435} }

// krakenCrop takes 15 bits off a signed state.
func krakenCrop(state uint32) int32 { return int32(state>>8) & 0x7fff }

// krakenWord draws three numbers for the length and then the letters.
func krakenWord(g *lcg, length func(a, b, c int32) int32) string {
	a, b, c := krakenCrop(g.next()), krakenCrop(g.next()), krakenCrop(g.next())
	return spell(int(length(a, b, c)), lower, func() uint32 { return uint32(krakenCrop(g.next())) })
}

func kraken1(p Params, counter int32, marked bool) string {
	tlds := []string{".dyndns.org", ".yi.org", ".dynserv.com", ".mooo.com"}
	withFile, without := int32(-0x0fcfbf88), int32(0x8924541)
	if p.Seed%2 == 1 {
		withFile, without = -0x1fcfbf87, 0x7924542
	}
	n := counter + 1000015
	state := (n+2)*(n+7)*n/9 + (3*n+1)*n + without
	if marked {
		state = n*(n+7)*(n+12)/9 + n*(n+1) + withFile
	}
	word := krakenWord(krakenRand(state), func(a, b, c int32) int32 { return ((a*b-c)%6+6)%6 + 6 })
	return word + tlds[n%4]
}

func kraken2(p Params, counter int32, marked bool) string {
	tlds := []string{".com", ".net", ".tv", ".cc"}
	seed := int32(24938315)
	if p.Seed%2 == 1 {
		seed = 1600001
	}
	if marked {
		seed--
	}
	state := 3*counter + seed
	// Of nine names six change with the week, two lag it and one never changes.
	weeks := int((p.Date.Unix()-1207000000)/(7*24*3600)) + 2
	switch counter % 9 {
	case 6, 7:
		weeks--
	case 8:
		weeks = 0
	}
	for range weeks {
		state = krakenCrop(krakenRand(state).next())
	}
	word := krakenWord(krakenRand(state), func(a, b, c int32) int32 { return (a*b+c)%6 + 7 })
	return word + tlds[counter%4]
}
