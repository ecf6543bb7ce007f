package lists

import (
	"bytes"
	"net/netip"
	"strings"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/internal/lines"
)

// domainsSyntax is a name a line.
var domainsSyntax = &syntax{name: "domains", line: func(p *parser, line []byte) string {
	if isComment(line) {
		p.comments = true
		return ""
	}
	if i := bytes.IndexByte(line, '#'); i >= 0 {
		line = bytes.TrimSpace(line[:i])
	}
	scope := detect.Exact
	if rest, ok := bytes.CutPrefix(line, []byte("*")); ok {
		if len(rest) == 0 {
			return isRoot
		}
		if rest[0] != '.' {
			return isPattern
		}
		line = rest
	}
	if line[0] == '.' {
		line, scope = line[1:], detect.Subtree
	}
	switch {
	case len(line) == 0:
		return isRoot
	case bytes.IndexByte(line, '/') >= 0 && bytes.IndexByte(line, ' ') < 0:
		return isPath
	case !isName(line):
		return notOurs
	case p.probe && p.remote && scope == detect.Exact && bytes.IndexByte(line, '.') < 0:
		return notOurs // a word that a server says, such as "error"
	}
	return p.add(line, scope, false)
}}

// hostsSyntax is an address and its names a line.
var hostsSyntax = &syntax{name: "hosts", line: func(p *parser, line []byte) (reason string) {
	if isComment(line) {
		p.comments = true
		return ""
	}
	if i := bytes.IndexByte(line, '#'); i >= 0 {
		line = line[:i]
	}
	field, rest := nextField(line)
	if len(rest) == 0 {
		return notOurs
	}
	var addr netip.Addr
	if string(field) == "0.0.0.0" {
		addr = netip.IPv4Unspecified()
	} else if a, err := netip.ParseAddr(lines.View(field)); err != nil {
		return notOurs
	} else {
		addr = a.Unmap()
	}
	if p.kind == block && !addr.IsUnspecified() && !addr.IsLoopback() {
		return leadsOn
	}
	for len(rest) > 0 {
		field, rest = nextField(rest)
		why := isLocalhost
		if !hostsOwn(field) {
			why = p.add(field, detect.Exact, false)
		}
		if reason == "" {
			reason = why
		}
	}
	return reason
}}

// hostsOwn reports whether a name of a hosts file is of the host itself, as localhost is.
func hostsOwn(name []byte) bool {
	return bytes.IndexByte(name, '.') < 0 || string(name) == "localhost.localdomain" || string(name) == "0.0.0.0"
}

// nextField cuts a line at white space.
func nextField(line []byte) (field, rest []byte) {
	i := 0
	for i < len(line) && line[i] != ' ' && line[i] != '\t' {
		i++
	}
	return line[:i], bytes.TrimLeft(line[i:], " \t")
}

// adblockSyntax is rules of ad blockers, of which those about whole domains are entries.
var adblockSyntax = &syntax{name: "adblock", line: func(p *parser, line []byte) string {
	if line[0] == '!' || line[0] == '[' {
		p.comments = true
		return ""
	}
	rule, exception := bytes.CutPrefix(line, []byte("@@"))
	if domain, ok := bytes.CutPrefix(rule, []byte("||")); ok {
		return adblockRule(p, domain, exception)
	}
	for _, mark := range []string{"##", "#@#", "#?#", "#$#", "#%#", "$$"} {
		if strings.Contains(lines.View(line), mark) {
			return onPages
		}
	}
	switch {
	case line[0] == '#':
		p.comments = true
		return ""
	case exception, line[0] == '/', bytes.ContainsAny(line, "*^$|&=") && bytes.IndexByte(line, ' ') < 0:
		return isPattern
	}
	return notOurs
}, sure: func(line []byte) bool {
	return bytes.HasPrefix(line, []byte("[Adblock")) || bytes.HasPrefix(line, []byte("[AdBlock"))
}}

// adblockRule reads what stands behind the "||".
func adblockRule(p *parser, domain []byte, exception bool) string {
	domain, rest, ok := bytes.Cut(domain, []byte("^"))
	if !ok {
		return isPattern
	}
	switch string(rest) {
	case "", "|", "$important", "$all", "|$important":
	default:
		if rest[0] == '$' {
			return withOptions
		}
		return isPattern
	}
	scope := detect.Subtree
	if below, ok := bytes.CutPrefix(domain, []byte("*.")); ok {
		domain, scope = below, detect.Below
	}
	switch {
	case len(domain) == 0 || string(domain) == "*":
		return isRoot
	case !isName(domain):
		return isPattern
	}
	return p.add(domain, scope, exception)
}
