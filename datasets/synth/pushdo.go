package synth

import (
	"crypto/md5"
	"encoding/binary"
)

func init() {
	registerDGA("pushdo", pushdo,
		"Pushdo (Cutwail): 9 to 12 letters in syllables under .kz, 30 names a day for 45 days around the date. No seed.",
		"https://github.com/baderj/domain_generation_algorithms (pushdo)")
}

// pushdo follows Bader's reconstruction: today's names first, then those of the past 30
// days, then those of the coming 14.
func pushdo(p Params) ([]string, error) {
	p = p.or(0, day(2019, 12, 6), 1350)
	days := pushdoDays(p)
	state := uint32(0)
	return collect(min(p.Count, 1350), func(i int) string {
		if offset := i / 30; i%30 == 0 && offset <= 30 {
			state = uint32(days - offset)
		} else if i%30 == 0 {
			state = uint32(days + offset - 30)
		}
		hash := md5.Sum(binary.LittleEndian.AppendUint32(nil, state))
		word := binary.LittleEndian.Uint32(hash[:])
		state = word + 1
		return pushdoSpell(hash, int(word&3)+9) + ".kz"
	}), nil
}

// pushdoDays counts days from year 0 in the malware's own calendar: a table of months that is indexed
// one month late, and leap years that come first in each four.
func pushdoDays(p Params) int {
	year, month, dayOfMonth := p.Date.Date()
	lengths := [12]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
	if year%4 == 0 {
		lengths[1] = 29
	}
	days := dayOfMonth + 365*year + year/4
	for _, length := range lengths[1:month] {
		days += length
	}
	return days
}

// pushdoSpell appends a syllable a byte until the word is long enough.
func pushdoSpell(hash [md5.Size]byte, length int) string {
	const starts, vowels, rounds, ends = "bcdfghjklmnpqrstvwx", "aeiou", "aio", "zxtsrqpnmlkgfdc"
	var word []byte
	for _, b := range hash {
		r := int(b)
		vowel := vowels[(r+1)&0xff%5]
		word = append(word, starts[r%19], vowel)
		switch {
		case vowel == 'e' && (r+2)&7 != 0:
			word = append(word, rounds[(r+2)%3])
		case (r+2)&1 != 0:
			word = append(word, ends[(r+3)%15])
		}
		if len(word) >= length {
			break
		}
	}
	return string(word[:length])
}
