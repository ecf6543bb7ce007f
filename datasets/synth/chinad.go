package synth

import "crypto/sha1"

func init() {
	registerDGA("chinad", chinad,
		"Chinad: SHA-1 of the date and a one-byte counter, 256 names a day.",
		"https://github.com/360netlab/DGA/issues/1")
}

// chinad follows the analysis in 360 Netlab's issue. The malware asks for 1,000 names a day, of which
// 256 differ because the counter is a byte. No seed.
func chinad(p Params) ([]string, error) {
	p = p.or(0, day(2017, 1, 13), 256)
	tlds := []string{".com", ".org", ".net", ".biz", ".info", ".ru", ".cn"}
	return collect(min(p.Count, 256), func(i int) string {
		var block [16]byte
		block[0], block[1], block[2], block[3] =
			byte(p.Date.Year()%100), byte(p.Date.Month()), byte(p.Date.Day()), byte(i)
		// Each 32-bit word of the digest is read from its last byte to its first.
		hash := sha1.Sum(block[:])
		at := func(i int) int { return int(hash[i^3]) }
		name := make([]byte, 16, 24)
		for i := range name {
			name[i] = lowerDigits[at(i)%len(lowerDigits)]
		}
		return string(name) + tlds[at(16)%len(tlds)]
	}), nil
}
