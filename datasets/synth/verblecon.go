package synth

import (
	"crypto/md5"
	"fmt"
	"time"
)

func init() {
	registerDGA("verblecon", verblecon,
		"Verblecon: the MD5 of date and a word under .tk, one name a day. No seed.",
		"https://symantec-enterprise-blogs.security.com/blogs/threat-intelligence/verblecon-sophisticated-malware-"+
			"cryptocurrency-mining-discord")
}

// verblecon follows Symantec's "Verblecon: Sophisticated New Loader Used in Low-level Attacks". Name i is
// that of day Date+i.
func verblecon(p Params) ([]string, error) {
	p = p.or(0, day(2022, 7, 14), 1)
	return collect(p.Count, func(i int) string {
		return fmt.Sprintf("%x.tk", md5.Sum([]byte(p.Date.AddDate(0, 0, i).Format(time.DateOnly)+"verble")))
	}), nil
}
