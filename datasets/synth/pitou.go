package synth

import "strings"

func init() {
	registerDGA("pitou", pitou,
		"Pitou: 8 or 9 pronounceable letters from 20 counters, new names every ten days. The seed is the build's magic "+
			"number.",
		"https://johannesbader.ch/2019/07/the-dga-of-pitou/")
}

const (
	pitouVowels     = "aeiou"
	pitouConsonants = "bcdfghjklmnpqrstvwxyz"
)

// pitou follows Bader's "The DGA of Pitou". Known magic numbers: 0xdafe02c (default) and 0xdafe02d. The
// malware reads one byte past its buffer for the last letter of a nine-letter name, so for those the
// stream lists every letter that the byte could give: more names than the malware's 20 a day.
func pitou(p Params) ([]string, error) {
	p = p.or(0xdafe02c, day(2019, 4, 10), 400)
	var names []string
	for counter := 0; counter < 20 && len(names) < p.Count; counter++ {
		names = append(names, pitouNames(p, counter)...)
	}
	return names[:min(p.Count, len(names))], nil
}

// pitouDays counts days from 1970 to the date a month later, as the malware's date arithmetic has it.
func pitouDays(p Params) int {
	year, month, dayOfMonth := p.Date.Date()
	return daysSinceEpoch(day(year, month+1, dayOfMonth))
}

func pitouNames(p Params, counter int) []string {
	magic := int(uint32(p.Seed))
	period := (counter/3 + pitouDays(p)) / 10 * 10
	factor := magic >> counter * (counter - 1) & 0xff
	length := 8 + factor*period&1
	name := pitouSpell(pitouBytes(p.Date.Year()-1900, period, magic, counter), length)
	tlds := []string{".com", ".org", ".biz", ".net", ".info", ".mobi", ".us", ".name", ".me"}
	tld := tlds[int(uint32(counter^period^magic))%len(tlds)]
	if len(name) <= 8 {
		return []string{string(name) + tld}
	}
	stem, end := name[:len(name)-1:len(name)-1], name[len(name)-1]
	last := pitouConsonants
	if strings.IndexByte(pitouVowels, end) >= 0 {
		last = pitouVowels
	}
	var names []string
	for _, letter := range []byte(last) {
		names = append(names, string(append(stem, letter))+tld)
	}
	return names
}

// pitouBytes mixes the halves of the magic's first two bytes with the year and the period. The ninth byte
// stands for the one past the buffer.
func pitouBytes(year, period, magic, counter int) []byte {
	low, high := period&0xff, period>>8&0xff
	b := make([]byte, 0, 9)
	for i := range 8 {
		round := i / 4
		half := magic >> (8*round + 4) & 15
		if i%2 == 1 {
			half = magic >> (8 * round) & 15
		}
		value := [4]int{year >> round, year << round, high<<round ^ low>>round, low<<round ^ high>>round}[i%4]
		b = append(b, byte(half*value&0xff*(counter+1)))
	}
	return append(b, 0xe0)
}

// pitouSpell reads bytes as syllables: with the top bit set consonant, vowel and perhaps a second vowel,
// otherwise vowel and consonant. The word is cut where it is long enough, except between the two letters
// of the latter kind.
func pitouSpell(b []byte, length int) []byte {
	var word []byte
	put := func(letters string) {
		word = append(word, letters[int(b[0])%len(letters)])
		b = b[1:]
	}
	for len(word) < length {
		if b[0]&0x80 == 0 {
			put(pitouVowels)
			put(pitouConsonants)
			continue
		}
		put(pitouConsonants)
		if len(word) < length {
			put(pitouVowels)
		}
		if len(word) < length && b[0]&0x40 != 0 {
			put(pitouVowels)
		}
	}
	return word
}
