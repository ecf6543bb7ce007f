package degas

import (
	"net/netip"
	"path"
	"strings"

	"github.com/miekg/dns"

	"github.com/degas-dns/degas/detect"
)

// deed is what is done with a query.
type deed uint8

// Deeds. The zero value is the safe one.
const (
	pass     deed = iota
	report        // passed on; the log says what would have been done
	nxdomain      // no such name
	nodata        // the name exists, but nothing of the type
	refused
	sinkhole // another address
	drop     // no answer at all
)

var deedNames = map[string]deed{"log": report, "nxdomain": nxdomain, "nodata": nodata, "refused": refused,
	"sinkhole": sinkhole, "drop": drop}

// String is the deed's word in a Corefile.
func (d deed) String() string {
	for s, known := range deedNames {
		if d == known {
			return s
		}
	}
	return "pass"
}

// action is a deed with what it takes.
type action struct {
	does   deed
	v4, v6 netip.Addr // of sinkhole; the zero value gives no address
}

// kind is why a query is blocked.
type kind uint8

const (
	dga kind = iota
	tunnel
	list
	kinds
)

var kindNames = [kinds]string{"dga", "tunnel", "list"}

// kindOf is the kind of a decision against a name.
func kindOf(d *detect.Decision) kind {
	switch {
	case d.Verdict == detect.Blocked:
		return list
	case d.Class == kindNames[tunnel]:
		return tunnel
	}
	return dga
}

// action is what is done about a decision.
func (s *settings) action(d *detect.Decision) (action, kind) {
	k := kindOf(d)
	if d.Verdict != detect.Blocked && d.Verdict != detect.Malicious {
		return action{}, k
	}
	a := s.actions[k]
	if s.monitor {
		a.does = report
	}
	return a, k
}

// mname is the name server in the SOA of an answer that degas made: it tells such an answer apart where EDNS does not.
const mname = "blocked.degas.invalid."

// answer makes the answer to r. It has no OPT unless r has one (RFC 6891, 7), and then an extended error (RFC 8914).
func (d *Degas) answer(r *dns.Msg, a action, k kind, decision *detect.Decision) *dns.Msg {
	q := r.Question[0]
	m := new(dns.Msg)
	m.SetReply(r)
	m.RecursionAvailable = true
	ttl := d.ttl
	if ttl == 0 {
		ttl = 30
		if k == list {
			ttl = 60
		}
	}
	does := a.does
	// NXDOMAIN says that nothing exists below the name either (RFC 8020), but an allowed name may.
	if does == nxdomain && d.allowsBelow(q.Name) {
		does = nodata
	}
	reason := d.reason(decision)
	header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: ttl}
	switch {
	case does == refused:
		m.Rcode = dns.RcodeRefused
	case d.explain && q.Qtype == dns.TypeTXT:
		m.Answer = []dns.RR{&dns.TXT{Hdr: header, Txt: []string{reason}}}
	case does == sinkhole && q.Qtype == dns.TypeA && a.v4.IsValid():
		m.Answer = []dns.RR{&dns.A{Hdr: header, A: a.v4.AsSlice()}}
	case does == sinkhole && q.Qtype == dns.TypeAAAA && a.v6.IsValid():
		m.Answer = []dns.RR{&dns.AAAA{Hdr: header, AAAA: a.v6.AsSlice()}}
	default:
		if does == nxdomain {
			m.Rcode = dns.RcodeNameError
		}
		header.Rrtype = dns.TypeSOA
		m.Ns = []dns.RR{&dns.SOA{Hdr: header, Ns: mname, Mbox: "hostmaster." + mname, Serial: 1, Refresh: 3600,
			Retry: 600, Expire: 86400, Minttl: ttl}}
	}
	if o := r.IsEdns0(); o != nil {
		code := dns.ExtendedErrorCodeBlocked
		if d.filtered {
			code = dns.ExtendedErrorCodeFiltered
		}
		m.SetEdns0(o.UDPSize(), o.Do())
		opt := m.IsEdns0()
		opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: code, ExtraText: reason})
	}
	return m
}

// baseOf is the last part of a list's path or URL, without what a URL may carry besides.
func baseOf(source string) string {
	source, _, _ = strings.Cut(source, "?")
	base := path.Base(strings.ReplaceAll(source, `\`, "/"))
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, base[:min(len(base), 60)])
}
