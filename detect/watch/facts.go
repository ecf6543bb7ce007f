package watch

import (
	"bytes"

	"github.com/zeebo/xxh3"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/model/dnsname"
)

// facts are what a Watch finds out about a name. They depend on the name alone, so those of names that come again and
// again are remembered.
type facts struct {
	hash    uint64
	length  int
	zone    int    // where its zone begins
	domain  uint64 // hash of the zone
	value   uint32 // that of pack
	cloud   bool   // nobody can have a server below the zone
	zoned   bool   // it ends in a known top-level domain
	evident bool   // it is evidence about its zone
	long    bool   // something stands before its zone that could carry data

	// cuts are hashes of what stands before and behind a dot, for suffixes.
	cuts [mostCuts]struct{ before, behind uint64 }
	n    int
}

// Bounds of what is remembered: names, and dots of each. mostFacts takes 5 MB.
const (
	mostFacts = 1 << 15
	mostCuts  = 6
)

// facts are those of w.name, about which d was decided. They are valid until the next call.
func (w *Watch) facts(d *detect.Decision) *facts {
	if w.known == nil {
		w.known = make([]facts, mostFacts)
	}
	hash := xxh3.HashSeed(w.name, w.o.Seed)
	n := &w.known[hash%mostFacts]
	if n.hash == hash && n.length == len(w.name) {
		return n
	}
	domain, cloud := detect.Zone(lines.View(w.name))
	sub := len(w.name) - len(domain)
	*n = facts{hash: hash, length: len(w.name), zone: sub, zoned: dnsname.Zoned(lines.View(w.name)),
		domain: xxh3.HashStringSeed(domain, w.o.Seed), cloud: cloud}
	n.long = sub >= shortestSub
	n.evident = !n.zoned || n.long && !usual[domain]
	if !n.zoned {
		sub = len(w.name)
	}
	if n.evident {
		n.value = pack(w.name, sub, d, w.o.Tables.Pairs)
	}
	for at, rest := 0, w.name; n.n < mostCuts; n.n++ {
		dot := bytes.IndexByte(rest, '.')
		if dot < 0 || bytes.IndexByte(rest[dot+1:], '.') < 0 {
			break // a suffix has two labels
		}
		at, rest = at+dot+1, rest[dot+1:]
		n.cuts[n.n].before = xxh3.HashSeed(w.name[:at-1], w.o.Seed)
		n.cuts[n.n].behind = xxh3.HashSeed(rest, w.o.Seed)
	}
	return n
}
