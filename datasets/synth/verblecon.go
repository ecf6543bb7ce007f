package synth

import (
	"crypto/md5"
	"encoding/hex"
)

func init() {
	Register(Family{
		Name:  "verblecon",
		Class: ClassDGA,
		Doc:   "Verblecon: the MD5 of date and a word under .tk, one name a day. No seed.",
		Reference: "https://symantec-enterprise-blogs.security.com/blogs/threat-intelligence/verblecon-sophisticated-" +
			"malware-cryptocurrency-mining-discord",
		Generate: verblecon,
	})
}

// verblecon follows Symantec's "Verblecon: Sophisticated New Loader Used in Low-level Attacks". Name i is
// that of day Date+i.
func verblecon(p Params) ([]string, error) {
	p = p.or(0, day(2022, 7, 14), 1)
	return collect(p.Count, func(i int) string {
		sum := md5.Sum([]byte(p.Date.AddDate(0, 0, i).Format("2006-01-02") + "verble"))
		return hex.EncodeToString(sum[:]) + ".tk"
	}), nil
}
