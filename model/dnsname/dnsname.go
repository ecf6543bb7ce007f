// Package dnsname is the one definition of what a name looks like inside degas: how it is normalised, what is refused,
// and which registered domain it belongs to. Data preparation and inference share it.
package dnsname

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Limits of RFC 1035, section 2.3.4, in bytes of the name's text without the final dot.
const (
	MaxName  = 253
	MaxLabel = 63
)

// Reasons a name is refused. Normalize wraps one of them; process-data counts by them.
var (
	ErrEmpty     = errors.New("empty name")
	ErrLong      = errors.New("name longer than 253 bytes")
	ErrLabel     = errors.New("empty label or label longer than 63 bytes")
	ErrCharacter = errors.New("character outside a name's grammar")
	ErrNonASCII  = errors.New("bytes beyond ASCII that are no IDN")
	ErrAddress   = errors.New("an IP address, not a name")
	// ErrSlash is for those who know that a name is no tunnel's: Normalize does not, and takes a '/' for base64.
	ErrSlash = errors.New("a '/' in a name that is no tunnel's")
)

// HighByte replaces each byte above ASCII, as iodine's base128 uses them, in a normalised tunnel name. Encoders see any
// such byte as unknown, and one character per byte keeps the length that the name has on the wire.
const HighByte = '?'

// Normalize returns the form of a name that degas stores and scores: lower case, without white space around it or final
// dots, and with international labels as A-labels (xn--). It drops the scheme, port and path of a URL. Without a scheme
// a '/' may be of a tunnel's base64: what follows it is a path if a host name below a known top-level domain stands
// before it. Normalize accepts the letters, digits, hyphen and underscore of host names, and '+', '/' and '=' for the
// base64 of tunnels. The error wraps one of the reasons above.
func Normalize(name string) (string, error) {
	out, err := normalize(name, false)
	if err == nil && strings.IndexByte(out, HighByte) >= 0 {
		return "", ErrNonASCII
	}
	return out, err
}

// NormalizeTunnel is Normalize for names known to be tunnels. Bytes above ASCII, raw or as Latin-1 text, become
// HighByte. They are neither refused nor read as an international name. Without a scheme, every '/' is a payload's.
func NormalizeTunnel(name string) (string, error) { return normalize(name, true) }

// Fold returns the form that a model scores: that of Normalize or, for a name with bytes beyond ASCII that is no IDN,
// as tunnels ask for, one with each such byte as HighByte. What is no name has no form. The error says why and wraps
// one of the reasons above. A folded name stays as it is and costs no allocation.
func Fold(name string) (string, error) {
	s, err := normalize(name, false)
	if err != nil {
		return "", err
	}
	return s, nil
}

// Kinds of the bytes of a normalised name. Zero is every other byte.
const (
	kindLetter = iota + 1 // no address has one
	kindOther             // digits and the hyphen
	kindDot
	kindSlash
)

var kinds = func() (k [256]uint8) {
	for c := 'a'; c <= 'z'; c++ {
		k[c] = kindLetter
	}
	for c := '0'; c <= '9'; c++ {
		k[c] = kindOther
	}
	k['_'], k['+'], k['='], k['-'], k['.'], k['/'] = kindLetter, kindLetter, kindLetter, kindOther, kindDot, kindSlash
	return k
}()

// normal reports in one pass whether name is normalised already, as most names in lists are.
func normal(name string) bool {
	label, letters, slash := 0, false, -1
	for i := range len(name) {
		switch kinds[name[i]] {
		case kindLetter:
			letters = true
			label++
		case kindOther:
			label++
		case kindDot:
			if label == 0 || label > MaxLabel {
				return false
			}
			label = 0
		case kindSlash:
			if slash < 0 {
				slash = i
			}
			letters = true
			label++
		default:
			return false
		}
	}
	return letters && label > 0 && label <= MaxLabel && len(name) <= MaxName && (slash < 0 || !isHost(name[:slash]))
}

func normalize(name string, tunnel bool) (string, error) {
	if normal(name) {
		return name, nil
	}
	s := lower(trimURL(strings.TrimSpace(name), tunnel), tunnel)
	switch {
	case s == "":
		return "", ErrEmpty
	case len(s) > MaxName:
		return "", ErrLong
	}
	return s, check(s)
}

// lower is s in lower case and in ASCII.
func lower(s string, tunnel bool) string {
	switch {
	case isASCII(s):
	case tunnel:
		s = toHighBytes(s)
	default:
		s = toASCII(s)
	}
	return strings.ToLower(s)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// trimURL returns the host of what may be a URL, with or without its scheme, and with neither port nor final dots.
func trimURL(s string, tunnel bool) string {
	scheme, rest, url := strings.Cut(s, "://")
	if url && !strings.ContainsAny(scheme, "/?#") {
		if i := strings.IndexAny(rest, "/?#"); i >= 0 {
			rest = rest[:i]
		}
		return trimPort(rest[strings.LastIndexByte(rest, '@')+1:])
	}
	if i := strings.IndexAny(s, "/?#"); i >= 0 && !tunnel {
		if host := trimPort(s[:i]); isHost(lower(host, false)) {
			return host
		}
	}
	return trimPort(s)
}

// trimPort drops a port and final dots, and the brackets of an IPv6 address.
func trimPort(s string) string {
	if inside, _, ok := strings.Cut(strings.TrimPrefix(s, "["), "]"); ok && isIPv6(inside) {
		return inside
	}
	if i := strings.IndexByte(s, ':'); i >= 0 && strings.Trim(s[i+1:], "0123456789") == "" {
		s = s[:i]
	}
	return strings.TrimRight(s, ".")
}

func isIPv6(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is6()
}

// longestHost is the length of a label that is taken for a payload's. Payloads fill their labels, mostly to 57 bytes or
// more, and one label in 1,000 then begins as a top-level domain and a '/' do. The 40 bytes of a hash are a host's.
const longestHost = 48

// isHost reports whether s, in lower case, is a host name below a top-level domain of the list, or an address. Bare
// top-level domains are none: payloads of tunnels begin with two letters and a '/'.
func isHost(s string) bool {
	s = strings.TrimRight(s, ".")
	if strings.IndexByte(s, '.') < 0 || !Zoned(s) {
		return errors.Is(check(s), ErrAddress)
	}
	for label := range strings.SplitSeq(s, ".") {
		if len(label) > longestHost {
			return false
		}
	}
	return !strings.ContainsAny(s, "+/=?") && check(s) == nil
}

// toASCII turns international labels into A-labels. A text that is no international name, or would not fit as one, goes
// through toHighBytes.
func toASCII(s string) string {
	if utf8.ValidString(s) {
		if a, err := aLabels(strings.TrimRight(s, allDots)); err == nil && len(a) <= MaxName && check(a) == nil {
			return a
		}
	}
	return toHighBytes(s)
}

// dots are the other characters that end a label of an international name.
var dots = strings.NewReplacer("\u3002", ".", "\uff0e", ".", "\uff61", ".")

const allDots = ".\u3002\uff0e\uff61"

// aLabels turns each label for itself: of a whole name, idna would refuse the service label of _dmarc.bücher.example.
func aLabels(s string) (string, error) {
	labels := strings.Split(dots.Replace(s), ".")
	for i, l := range labels {
		if isASCII(l) {
			labels[i] = strings.ToLower(l)
			continue
		}
		a, err := idna.Lookup.ToASCII(l)
		if err != nil {
			return "", err
		}
		labels[i] = a
	}
	return strings.Join(labels, "."), nil
}

// toHighBytes replaces every raw byte and every character above ASCII by HighByte.
func toHighBytes(s string) string {
	return strings.Map(func(r rune) rune { // a raw byte is one rune here, as a Latin-1 character is
		if r >= utf8.RuneSelf {
			return HighByte
		}
		return r
	}, s)
}

// check returns what is wrong with a lower-case name.
func check(s string) error {
	label, letters := 0, false
	for i := range len(s) {
		label++
		switch c := s[i]; {
		case kinds[c] == kindDot:
			if label == 1 || label > MaxLabel+1 {
				return ErrLabel
			}
			label = 0
		case kinds[c] == kindLetter, kinds[c] == kindSlash, c == HighByte:
			letters = true
		case c == ':' && isIPv6(s):
			return ErrAddress
		case kinds[c] != kindOther:
			return fmt.Errorf("%w: %q", ErrCharacter, c)
		}
	}
	if label == 0 || label > MaxLabel {
		return ErrLabel
	}
	if !letters && strings.Count(s, ".") == 3 && strings.IndexByte(s, '-') < 0 {
		return ErrAddress
	}
	return nil
}

// Registered returns the registered domain of a normalised name: its public suffix and one label more. A name without
// one, such as a public suffix or a tunnel's payload whose zone was stripped, is returned as it is.
//
// Suffixes are those of publicsuffix.org with the private section, as golang.org/x/net/publicsuffix has them. So a name
// that a dynamic-DNS or hosting provider hands out (x.dyndns.org, y.github.io) is registered by its user, and families
// that live below one provider can meet in every split.
func Registered(name string) string {
	suffix, start := suffixes().cut(name)
	if suffix < 2 { // the whole name, or all but a leading dot
		return name
	}
	return name[start:]
}

// Parts splits a normalised name into the part before its registered domain, with the dot; the first label of the
// registered domain; and the public suffix, with the dot before it. If the name has no registered domain, host is empty
// and label ends at the first dot.
func Parts(name string) (host, label, suffix string) {
	registered := Registered(name)
	host = name[:len(name)-len(registered)]
	if dot := strings.IndexByte(registered, '.'); dot >= 0 {
		return host, registered[:dot], registered[dot:]
	}
	return host, registered, ""
}

// Zoned reports whether a name ends in a top-level domain of the list. A tunnel's payload whose zone was stripped does
// not.
func Zoned(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	return suffixes().find(hashLabel(suffixSeed, last), last) != nil
}
