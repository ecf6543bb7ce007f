package logs

import (
	"bytes"
	"net/netip"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/lines"
)

// maxName bounds a name in bytes without its escapes: RFC 1035's 255 with the length of the first label and the root.
const maxName = 253

// name gives the form of Event.Name to a name as a log writes it: `\DDD` (decimal), `\xNN` and `\c` stand for a byte,
// and one final dot goes. It appends the form to dst, or returns a part of text if there is nothing to change. "." is
// the root.
func name(dst, text []byte) []byte {
	if bytes.IndexByte(text, '\\') < 0 {
		if n := len(text) - 1; n > 0 && text[n] == '.' {
			return text[:n]
		}
		return text
	}
	start := len(dst)
	final := false // the last byte is a dot between labels
	for i := 0; i < len(text); {
		c, n := text[i], 1
		if final = c == '.'; c == '\\' {
			c, n = escaped(text[i:])
			dst = appendByte(dst, c)
		} else {
			dst = append(dst, c)
		}
		i += n
	}
	if final && len(dst) > start+1 {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// appendByte adds a byte of a label.
func appendByte(dst []byte, c byte) []byte {
	if c == '.' || c == '\\' {
		dst = append(dst, '\\')
	}
	return append(dst, c)
}

// escaped reads the escape at the start of text, which is n bytes long. A backslash at the end stands for itself.
func escaped(text []byte) (c byte, n int) {
	switch {
	case len(text) < 2:
		return text[0], 1
	case len(text) >= 4 && isDigit(text[1]) && isDigit(text[2]) && isDigit(text[3]):
		if v := int(text[1]-'0')*100 + int(text[2]-'0')*10 + int(text[3]-'0'); v <= 255 {
			return byte(v), 4
		}
	case len(text) >= 4 && text[1] == 'x':
		if high, low := hexDigit(text[2]), hexDigit(text[3]); high >= 0 && low >= 0 {
			return byte(high<<4 | low), 4
		}
	}
	return text[1], 2
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// hexDigit is the value of a hexadecimal digit, or -1.
func hexDigit(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// countedName reads `(3)www(7)example(3)com(0)`, as Windows writes names, and appends Event.Name's form to dst. ok is
// false if text is of another form.
func countedName(dst, text []byte) (_ []byte, ok bool) {
	start := len(dst)
	for {
		n, rest, ok := enclosed(text, '(', ')')
		switch {
		case !ok:
			return dst, false
		case n == 0:
			if len(dst) == start {
				dst = append(dst, '.')
			}
			return dst, len(rest) == 0
		}
		end := n
		if _, _, fits := enclosed(rest[min(n, len(rest)):], '(', ')'); !fits { // the log wrote a byte in another way
			for end = 1; ; end++ {
				if end >= len(rest) {
					return dst, false
				}
				if _, _, fits = enclosed(rest[end:], '(', ')'); fits {
					break
				}
			}
		}
		if len(dst) > start {
			dst = append(dst, '.')
		}
		for _, c := range rest[:end] {
			dst = appendByte(dst, c)
		}
		text = rest[end:]
	}
}

// enclosed reads a number of up to three digits between two bytes at the start of text, such as "(12)" or "<30>".
func enclosed(text []byte, begin, end byte) (n int, rest []byte, ok bool) {
	if len(text) < 3 || text[0] != begin {
		return 0, nil, false
	}
	n, digits := number(text[1:], 3)
	if digits == 0 || 1+digits >= len(text) || text[1+digits] != end {
		return 0, nil, false
	}
	return n, text[2+digits:], true
}

// number reads at most n digits at the start of text.
func number(text []byte, n int) (v, digits int) {
	for digits < n && digits < len(text) && isDigit(text[digits]) {
		v = v*10 + int(text[digits]-'0')
		digits++
	}
	return v, digits
}

// tooLong reports whether a name in Event.Name's form is longer than a DNS name can be.
func tooLong(name []byte) bool {
	if len(name) <= maxName {
		return false
	}
	n := len(name)
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' {
			n--
			i++
		}
	}
	return n > maxName
}

// maxPeer bounds the name of a client in bytes.
const maxPeer = 255

// peer reads who asked or was asked: an address, also with a port as in 192.0.2.7:53, 192.0.2.7#53, 192.0.2.7/53 or
// [2001:db8::7]:53, or else any text. An IPv4 address within IPv6 is IPv4. "" and "-" are nobody.
func peer(text []byte) events.Peer {
	text = bytes.TrimSpace(text)
	if len(text) == 0 || len(text) == 1 && text[0] == '-' {
		return events.Peer{}
	}
	if p, ok := address(text); ok {
		return p
	}
	return events.Peer{Name: string(text[:min(len(text), maxPeer)])}
}

// address reads a peer that is an address.
func address(text []byte) (p events.Peer, ok bool) {
	host, port := text, []byte(nil)
	if i := bytes.LastIndexAny(text, ":#/"); i > 0 {
		switch {
		case text[0] == '[' && text[i-1] == ']': // [2001:db8::7]:53
			host, port = text[1:i-1], text[i+1:]
		case text[0] != '[' && (text[i] != ':' || bytes.IndexByte(text, ':') == i): // not 2001:db8::7
			host, port = text[:i], text[i+1:]
		}
	}
	if n := len(host) - 1; n > 0 && host[0] == '[' && host[n] == ']' {
		host = host[1:n]
	}
	if len(host) < 2 || !isDigit(host[0]) && bytes.IndexByte(host, ':') < 0 {
		return p, false // spares netip its error
	}
	if port != nil {
		v, digits := number(port, 5)
		if digits == 0 || digits < len(port) || v > 65535 {
			return p, false
		}
		p.Port = uint16(v)
	}
	if len(host) > maxPeer { // a zone may be any text
		return p, false
	}
	addr, err := netip.ParseAddr(lines.View(host))
	if err != nil {
		return p, false
	}
	p.Addr = addr.Unmap()
	return p, true
}
