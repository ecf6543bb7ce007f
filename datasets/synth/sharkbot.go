package synth

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

func init() {
	Register(Family{
		Name:  "sharkbot",
		Class: ClassDGA,
		Doc: "SharkBot (Android): one name a week for each of seven top-level domains; hex since version 2, base64 " +
			"of a fixed phrase before. No seed.",
		Reference: "https://research.checkpoint.com/2022/google-is-on-guard-sharks-shall-not-pass/",
		Variants:  []string{"2.8", "2.1", "1.63", "0.0"},
		Generate:  sharkbot,
	})
}

// sharkbot follows Check Point's "Google is on guard: sharks shall not pass!" and Bader's reconstruction.
// Weeks are ISO 8601's; the malware takes them from the phone's locale, which may differ by one.
func sharkbot(p Params) ([]string, error) {
	p = p.or(0, day(2022, 5, 30), 7)
	const phrase = "pojBI9LHGFdfgegjjsJ99hvVGHVOjhksdf"
	_, week := p.Date.ISOWeek()
	year := p.Date.Year()
	tlds := []string{".xyz", ".live", ".com", ".store", ".info", ".top", ".net"}
	return collect(min(p.Count, len(tlds)), func(i int) string {
		switch p.Variant {
		case "0.0":
			return sharkbotPhrase(strconv.Itoa(week)+phrase) + tlds[i]
		case "1.63":
			return sharkbotPhrase(strconv.Itoa(week)+strconv.Itoa(year)+phrase) + tlds[i]
		case "2.1":
			return sharkbotHash(fmt.Sprint(tlds[i], week)) + tlds[i]
		default:
			return sharkbotHash(tlds[i]+strconv.Itoa(week)+strconv.Itoa(year)) + tlds[i]
		}
	}), nil
}

func sharkbotPhrase(s string) string {
	return strings.ToLower(base64.StdEncoding.EncodeToString([]byte(s))[:19])
}

func sharkbotHash(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:8])
}
