package synth

import (
	"fmt"
	"hash/crc32"
	"strings"
)

func init() {
	registerDGA("qakbot", qakbot,
		"Qakbot (Qbot): 8 to 25 letters, 5,000 names for every ten days. Known seeds are 0 and 1.",
		"https://johannesbader.ch/2016/02/the-dga-of-qakbot/")
}

// qakbot follows Bader's "The DGA of Qakbot": a Mersenne twister seeded with the CRC-32 of a date.
func qakbot(p Params) ([]string, error) {
	p = p.or(0, day(2016, 2, 21), 5000)
	tlds := []string{".com", ".net", ".org", ".info", ".biz", ".org"}
	third := min((p.Date.Day()-1)/10, 2)
	date := fmt.Sprintf("%d.%s.%08x", third, strings.ToLower(p.Date.Format("Jan.2006")), uint32(p.Seed))
	m := newMersenne(crc32.ChecksumIEEE([]byte(date)))
	// The original scales 28 bits through a floating-point number, which is exact here.
	below := func(n uint64) uint32 { return uint32(uint64(m.next()&0xfffffff) * n >> 28) }
	return collect(p.Count, func(int) string {
		tld := tlds[below(uint64(len(tlds)))]
		length := 8 + int(below(18))
		return spell(length, lower, func() uint32 { return below(26) }) + tld
	}), nil
}
