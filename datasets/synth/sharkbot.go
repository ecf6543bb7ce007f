package synth

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

func init() {
	registerDGA("sharkbot", sharkbot,
		"SharkBot (Android): one name a week for each of seven top-level domains; hex since version 2, base64 of a fixed "+
			"phrase before. No seed.",
		"https://research.checkpoint.com/2022/google-is-on-guard-sharks-shall-not-pass/",
		"2.8", "2.1", "1.63", "0.0")
}

// sharkbot follows Check Point's "Google is on guard: sharks shall not pass!" and Bader's reconstruction.
// Weeks are ISO 8601's; the malware takes them from the phone's locale, which may differ by one.
func sharkbot(p Params) ([]string, error) {
	p = p.or(0, day(2022, 5, 30), 7)
	const phrase = "pojBI9LHGFdfgegjjsJ99hvVGHVOjhksdf"
	_, number := p.Date.ISOWeek()
	week, year := strconv.Itoa(number), strconv.Itoa(p.Date.Year())
	tlds := []string{".xyz", ".live", ".com", ".store", ".info", ".top", ".net"}
	return collect(min(p.Count, len(tlds)), func(i int) string {
		switch p.Variant {
		case "0.0":
			return sharkbotPhrase(week+phrase) + tlds[i]
		case "1.63":
			return sharkbotPhrase(week+year+phrase) + tlds[i]
		case "2.1":
			return sharkbotHash(tlds[i]+week) + tlds[i]
		default:
			return sharkbotHash(tlds[i]+week+year) + tlds[i]
		}
	}), nil
}

func sharkbotPhrase(s string) string {
	return strings.ToLower(base64.StdEncoding.EncodeToString([]byte(s))[:19])
}

func sharkbotHash(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s)))[:16] }
