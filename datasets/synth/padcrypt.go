package synth

import (
	"crypto/sha256"
	"fmt"
)

func init() {
	registerDGA("padcrypt", padcrypt,
		"PadCrypt: 16 letters spelling hex digits of a SHA-256 of the date, 24 names a day. No seed.",
		"https://johannesbader.ch/2016/03/the-dga-of-padcrypt/")
}

// padcrypt follows Bader's "The DGA of PadCrypt", version 2.2.86.1.
func padcrypt(p Params) ([]string, error) {
	p = p.or(0, day(2016, 3, 6), 24)
	tlds := []string{"com", "co.uk", "de", "org", "net", "eu", "info", "online", "co", "cc", "website"}
	year, month, dayOfMonth := p.Date.Date()
	return collect(min(p.Count, 24), func(i int) string {
		sum := sha256.Sum256(fmt.Appendf(nil, "%d-%d-%d:%d", dayOfMonth, int(month), year, i))
		name := fmt.Appendf(nil, "%x", sum)[3:19]
		for j, c := range name {
			if c <= '9' {
				name[j] = "abcdnfolmk"[c-'0']
			}
		}
		tld := int(sum[31] & 15)
		if tld >= len(tlds) {
			tld = 0
		}
		return string(name) + "." + tlds[tld]
	}), nil
}
