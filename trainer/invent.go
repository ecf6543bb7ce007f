package trainer

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/model/dnsname"
)

// Letters that names are made of.
const (
	vowels     = "aeiouy"
	consonants = "bcdfghjklmnpqrstvwxz"
	hexDigits  = "0123456789abcdef"
	ascii      = "abcdefghijklmnopqrstuvwxyz"
	asciiDigit = ascii + "0123456789"
)

// invention is how the registered label of a DGA name can come about, after the kinds of algorithm that Plohmann et al.
// (USENIX Security 2016) tell apart: arithmetic, hashes, words, permutations. It gives "" where it finds nothing to
// work on.
type invention func(rng *rand.Rand, s *Set, label string) string

// What names are invented by. One that stands twice is drawn twice as often.
var (
	inventions = []invention{letters(5), letters(5), hashes, hashes, syllables, words, shuffled, moved, disguised}
	// unlike are those that hardly any benign name is like: to learn them costs little of what is known of others.
	unlike = []invention{letters(11), hashes}
)

// invented is a malicious name of an invented family, of the class of the p-th name. A model that only sees the
// families of its lists learns their lengths, letters and top-level domains by heart and misses the next one.
func (s *Set) invented(rng *rand.Rand, p uint32, by []invention) string {
	name := s.Name(int(p))
	if s.kind(p).class == datasets.Tunnel {
		return payload(rng, name)
	}
	_, own, suffix := dnsname.Parts(name)
	label := by[rng.IntN(len(by))](rng, s, own)
	switch rng.IntN(4) { // most under another suffix: a family's own gives it away
	case 0:
	case 1: // rare ones too: families that register under a dynamic DNS service have it to themselves
		all := s.suffixes() // name's is one
		suffix = all[rng.IntN(len(all))]
	default:
		// name is one such
		_, _, suffix = dnsname.Parts(s.draw(rng, func(c datasets.Class) bool { return c != datasets.Tunnel }))
	}
	if label = strings.Trim(label, "-"); label == "" || len(label) > dnsname.MaxLabel ||
		len(label)+len(suffix) > dnsname.MaxName {
		return name
	}
	return label + suffix
}

// findSuffixes is kinds' suffixes for a Set by itself.
func (s *Set) findSuffixes() []string {
	seen := map[string]bool{}
	for p := range s.Len() {
		if s.kind(uint32(p)).class != datasets.Tunnel {
			addSuffix(seen, s.Name(p))
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// draw gives a name of a class that fits; "" where a few draws find none.
func (s *Set) draw(rng *rand.Rand, fits func(datasets.Class) bool) string {
	for range 64 {
		if p := uint32(rng.IntN(s.Len())); fits(s.kind(p).class) {
			return s.Name(int(p))
		}
	}
	return ""
}

// benignLabel is the registered label of a benign name of at least shortest characters and no international one; ""
// where a few draws find none.
func (s *Set) benignLabel(rng *rand.Rand, shortest int) string {
	for range 8 {
		_, label, _ := dnsname.Parts(s.draw(rng, func(c datasets.Class) bool { return c == datasets.Benign }))
		if len(label) >= shortest && !strings.HasPrefix(label, "xn--") {
			return label
		}
	}
	return ""
}

// text is n characters of an alphabet.
func text(rng *rand.Rand, alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[rng.IntN(len(alphabet))]
	}
	return string(b)
}

// some is n characters of an alphabet.
func some(rng *rand.Rand, alphabet string, n int) string {
	b := []byte(alphabet)
	rng.Shuffle(len(b), func(i, j int) { b[i], b[j] = b[j], b[i] })
	return string(b[:n])
}

// letters makes labels of 24 lengths from shortest on: letters, some with digits, of an alphabet that may lack some.
func letters(shortest int) invention {
	return func(rng *rand.Rand, _ *Set, _ string) string {
		alphabet := ascii
		switch rng.IntN(6) {
		case 0:
			alphabet = asciiDigit
		case 1:
			alphabet = some(rng, asciiDigit, 8+rng.IntN(18))
		case 2:
			alphabet = some(rng, ascii, 8+rng.IntN(16))
		}
		return text(rng, alphabet, shortest+rng.IntN(24))
	}
}

// hashes are hexadecimal digits, some behind a letter.
func hashes(rng *rand.Rand, _ *Set, _ string) string {
	label := text(rng, hexDigits, 8+rng.IntN(26))
	if rng.IntN(2) == 0 {
		label = text(rng, ascii, 1) + label
	}
	return label
}

// syllables are vowels and consonants in turn, mostly.
func syllables(rng *rand.Rand, _ *Set, _ string) string {
	var b []byte
	vowel := rng.IntN(2) == 0
	for range 5 + rng.IntN(13) {
		from := consonants
		if vowel {
			from = vowels
		}
		b = append(b, from[rng.IntN(len(from))])
		vowel = vowel != (rng.IntN(8) > 0)
	}
	return string(b)
}

// words are two or three labels of benign names, joined.
func words(rng *rand.Rand, s *Set, _ string) string {
	label := s.benignLabel(rng, 3)
	for range 1 + rng.IntN(2) {
		label += s.benignLabel(rng, 3)
	}
	return label
}

// shuffled is a benign name's label with its letters in another order, or a third to a half of them replaced. Short
// labels are left alone: they might come out as a benign name's.
func shuffled(rng *rand.Rand, s *Set, _ string) string {
	b := []byte(s.benignLabel(rng, 6))
	if rng.IntN(2) == 0 {
		rng.Shuffle(len(b), func(i, j int) { b[i], b[j] = b[j], b[i] })
		return string(b)
	}
	for range len(b) / 2 { // a place may come up again
		b[rng.IntN(len(b))] = ascii[rng.IntN(len(ascii))]
	}
	return string(b)
}

// moved is the label itself.
func moved(_ *rand.Rand, _ *Set, label string) string { return label }

// disguised is the label with a hyphen in it or a benign name's before it.
func disguised(rng *rand.Rand, s *Set, label string) string {
	if strings.HasPrefix(label, "xn--") {
		return ""
	}
	if len(label) > 3 && rng.IntN(2) == 0 {
		at := 1 + rng.IntN(len(label)-1)
		return label[:at] + "-" + label[at:]
	}
	between := ""
	if rng.IntN(2) == 0 {
		between = "-"
	}
	return s.benignLabel(rng, 3) + between + label
}

// codecs are the alphabets that tunnels encode with: base16, base32, base36 and base64.
var codecs = []string{hexDigits, ascii + "234567", asciiDigit, asciiDigit + "+/"}

// payload is what a tunnel's client sends in place of name, a few characters or as many as fit, in labels; below the
// same zone where name has one.
func payload(rng *rand.Rand, name string) string {
	zone := ""
	if dnsname.Zoned(name) {
		zone = "." + dnsname.Registered(name)
	}
	n := 4 + rng.IntN(20)
	if rng.IntN(2) == 0 {
		n = 24 + rng.IntN(190)
	}
	step := []int{20, 30, 50, 57, dnsname.MaxLabel}[rng.IntN(5)]
	n = min(n, (dnsname.MaxName-len(zone))*step/(step+1)) // a dot behind every label
	var labels []string
	for part := range slices.Chunk([]byte(text(rng, codecs[rng.IntN(len(codecs))], n)), step) {
		labels = append(labels, string(part))
	}
	return strings.Join(labels, ".") + zone
}
