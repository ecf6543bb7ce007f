// Package rules has the rules of other detectors, to compare with: what each says about one name ([Detectors]), and
// about the names of a domain in a window of time ([Windows]). They decide nothing in degas.
//
// The first is leshark's Simple-DNS-tunneling-detector, with its labels, reasons and order. Its white list was broken:
// a plain entry also let through every domain above it, so that an entry for oraclecloud.com let all of com through; a
// name below a plain entry ended the program's work on the whole file; and capitals or a final dot defeated every
// entry. Its entries mean what they say here: they are those of the allow list, detect.List, where "example.com" is one
// name and "*.example.com" is that name and all below it, in any case and with or without a final dot.
package rules

import (
	"bytes"
	"math"
	"unicode/utf8"
)

// Detector is a rule about one name.
type Detector struct {
	// Name is whose rule it is.
	Name string
	// Ask says what the rule makes of a name, as an events.Event has it. ok is false if it says nothing. nx says that the
	// name does not exist, by its answer.
	Ask func(name []byte, nx bool) (label, reason string, ok bool)
}

// Detectors are the rules about one name.
var Detectors = []Detector{
	{"Simple-DNS-tunneling-detector", func(name []byte, _ bool) (string, string, bool) { return Name(name) }},
	{"maltrail", Maltrail},
}

// Bounds of Simple-DNS-tunneling-detector.
const (
	maxLabel   = 40  // characters
	maxEntropy = 4.5 // bits a character, of the whole name with its dots
	minHex     = 20  // characters of the first run of hexadecimal digits
)

// longest is the length of names that the rules look at, in bytes. No name on the wire is longer.
const longest = 255

// Name is the original detector's answer for one name: its probability as a label, and its reason. It allocates
// nothing.
//
// The name is what an event has: the original saw no escapes, so they are undone. "_\/" is the original's, who meant a
// class of characters.
func Name(name []byte) (label, reason string, ok bool) {
	var buf [longest]byte
	name, ok = unescape(buf[:0], name)
	switch {
	case !ok:
		return "", "", false
	case !utf8.Valid(name): // the original fails to decode such a name, before all rules
		return "100%", "not utf-8 symbols detected", true
	case longLabel(name):
		return "high", "packet label length too high", true
	case bytes.Contains(name, []byte(`_\/`)):
		return "high", "rare symbols detected", true
	case entropy(name) > maxEntropy:
		return "high", "high entropy detected", true
	case firstHex(name) >= minHex:
		return "medium", "hex encoding detected", true
	}
	return "", "", false
}

// unescape appends name to dst without an event's escapes. ok is false if the name is longer than any on the wire.
func unescape(dst, name []byte) (out []byte, ok bool) {
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+1 < len(name) && (name[i+1] == '.' || name[i+1] == '\\') {
			i++
		}
		if len(dst) == longest {
			return nil, false
		}
		dst = append(dst, name[i])
	}
	return dst, true
}

// longLabel reports whether a label has more than maxLabel characters.
func longLabel(name []byte) bool {
	n := 0
	for _, c := range name {
		switch {
		case c == '.':
			n = 0
		case utf8.RuneStart(c):
			if n++; n > maxLabel {
				return true
			}
		}
	}
	return false
}

// entropy is Shannon's, in bits a character.
func entropy(text []byte) float64 {
	var ascii [utf8.RuneSelf]int
	var others [longest]rune // each once for each time
	n, high := 0, 0
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		i += size
		n++
		if r < utf8.RuneSelf {
			ascii[r]++
		} else {
			others[high] = r
			high++
		}
	}
	bits := 0.0
	add := func(count int) {
		p := float64(count) / float64(n)
		bits -= p * math.Log2(p)
	}
	for _, count := range ascii {
		if count > 0 {
			add(count)
		}
	}
	for i, r := range others[:high] {
		count, first := 0, true
		for j, other := range others[:high] {
			if other == r {
				count++
				first = first && j >= i
			}
		}
		if first {
			add(count)
		}
	}
	return bits
}

// firstHex is the length of the first run of hexadecimal digits. The original looks at no other.
func firstHex(name []byte) (n int) {
	for _, c := range name {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
			n++
		case n > 0:
			return n
		}
	}
	return n
}

// Bounds of maltrail's core/settings.py.
const (
	maltrailLength     = 24 // characters of the first label
	maltrailConsonants = 7  // of a label; newer versions have 9
	maltrailEntropy    = 3.5
)

// Maltrail is maltrail's heuristic for one name: a long first label; and, for a name that does not exist, the entropy
// and the number of consonants of the label that matters. It allocates nothing.
func Maltrail(name []byte, nx bool) (label, reason string, ok bool) {
	if len(name) > longest {
		return "", "", false
	}
	first, rest, _ := bytes.Cut(name, []byte{'.'})
	if len(first) > maltrailLength && bytes.IndexByte(first, '-') < 0 && !bytes.Contains(name, []byte("blogspot")) {
		return "suspicious", "long domain", true
	}
	if !nx {
		return "", "", false
	}
	if string(first) == "www" && bytes.IndexByte(rest, '.') > 0 {
		first, _, _ = bytes.Cut(rest, []byte{'.'})
	}
	if len(first) == 0 || bytes.IndexByte(first, '-') >= 0 {
		return "", "", false
	}
	if entropy(first) > maltrailEntropy {
		return "suspicious", "entropy threshold no such domain", true
	}
	consonants := 0
	for _, c := range first {
		if c >= 'a' && c <= 'z' && bytes.IndexByte([]byte("aeiou"), c) < 0 {
			consonants++
		}
	}
	if consonants > maltrailConsonants {
		return "suspicious", "consonant threshold no such domain", true
	}
	return "", "", false
}
