package synth

import (
	"fmt"
	"strconv"
)

func init() {
	registerDGA("proslikefan", proslikefan,
		"Proslikefan and its JavaScript relative: 6 to 12 letters from a string hash of word, date and top-level domain. "+
			"The variant fixes the word; no seed.",
		"https://johannesbader.ch/2016/06/proslikefan/",
		"prospect", "javascript")
}

// proslikefan follows Bader's post on Proslikefan (the word is "prospect", ten top-level domains,
// 100 names a day) and "A JavaScript-based DGA" of November 2015 ("OK", three, 30 names).
func proslikefan(p Params) ([]string, error) {
	date := day(2016, 6, 17)
	word, tlds := "prospect", []string{"eu", "biz", "se", "info", "com", "net", "org", "ru", "in", "name"}
	if p.Variant == "javascript" {
		word, tlds, date = "OK", []string{"cc", "co", "eu"}, day(2015, 11, 26)
	}
	p = p.or(0, date, 100)
	year, month, dayOfMonth := p.Date.Date()
	return collect(min(p.Count, 10*len(tlds)), func(i int) string {
		tld := tlds[i%len(tlds)]
		start := fmt.Sprintf("%s.%d.%d.%d.%s", word, month, dayOfMonth, year, tld)
		r := javaHash(start) + int64(i/len(tlds))
		var name []byte
		for int64(len(name)) < r%7+6 {
			r = javaHash(string(name) + strconv.FormatInt(r, 10))
			name = append(name, lower[r%26])
		}
		return string(name) + "." + tld
	}), nil
}

// javaHash is the size of Java's String.hashCode.
func javaHash(s string) int64 {
	var h int32
	for i := range len(s) {
		h = 31*h + int32(s[i])
	}
	return max(int64(h), -int64(h))
}
