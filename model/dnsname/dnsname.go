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

// HighByte stands in a normalised tunnel name for each byte above ASCII, as iodine's base128 uses them: encoders see
// any such byte as unknown, and one character a byte keeps the length of the name on the wire.
const HighByte = '?'

// Normalize gives the form of a name that degas stores and scores: lower case, without scheme, path, port, white space
// around it or final dots, international labels as A-labels (xn--). The letters, digits, hyphen and underscore of host
// names are accepted, and '+', '/' and '=' for the base64 of tunnels.
func Normalize(name string) (string, error) {
	out, err := normalize(name, toASCII)
	if err == nil && strings.IndexByte(out, HighByte) >= 0 {
		return "", ErrNonASCII
	}
	return out, err
}

// NormalizeTunnel is Normalize for names known to be tunnels: bytes above ASCII (raw, or as Latin-1 text) become
// HighByte instead of being refused, and are never taken for an international name.
func NormalizeTunnel(name string) (string, error) { return normalize(name, toHighBytes) }

// Fold gives the form that a model scores for any input at all: as Normalize where that accepts it, and otherwise the
// name lower-cased and without final dots, so that a resolver gets a score for whatever a client asks.
func Fold(name string) string {
	if s, err := normalize(name, toASCII); err == nil {
		return s
	}
	return strings.ToLower(strings.TrimRight(strings.TrimSpace(name), "."))
}

// Kinds of the bytes of a normalised name. Zero is everything else.
const (
	kindLetter = iota + 1 // makes a name more than an address
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

// normal says in one pass that name is normalised already, as most names in lists are.
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
	if !isASCII(s) {
		s = fold(s)
	}
	s = strings.ToLower(s)
	if len(s) > MaxName {
		return "", ErrLong
	}
	return s, check(s)
}

// trimURL drops a scheme, and what follows the host where there was a scheme: a bare '/' may be base64 in a tunnel.
func trimURL(s string) string {
	_, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// toASCII turns international labels into A-labels. What is no international name, or would not fit as one, goes the way
// of toHighBytes.
func toASCII(s string) string {
	if utf8.ValidString(s) {
		if a, err := idna.Lookup.ToASCII(s); err == nil && len(a) <= MaxName && check(a) == nil {
			return a
		}
	}
	return toHighBytes(s)
}

// toHighBytes puts HighByte for every raw byte and every character above ASCII.
func toHighBytes(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r < 0x80 {
			b.WriteByte(byte(r))
		} else {
			b.WriteByte(HighByte) // one for a raw byte and one for a Latin-1 character
		}
		i += n
	}
	return b.String()
}

// check walks the grammar of a lower-case name.
func check(s string) error {
	label, letters := 0, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '.' {
			if label == 0 || label > MaxLabel {
				return ErrLabel
			}
			label = 0
			continue
		}
		label++
		switch {
		case c >= 'a' && c <= 'z', c == '_', c == HighByte, c == '+', c == '/', c == '=':
			letters = true
		case c >= '0' && c <= '9', c == '-':
		default:
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

// Registered is the registered domain of a normalised name: the public suffix (the list of publicsuffix.org with its
// private section, as golang.org/x/net/publicsuffix has it) and one label more. A name that has no registered domain, such as a
// public suffix itself or a tunnel's payload whose zone was stripped, is its own.
// The list's private section counts: what a dynamic-DNS or hosting provider hands out (x.dyndns.org, y.github.io) is
// registered by its user, and families that live below one provider must be able to meet in every split.
func Registered(name string) string {
	suffix, start := suffixes().cut(name)
	if suffix < 2 { // the whole name, or all but a leading dot
		return name
	}
	return name[start:]
}

// Parts is a normalised name as what stands before its registered domain, with the dot; the registered domain's first label;
// and its public suffix, with the dot before it. A name without a registered domain is all label up to its first dot.
func Parts(name string) (host, label, suffix string) {
	registered := Registered(name)
	host = name[:len(name)-len(registered)]
	if dot := strings.IndexByte(registered, '.'); dot >= 0 {
		return host, registered[:dot], registered[dot:]
	}
	return host, registered, ""
}

// Zoned says whether a name ends in a top-level domain of the list, as a tunnel's payload whose zone was stripped does not.
func Zoned(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	return suffixes().find(hashLabel(suffixSeed, last), last) != nil
}
