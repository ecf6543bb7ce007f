package formats

import (
	"bytes"
	"strings"
)

// Response policy zones are zone files whose records say what a resolver must not answer:
//
//	$TTL 2h
//	@ SOA localhost. root.localhost. ( 1 2h 1h 1w 1h )
//	  NS  localhost.
//	bad.example.com    CNAME .
//	*.bad.example.com  CNAME .
//
// A name with a final dot ends in the zone's origin, which $ORIGIN or the SOA record gives.
func init() {
	Register(blockReader{format: "rpz", comment: ";", misses: "its lines are not records such as name CNAME .",
		strict: true, // names in other zone files are relative to the zone
		rules:  func() func([]byte) rule { return (&rpz{}).rule }})
}

type rpz struct {
	origin string // with dots around it; "" if not known
	open   int    // lines that a parenthesis may still run over
}

// longestSOA is the most lines that a parenthesis may run over: one that never closes must not swallow a file.
const longestSOA = 10

func (z *rpz) rule(line []byte) rule {
	text, _, _ := bytes.Cut(line, []byte{';'})
	if z.open > 0 {
		z.open--
		if bytes.IndexByte(text, ')') >= 0 {
			z.open = 0
		}
		return rule{ours: true}
	}
	fields := bytes.Fields(text)
	switch {
	case len(fields) == 0:
		return rule{ours: true}
	case fields[0][0] == '$':
		if len(fields) > 1 && strings.EqualFold(string(fields[0]), "$ORIGIN") {
			z.setOrigin(fields[1])
		}
		return rule{ours: true}
	}
	owner := fields[0]
	continued := line[0] == ' ' || line[0] == '\t' // a record of the name before
	if continued {
		owner = nil
	}
	kind, data := recordOf(fields)
	switch kind {
	case "SOA":
		if !continued && bytes.HasSuffix(owner, []byte{'.'}) && z.origin == "" {
			z.setOrigin(owner)
		}
		if bytes.IndexByte(text, '(') >= 0 && bytes.IndexByte(text, ')') < 0 {
			z.open = longestSOA
		}
		return rule{ours: true}
	case "NS", "TXT", "RRSIG", "NSEC", "DNSKEY":
		return rule{ours: true}
	case "CNAME", "A", "AAAA":
	default:
		return rule{}
	}
	if continued || len(data) == 0 {
		return rule{ours: true}
	}
	return z.policy(owner, data)
}

// recordOf finds a record's type and what follows it, behind the owner, the time to live and the class.
func recordOf(fields [][]byte) (kind string, data []byte) {
	for i, f := range fields[:min(len(fields), 4)] {
		switch k := strings.ToUpper(string(f)); k {
		case "SOA", "NS", "TXT", "RRSIG", "NSEC", "DNSKEY", "CNAME", "A", "AAAA":
			if i+1 < len(fields) {
				data = fields[i+1]
			}
			return k, data
		}
	}
	return "", nil
}

func (z *rpz) setOrigin(name []byte) {
	z.origin = "." + strings.ToLower(strings.Trim(string(name), ".")) + "."
}

// policy is the rule of a record that answers for owner.
func (z *rpz) policy(owner, data []byte) rule {
	name := owner
	if bytes.HasSuffix(owner, []byte{'.'}) {
		cut := len(owner) - len(z.origin)
		if z.origin == "" || cut < 0 || !strings.EqualFold(string(owner[cut:]), z.origin) {
			return rule{ours: true, left: leftElsewhere}
		}
		name = owner[:cut]
	}
	labels := bytes.Split(name, []byte{'.'})
	switch target := strings.ToLower(string(data)); {
	case bytes.HasPrefix(labels[len(labels)-1], []byte("rpz-")): // rpz-ip and others are about servers
		return rule{ours: true, left: leftLocal}
	case target == "rpz-passthru.":
		return rule{ours: true, left: leftException}
	case target == ".", target == "*.", target == "rpz-drop.", nowhere(data):
		return rule{ours: true, blocked: true, names: [][]byte{name}}
	}
	return rule{ours: true, left: leftElsewhere, names: [][]byte{name}}
}
