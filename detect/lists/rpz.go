package lists

import (
	"bytes"
	"strings"

	"github.com/degas-dns/degas/detect"
)

// rpzSyntax is a response policy zone as a zone file (RFC 1035, section 5; draft-vixie-dnsop-dns-rpz-00). A reader of
// our own, because a zone has millions of records of one kind and two types of fields.
var rpzSyntax = &syntax{name: "rpz", line: func(p *parser, line []byte) string { return p.zone.line(p, line) },
	sure: func(line []byte) bool {
		word, _ := nextField(line)
		return len(word) > 1 && word[0] == '$' && isDirective(word)
	}}

// zone is the state between lines.
type zone struct {
	tokens  [][]byte // of a record; they are copies if it goes over several lines
	depth   int      // of parentheses
	blank   bool     // the record begins with white space
	apex    string   // of the zone, in lower case, without the final dot
	origin  string   // of names without a final dot
	owner   []byte   // of the record before
	spare   []byte
	refused string // a directive that makes names
}

func isDirective(word []byte) bool {
	switch strings.ToUpper(string(word)) {
	case "$TTL", "$ORIGIN", "$INCLUDE", "$GENERATE":
		return true
	}
	return false
}

// mostTokens of a record are kept. No record that matters has more.
const mostTokens = 12

// line reads a line.
func (z *zone) line(p *parser, line []byte) string {
	if z.depth == 0 {
		z.tokens, z.blank = z.tokens[:0], line[0] == ' ' || line[0] == '\t'
	}
	before := len(z.tokens)
	z.split(line)
	if z.depth > 0 { // the line's memory is another's soon
		for i := before; i < len(z.tokens); i++ {
			z.tokens[i] = bytes.Clone(z.tokens[i])
		}
		return ""
	}
	if len(z.tokens) == 0 {
		p.comments = true
		return ""
	}
	return z.record(p)
}

// split adds the tokens of a line.
func (z *zone) split(line []byte) {
	for i := 0; i < len(line); {
		switch c := line[i]; c {
		case ' ', '\t', '\r':
			i++
		case ';':
			return
		case '(':
			z.depth++
			i++
		case ')':
			z.depth = max(z.depth-1, 0)
			i++
		default:
			end := tokenEnd(line, i)
			if len(z.tokens) < mostTokens {
				z.tokens = append(z.tokens, line[i:end])
			}
			i = end
		}
	}
}

// tokenEnd is where the token at i ends: a text in quotation marks, or a word.
func tokenEnd(line []byte, i int) int {
	quoted := line[i] == '"'
	for i++; i < len(line); i++ {
		switch c := line[i]; {
		case !ends[c]:
		case c == '\\':
			i++
		case quoted && c == '"':
			return i + 1
		case !quoted:
			return i
		}
	}
	return len(line)
}

// ends are the bytes that may end a token, and the one that takes another's meaning away.
var ends = [256]bool{' ': true, '\t': true, '\r': true, ';': true, '(': true, ')': true, '"': true, '\\': true}

// types of records that zones have.
var types = func() map[string]string {
	all := map[string]string{}
	for _, t := range strings.Fields("CNAME A AAAA TXT NS SOA PTR MX SRV DNAME CAA NAPTR HTTPS SVCB") {
		all[t] = t
	}
	return all
}()

// record reads the tokens of a record or a directive.
func (z *zone) record(p *parser) string {
	tokens := z.tokens
	if tokens[0][0] == '$' {
		return z.directive(tokens)
	}
	if !z.blank {
		z.owner = append(z.owner[:0], tokens[0]...)
		tokens = tokens[1:]
	}
	for len(tokens) > 0 && (isTTL(tokens[0]) || isClass(tokens[0])) {
		tokens = tokens[1:]
	}
	if len(tokens) == 0 || len(z.owner) == 0 {
		return notOurs
	}
	kind, known := types[string(tokens[0])]
	if !known {
		if kind, known = types[strings.ToUpper(string(tokens[0]))]; !known {
			return notOurs
		}
	}
	switch {
	case kind == "SOA":
		z.apex = z.absolute(z.owner)
		z.origin = z.apex
		return ""
	case kind == "CNAME" && len(tokens) == 2:
		return z.policy(p, tokens[1])
	case kind == "CNAME":
		return noRecord
	case z.absolute(z.owner) == z.apex: // NS and what else is about the zone itself
		return ""
	}
	return otherAction
}

func (z *zone) directive(tokens [][]byte) string {
	switch word := strings.ToUpper(string(tokens[0])); word {
	case "$ORIGIN":
		if len(tokens) < 2 {
			return noRecord
		}
		z.origin = z.absolute(tokens[1])
	case "$TTL":
	case "$INCLUDE", "$GENERATE":
		z.refused = word
	default:
		return notOurs
	}
	return ""
}

// isTTL reports whether a token is a time: 300, or 1h30m as BIND writes it.
func isTTL(token []byte) bool {
	return token[0] >= '0' && token[0] <= '9' && len(bytes.Trim(token, "0123456789smhdwSMHDW")) == 0
}

func isClass(token []byte) bool {
	return len(token) == 2 && (bytes.EqualFold(token, []byte("IN")) || bytes.EqualFold(token, []byte("CH")) ||
		bytes.EqualFold(token, []byte("HS")))
}

// absolute is a name with the origin, in lower case and without its final dot.
func (z *zone) absolute(name []byte) string {
	text := strings.ToLower(string(name))
	switch {
	case text == "@":
		return z.origin
	case strings.HasSuffix(text, "."):
		return strings.TrimSuffix(text, ".")
	case z.origin == "":
		return text
	}
	return text + "." + z.origin
}

// policy adds the entry of a CNAME record.
func (z *zone) policy(p *parser, target []byte) string {
	trigger, ok := z.trigger()
	if !ok {
		return otherZone
	}
	if i := bytes.LastIndexByte(trigger, '.'); bytes.HasPrefix(trigger[i+1:], []byte("rpz-")) {
		return otherWay
	}
	exception := false
	switch action := strings.ToLower(string(target)); {
	case action == "." || action == "*." || action == "rpz-drop.":
	case action == "rpz-passthru.":
		exception = true
	default:
		if strings.HasPrefix(action, "rpz-") || z.absolute(target) != strings.ToLower(string(trigger)) {
			return otherAction
		}
		exception = true // to itself: the old way to say passthru
	}
	name, scope := trigger, detect.Exact
	if below, ok := bytes.CutPrefix(trigger, []byte("*.")); ok {
		name, scope = below, detect.Below
	} else if string(trigger) == "*" {
		return isRoot
	}
	return p.add(name, scope, exception)
}

// trigger is the owner without the zone's own name.
func (z *zone) trigger() (name []byte, ok bool) {
	if z.owner[len(z.owner)-1] != '.' && z.origin == z.apex {
		return z.owner, string(z.owner) != "@"
	}
	full := z.absolute(z.owner)
	if z.apex == "" || !strings.HasSuffix(full, "."+z.apex) {
		return nil, false
	}
	z.spare = append(z.spare[:0], full[:len(full)-len(z.apex)-1]...)
	return z.spare, true
}
