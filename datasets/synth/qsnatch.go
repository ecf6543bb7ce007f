package synth

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

func init() {
	registerDGA("qsnatch", qsnatch,
		"QSnatch: 3 to 10 characters of a SHA-1 of a time interval, under some 145 top-level domains (a) or 30 (b). No seed.",
		"https://johannesbader.ch/blog/the-dga-of-qsnatch/",
		"a", "b")
}

// The lists are in the order of the malware, slips included: "hk.org", "uy.com" and a ".com.bn" whose
// stray dot yields names with an empty label.
var (
	qsnatchTLDs = strings.Fields(`
		cf tk com ml de rocks mx biz net cn ga gq org top nl men ws se info xyz today ru ec co ee rs com.sv
		com.cy co.zw kg com.ge tl name tw lv bs li ng ae bt tv pe uz me gy am kr by fr com.uy com.lb com.br
		vu hk in re ch af com.ps ug dz pro co.th sg cd so mo co.id co.il com.do ke cx ro id pm hm vg az
		com.eg bz su com.ar gg com.lr pa com.ve al fm to mu co.ck pk co.rs cw nr gd gl ac lk md fi sx lc es
		cc cm la co.za je cz jp ai pw bg nu ag bm eu com.my sc ax wf ly qa vn aq mobi com.tr com.ua com.py
		hk.org south.am com.kh co.zm ru.net com.km tt kn co.ls co.fk uy.com com.gu .com.bn com.pf com.fj`)
	qsnatchTLDsB = strings.Fields("cf tk ml ga gq com biz org de rocks mx cn top nl men ws se info xyz net " +
		"today ru fi name to in com.ua vg vn cd")
)

// qsnatch follows Bader's "The DGA of QSnatch". The date's time of day counts: version a hashes six
// intervals, from 15 days down to one hour.
func qsnatch(p Params) ([]string, error) {
	p = p.or(0, day(2019, 11, 11).Add(23*time.Hour), 2610)
	var names []string
	if p.Variant == "b" {
		for _, tld := range qsnatchTLDsB {
			word := qsnatchWord(p, 15*24, tld)
			for length := 6; length <= 10; length++ {
				names = append(names, word[:length]+"."+tld)
			}
		}
		return names[:min(p.Count, len(names))], nil
	}
	longer := []string{"com", "net", "org"} // crowded zones get one character more
	for _, hours := range []int{15 * 24, 5 * 24, 24, 8, 2, 1} {
		for _, length := range []int{5, 3, 4} {
			for _, tld := range qsnatchTLDs {
				if len(names) == p.Count {
					return names, nil
				}
				n := length
				if slices.Contains(longer, tld) {
					n++
				}
				names = append(names, qsnatchWord(p, hours, tld)[:n]+"."+tld)
			}
		}
	}
	return names, nil
}

var qsnatchLetters = strings.NewReplacer("-", "a", "+", "b", "/", "c")

// qsnatchWord numbers the intervals since 1970 and hashes the number with a fixed word and the domain.
func qsnatchWord(p Params, hours int, tld string) string {
	sum := sha1.Sum(fmt.Appendf(nil, "%dIbjGOEgnuD%s\n", p.Date.Unix()/int64(hours*3600), tld))
	return qsnatchLetters.Replace(strings.ToLower(base64.RawStdEncoding.EncodeToString(sum[:])))
}
