package synth

import (
	"crypto/md5"
	"fmt"
	"time"
)

func init() {
	registerDGA("orchard", orchard,
		"Orchard: the four words of an MD5 of the date, each under four domains, 16 names a day. No seed.",
		"https://blog.netlab.360.com/a-new-botnet-orchard-generates-dga-domains-with-bitcoin-transaction-information/")
}

// orchard follows 360 Netlab's "A new botnet Orchard generates DGA domains with Bitcoin transaction
// information"; of the two lists a day only the one that needs no Bitcoin balance is made.
func orchard(p Params) ([]string, error) {
	p = p.or(0, day(2022, 9, 29), 16)
	word := fmt.Sprintf("%x", md5.Sum([]byte(p.Date.Format(time.DateOnly)+"ojena.duckdns.org")))
	tlds := []string{".com", ".net", ".org", ".duckdns.org"}
	return collect(min(p.Count, 16), func(i int) string { return word[i/4*8:][:8] + tlds[i%4] }), nil
}
