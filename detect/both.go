package detect

import (
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/model/dnsname"
)

// both are the entries of Options, which stay, and a List that may be replaced.
type both struct{ own, given *List }

func (b *both) find(name string) (Match, bool) {
	if m, ok := b.own.Find(name); ok {
		return m, true
	}
	return b.given.Find(name)
}

// all is List.All of both.
func (b *both) all(name string) []Match { return append(b.own.All(name), b.given.All(name)...) }

func byAllow(m Match) Decision {
	return Decision{Verdict: Allowed, Rule: AllowList, Class: Allowed.String(), Reason: "on the allow list",
		Entry: m.Entry, List: m.Source}
}

func byBlock(m Match) Decision {
	return Decision{Verdict: Blocked, Action: Block, Rule: BlockList, Class: Blocked.String(),
		Reason: "on the block list", Entry: m.Entry, List: m.Source}
}

// asListed is a name as lists see it, also a text that is no name.
func asListed(name string) string {
	folded, err := dnsname.Fold(name)
	if err != nil {
		return plain(name)
	}
	return folded
}

// Allows reports whether a name is on the allow list.
func (p *Policy) Allows(name []byte) bool {
	if p == nil || p.allow.own.Len()+p.allow.given.Len() == 0 {
		return false
	}
	_, ok := p.allow.find(asListed(lines.View(name)))
	return ok
}

// IsPopular reports whether a name is on the list of popular names.
func (p *Policy) IsPopular(name string) bool { return p != nil && p.popular.Has(asListed(name)) }

// AllowsBelow reports whether the allow list has entries of names below a name. Whoever blocks such a name must not
// answer NXDOMAIN, which would deny everything below it as well (RFC 8020). Try: NODATA.
func (p *Policy) AllowsBelow(name string) bool {
	if p == nil || p.allow.own.Len()+p.allow.given.Len() == 0 {
		return false
	}
	name = asListed(name)
	return p.allow.own.Below(name) || p.allow.given.Below(name)
}
