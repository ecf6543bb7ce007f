package synth

import (
	"crypto/md5"
	"fmt"
)

func init() {
	registerDGA("monerodownloader", monerodownloader,
		"A downloader of Monero miners: 13 hex digits of an MD5 of the day and a counter, under five top-level domains. "+
			"No seed.",
		"https://github.com/baderj/domain_generation_algorithms (monerodownloader)")
}

// monerodownloader follows Bader's reconstruction: 500 words a day, each under five top-level
// domains; the first word is always the same.
func monerodownloader(p Params) ([]string, error) {
	p = p.or(0, day(2020, 1, 12), 2500)
	tlds := []string{".org", ".tickets", ".blackfriday", ".hosting", ".feedback"}
	days := daysSinceEpoch(p.Date)
	return collect(min(p.Count, 2500), func(i int) string {
		word := "31b4bd31fg1x2"
		if i >= len(tlds) {
			sum := md5.Sum(fmt.Appendf(nil, "jkhhksugrhtijys78g46-%d-%d", days, i/len(tlds)))
			word = fmt.Sprintf("%x", sum)[:len(word)]
		}
		return word + tlds[i%len(tlds)]
	}), nil
}
