package synth

import (
	"encoding/base64"
	"strings"
)

func init() {
	registerDGA("sisron", sisron,
		"Sisron (TOMB): base64 of the date in lower case, the last ten days under four top-level domains. No seed.",
		"https://www.johannesbader.ch/2016/06/the-dga-of-sisron/")
}

// sisron follows Bader's "The DGA of Sisron"; 40 names a day.
func sisron(p Params) ([]string, error) {
	p = p.or(0, day(2016, 6, 2), 40)
	tlds := []string{".com", ".org", ".net", ".info"}
	return collect(min(p.Count, 40), func(i int) string {
		date := p.Date.AddDate(0, 0, -(i % 10)).Format("02012006")
		word := strings.ToLower(base64.StdEncoding.EncodeToString([]byte(date)))
		return strings.ReplaceAll(word, "=", "a") + tlds[i/10]
	}), nil
}
