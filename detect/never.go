package detect

import (
	"strings"

	"github.com/degas-dns/degas/model/dnsname"
)

// neverScored says why no model is asked about a folded name, "" if one is: see anybodys for an exception. Such names
// are machines' talk inside a network, or look-ups that hold an address; a model that learned from the names of the
// internet knows nothing of them.
func neverScored(s string) string {
	dot := strings.LastIndexByte(s, '.')
	switch s[dot+1:] {
	case "arpa":
		if s == "home.arpa" || strings.HasSuffix(s, ".home.arpa") {
			return reasonLocal // RFC 8375
		}
		return "a reverse look-up below arpa"
	case "local", "lan", "home", "internal", "corp", "localdomain", "intranet":
		return reasonLocal
	case "test", "invalid": // RFC 6761
		return "a top-level domain for tests"
	case "onion": // RFC 7686
		return "a name of Tor, which is never looked up"
	case "": // no name, or the root
		return ""
	}
	switch {
	case dot < 0 && strings.IndexByte(s, ':') >= 0: // an address of IPv6
		return ""
	case dot < 0:
		return "a single label"
	case s[0] == '_' && serviceOnly(s):
		return reasonService
	case blockListLookup(s):
		return reasonListed
	case reputation(s):
		return "a look-up in a service of reputation"
	}
	return ""
}

// services are zones of two to four labels below which security software asks about files, addresses and domains, by
// hashes or by their names. Their vendors answer for all of each zone, so that nobody has a tunnel there.
var services = func() map[string]bool {
	all := map[string]bool{}
	for _, zone := range strings.Fields("avqs.mcafee.com avts.mcafee.com gti.mcafee.com e5.sk sophosxl.net " +
		"icrc.trendmicro.com url.trendmicro.com rf.senderbase.org webcfs00.com brightcloud.com nimbus.bitdefender.net " +
		"ctmail.com hash.cymru.com origin.asn.cymru.com multi.surbl.org multi.uribl.com dbl.spamhaus.org " +
		"b.barracudacentral.org mailspike.net list.dnswl.org msbl.org") {
		all[zone] = true
	}
	return all
}()

// reputation reports whether a name is below one of services.
func reputation(s string) bool {
	end := strings.LastIndexByte(s, '.')
	for range 3 {
		end = strings.LastIndexByte(s[:end], '.')
		if end < 0 {
			return false
		}
		if services[s[end+1:]] {
			return true
		}
	}
	return false
}

const (
	reasonLocal   = "a name of a local network"
	reasonService = "service labels only"
	reasonListed  = "a look-up in a DNS block list"
)

// anybodys reports whether whoever registers a domain can have names of a kind below it. The registered domain of such
// a name is scored all the same: malware must not hide a generated one behind _x._tcp or four numbers.
func anybodys(reason string) bool { return reason == reasonService || reason == reasonListed }

// protocols are the second label of a service's name.
var protocols = map[string]bool{"_tcp": true, "_udp": true, "_tls": true, "_sctp": true, "_dccp": true, "_quic": true}

// maxService and maxSite bound labels in bytes: a tunnel must not pass for a service. A service's name has 15 at most
// (RFC 6335); sites of Active Directory may have 63, but seldom have more than half of that.
const maxService, maxSite = 16, 32

// serviceOnly reports whether nothing but a service stands before the registered domain: _dmarc, _ldap._tcp, or the
// locator records of Active Directory, _ldap._tcp.SITE._sites.dc._msdcs.
func serviceOnly(s string) bool {
	host := strings.TrimSuffix(s[:len(s)-len(dnsname.Registered(s))], ".")
	label, rest, more := strings.Cut(host, ".")
	if len(label) < 2 || len(label) > maxService {
		return false
	}
	if !more {
		return true
	}
	if label, rest, more = strings.Cut(rest, "."); !protocols[label] {
		return false
	}
	if site, after, ok := strings.Cut(rest, "._sites"); ok && len(site) <= maxSite && strings.IndexByte(site, '.') < 0 {
		rest, more = strings.CutPrefix(after, ".")
		if !more {
			return after == ""
		}
	}
	for more {
		label, rest, more = strings.Cut(rest, ".")
		switch label {
		case "dc", "gc", "pdc", "domains", "_msdcs":
		default:
			return false
		}
	}
	return true
}

// longestList bounds the zone of a block list in bytes, some of which begin with a customer's key of 26 letters: data
// must not pass for one.
const longestList = 48

// blockListLookup reports whether a name begins with an address in reverse, as look-ups in DNS block lists do: four
// numbers up to 255, or 32 hexadecimal digits, a label each (RFC 5782), and a zone behind them.
func blockListLookup(s string) bool {
	if c := s[0]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
		return false
	}
	octets, rest := 0, s
	for octets < 4 {
		label, after, ok := strings.Cut(rest, ".")
		if !ok || !isOctet(label) {
			break
		}
		octets, rest = octets+1, after
	}
	if octets == 4 && strings.IndexByte(rest, '.') > 0 && len(rest) <= longestList {
		return true
	}
	const nibbles = 2 * 32 // with their dots
	if len(s) < nibbles || len(s) > nibbles+longestList || strings.IndexByte(s[nibbles:], '.') < 1 {
		return false
	}
	for i := 0; i < nibbles; i += 2 {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') || s[i+1] != '.' {
			return false
		}
	}
	return true
}

// isOctet reports whether a label is a number up to 255.
func isOctet(label string) bool {
	n := 0
	for i := range len(label) {
		c := label[i]
		if c < '0' || c > '9' || i == 3 {
			return false
		}
		n = 10*n + int(c-'0')
	}
	return label != "" && n <= 255
}

// plain is a text that is no name, in lower case and without white space around it or a final dot, so that rules about
// its end still see it.
func plain(name string) string {
	s := strings.TrimSpace(name)
	if len(s) > 1 {
		s = strings.TrimSuffix(s, ".")
	}
	return strings.ToLower(s)
}
