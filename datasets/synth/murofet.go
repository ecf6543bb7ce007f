package synth

import (
	"crypto/md5"
	"encoding/binary"
)

func init() {
	registerDGA("murofet", murofet,
		"Murofet (LICAT), the DGA of Zeus: MD5 of a date and a counter. v1 and v3 change weekly, v2 daily with the seed "+
			"as its key.",
		"https://johannesbader.ch/2015/09/three-variants-of-murofets-dga/",
		"v1", "v2", "v3")
	registerDGA("tufik", tufik,
		"Tufik: murofet's second variant with a key of its own, new names every day. The seed is the key.",
		"https://github.com/baderj/domain_generation_algorithms (tufik)")
}

// murofet follows Bader's "Three Variants of Murofet's DGA". Known keys of v2: 0xd6d7a4be, 0xdeadc2de and
// none. 1,000 names a week (v1, v3), 1,020 a day (v2).
func murofet(p Params) ([]string, error) {
	if p.Variant == "v2" {
		p = p.or(0, day(2015, 9, 3), 1020)
		return collect(p.Count, func(i int) string { return murofetDaily(p, i) }), nil
	}
	p = p.or(0, day(2015, 9, 1), 1000)
	spelled := murofetFifths
	if p.Variant == "v3" {
		spelled = murofetPairs
	}
	return collect(p.Count, func(i int) string { return spelled(murofetWeekly(p, i)) + murofetTLD(i, 6) }), nil
}

// tufik follows Bader's reconstruction; 1,020 names a day.
func tufik(p Params) ([]string, error) {
	p = p.or(0x997722ed, day(2022, 5, 9), 1020)
	return collect(p.Count, func(i int) string { return murofetDaily(p, i) }), nil
}

// murofetTLD gives .com to every index, .net to the even ones among them, and so on: the rarest divisor
// wins. Only the weekly variants know .ru, as the sixth.
func murofetTLD(index, domains int) string {
	tlds := []string{".com", ".net", ".org", ".info", ".biz", ".ru"}
	for divisor := domains; ; divisor-- {
		if index%divisor == 0 {
			return tlds[divisor-1]
		}
	}
}

// murofetWeekly hashes the date, its day rounded down to a multiple of seven, and a counter.
func murofetWeekly(p Params, index int) [md5.Size]byte {
	year, month, dayOfMonth := p.Date.Date()
	block := []byte{byte(year + 48), byte(month), byte(dayOfMonth / 7 * 7)}
	return md5.Sum(binary.LittleEndian.AppendUint32(block, uint32(index)))
}

// murofetDaily hashes the date and an even counter under a key, so names come in pairs.
func murofetDaily(p Params, index int) string {
	year, month, dayOfMonth := p.Date.Date()
	block := []byte{byte(year + 48), byte(month), byte(dayOfMonth), 0}
	block = binary.LittleEndian.AppendUint32(block, uint32(index&^1))
	key := binary.LittleEndian.AppendUint32(nil, uint32(p.Seed))
	for i := range block {
		block[i] ^= key[i%4]
	}
	var name []byte
	for _, b := range md5.Sum(block) {
		if sum := b>>4 + b&15; sum < 26 {
			name = append(name, lower[sum])
		}
	}
	return string(name) + murofetTLD(index, 5)
}

// murofetFifths makes up to two letters of a byte: of its low and of its high five bits, unless they are
// alike.
func murofetFifths(hash [md5.Size]byte) string {
	var name []byte
	for _, b := range hash {
		low, high := b&31, b>>3
		if low == high {
			continue
		}
		for _, five := range [2]byte{low, high} {
			if five < 26 {
				name = append(name, lower[five])
			}
		}
	}
	return string(name)
}

// murofetPairs makes a letter of a byte's low half and a letter or two digits of its high half.
func murofetPairs(hash [md5.Size]byte) string {
	var name []byte
	for _, b := range hash {
		low, high := b&15, b>>4
		name = append(name, lower[low])
		if high < 10 {
			name = append(name, lower[16+high])
		} else {
			name = append(name, '1'+high-10, '0'+('a'+low)%10)
		}
	}
	return string(name)
}
