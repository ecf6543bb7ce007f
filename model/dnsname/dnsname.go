// Package dnsname is the one definition of what a name looks like inside degas: how it is normalised, what is refused,
// and which registered domain it belongs to. Data preparation and inference share it.
package dnsname

import (
	"errors"
	"fmt"
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
)

// HighByte replaces each byte above ASCII, as iodine's base128 uses them, in a normalised tunnel name. Encoders see any
// such byte as unknown, and one character per byte keeps the length that the name has on the wire.
const HighByte = '?'

// Normalize returns the form of a name that degas stores and scores: lower case, without scheme, path, port, white
// space around it or final dots, and with international labels as A-labels (xn--). It accepts the letters, digits,
// hyphen and underscore of host names, and '+', '/' and '=' for the base64 of tunnels. The error wraps one of the
// reasons above.
func Normalize(name string) (string, error) {
	out, err := normalize(name, toASCII)
	if err == nil && strings.IndexByte(out, HighByte) >= 0 {
		return "", ErrNonASCII
	}
	return out, err
}

// NormalizeTunnel is Normalize for names known to be tunnels. Bytes above ASCII, raw or as Latin-1 text, become
// HighByte. They are neither refused nor read as an international name.
func NormalizeTunnel(name string) (string, error) { return normalize(name, toHighBytes) }

// Fold returns the form that a model scores for any input, so that a DNS server gets a score for whatever a client
// asks. If Normalize refuses the name, the result is the name in lower case without final dots.
func Fold(name string) string {
	if s, err := normalize(name, toASCII); err == nil {
		return s
	}
	return strings.ToLower(strings.TrimRight(strings.TrimSpace(name), "."))
}

// Kinds of the bytes of a normalised name. Zero is every other byte.
const (
	kindLetter = iota + 1 // no address has one
	kindOther             // digits and the hyphen
	kindDot
)

var kinds = func() (k [256]uint8) {
	for c := 'a'; c <= 'z'; c++ {
		k[c] = kindLetter
	}
	for c := '0'; c <= '9'; c++ {
		k[c] = kindOther
	}
	k['_'], k['+'], k['/'], k['='], k['-'], k['.'] = kindLetter, kindLetter, kindLetter, kindLetter, kindOther, kindDot
	return k
}()

// normal reports in one pass whether name is normalised already, as most names in lists are.
func normal(name string) bool {
	label, letters := 0, false
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
		default:
			return false
		}
	}
	return letters && label > 0 && label <= MaxLabel && len(name) <= MaxName
}

func normalize(name string, fold func(string) string) (string, error) {
	if normal(name) {
		return name, nil
	}
	s := strings.TrimRight(trimURL(strings.TrimSpace(name)), ".")
	if s == "" {
		return "", ErrEmpty
	}
	if strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		s = fold(s)
	}
	s = strings.ToLower(s)
	if len(s) > MaxName {
		return "", ErrLong
	}
	return s, check(s)
}

// trimURL returns the host of a URL. It leaves a name without a scheme alone: its '/' may be a tunnel's base64.
func trimURL(s string) string {
	_, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

// toASCII turns international labels into A-labels. A text that is no international name, or would not fit as one, goes
// through toHighBytes.
func toASCII(s string) string {
	if utf8.ValidString(s) {
		if a, err := idna.Lookup.ToASCII(s); err == nil && len(a) <= MaxName && check(a) == nil {
			return a
		}
	}
	return toHighBytes(s)
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
		case kinds[c] == kindLetter, c == HighByte:
			letters = true
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
