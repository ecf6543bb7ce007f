package synth

import (
	"encoding/base64"
	"slices"
)

func init() {
	registerDGA("darkcracks", darkcracks,
		"DarkCracks: one name a day from year and day of month, so a year repeats after a month. No seed.",
		"https://github.com/baderj/domain_generation_algorithms (darkcracks)")
}

// darkcracks follows Bader's reconstruction: base64 of "YYYYdd" with swapped case, exclusive-or
// with the key, base64 again and reversed. Name i is that of day Date+i; the month does not enter.
func darkcracks(p Params) ([]string, error) {
	p = p.or(0, day(2024, 4, 3), 100)
	const key = "Crackalackin'"
	return collect(p.Count, func(i int) string {
		text := []byte(base64.URLEncoding.EncodeToString([]byte(p.Date.AddDate(0, 0, i).Format("200602"))))
		for i, c := range text {
			if c|0x20 >= 'a' && c|0x20 <= 'z' {
				c ^= upperToLower
			}
			text[i] = c ^ key[i%len(key)]
		}
		name := []byte(base64.RawURLEncoding.EncodeToString(text))
		slices.Reverse(name)
		return string(name) + ".com"
	}), nil
}
