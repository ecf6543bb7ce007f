package synth

import "strings"

func init() {
	registerDGA("ngioweb", ngioweb,
		"Ngioweb: pronounceable words of a prefix, syllables and a suffix, up to three joined by hyphens. The seed is "+
			"the build's; no calendar.",
		"https://blog.netlab.360.com/an-analysis-of-linux-ngioweb-botnet-en/")
}

var (
	ngiowebPrefixes = strings.Fields("un under re in im il ir en em over mis dis pre post anti inter sub ultra " +
		"non de pro trans ex macro micro mini mono multi semi co")
	// The malware's suffix lists hold a slip ("etn") and repeats.
	ngiowebAfterConsonant = strings.Fields("able ant ate age ance ancy an ary al en ency er etn ed ese ern ize ify " +
		"ing ish ity ion ian ism ist ic ical ible ive ite ish ian or ous ure")
	ngiowebAfterVowel = strings.Fields("dom hood less like ly fy ful ness ment sion ssion ship ty th tion ward")
	ngiowebTLDs       = strings.Fields(".net .info .com .biz .org .name")
)

// ngioweb follows 360 Netlab's analysis of the Linux botnet. Known seeds: 0x56edc15 (default), 0x5397fb1,
// 0x1275c63, 0x4bc65bc, 0x375d5a; 1,024 names.
func ngioweb(p Params) ([]string, error) {
	p = p.or(0x56edc15, day(2019, 6, 1), 1024)
	g := ansiRand(uint32(p.Seed))
	below := func(n int) int { return int(g.next() % uint32(n)) }
	pick := func(words []string) string { return words[below(len(words))] }
	return collect(p.Count, func(int) string {
		words := make([]string, below(3)+1)
		for i := range words {
			words[i] = ngiowebWord(below, pick)
		}
		return strings.Join(words, "-") + pick(ngiowebTLDs)
	}), nil
}

// ngiowebWord alternates vowels and consonants between a prefix and a suffix that fit.
func ngiowebWord(below func(int) int, pick func([]string) string) string {
	const vowels, consonants = "aeiou", "bcdfghklmnprstvxz"
	word := []byte(pick(ngiowebPrefixes))
	endsInVowel := func() bool { return strings.IndexByte(vowels, word[len(word)-1]) >= 0 }
	vowelNext := !endsInVowel()
	for range below(3) + 4 {
		letters := consonants
		if vowelNext {
			letters = vowels
		}
		word = append(word, letters[below(len(letters))])
		vowelNext = !vowelNext
	}
	if endsInVowel() {
		return string(word) + pick(ngiowebAfterVowel)
	}
	return string(word) + pick(ngiowebAfterConsonant)
}
