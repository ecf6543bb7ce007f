package trainer

import (
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
	decimals   = "0123456789"
	hexDigits  = decimals + "abcdef"
	ascii      = "abcdefghijklmnopqrstuvwxyz"
	asciiDigit = ascii + decimals
)

// inventions are how the registered label of a DGA name can come about, after the kinds of algorithm that Plohmann et al.
// (USENIX Security 2016) tell apart: arithmetic, hashes, words, permutations. Each gives "" where it finds nothing to
// work on. One that stands twice is drawn twice as often.
var inventions = []func(rng *rand.Rand, s *Set, label string) string{
	letters, letters, hashes, hashes, syllables, words, shuffled, moved, disguised,
}

// invented is a malicious name of a family that nobody has: it takes the place of the p-th, whose class it has. A model that
// only sees the families of its lists learns them by heart, their lengths, letters and top-level domains, and misses the
// next one.
func (s *Set) invented(rng *rand.Rand, p uint32) string {
	name := s.Name(int(p))
	if s.class(p) == datasets.Tunnel {
		return payload(rng)
	}
	own, suffix := registeredLabel(name)
	label := inventions[rng.IntN(len(inventions))](rng, s, own)
	if rng.IntN(4) > 0 { // most under another suffix: a family's own gives it away
		_, suffix = registeredLabel(s.Name(rng.IntN(s.Len())))
	}
	if label = strings.Trim(label, "-"); label == "" || len(label) > dnsname.MaxLabel || len(label)+len(suffix) > dnsname.MaxName {
		return name
	}
	return label + suffix
}

// registeredLabel is the first label of a name's registered domain and what follows it, with its dot.
func registeredLabel(name string) (label, suffix string) {
	label, suffix, found := strings.Cut(dnsname.Registered(name), ".")
	if found {
		suffix = "." + suffix
	}
	return label, suffix
}

// benignLabel is that of a benign name; "" where a few draws find none.
func (s *Set) benignLabel(rng *rand.Rand) string {
	for range 64 {
		if i := rng.IntN(s.Len()); s.class(uint32(i)) == datasets.Benign {
			label, _ := registeredLabel(s.Name(i))
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

// letters are letters, or letters and digits, of an alphabet that may lack some.
func letters(rng *rand.Rand, _ *Set, _ string) string {
	alphabet := ascii
	switch rng.IntN(6) {
	case 0:
		alphabet = asciiDigit
	case 1:
		alphabet = some(rng, asciiDigit, 8+rng.IntN(18))
	case 2:
		alphabet = some(rng, ascii, 8+rng.IntN(16))
	}
	return text(rng, alphabet, 5+rng.IntN(24))
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
	label := ""
	for range 2 + rng.IntN(2) {
		label += s.benignLabel(rng)
	}
	return label
}

// shuffled is a benign name's label with its letters in another order, or half of them replaced.
func shuffled(rng *rand.Rand, s *Set, _ string) string {
	b := []byte(s.benignLabel(rng))
	if rng.IntN(2) == 0 {
		rng.Shuffle(len(b), func(i, j int) { b[i], b[j] = b[j], b[i] })
		return string(b)
	}
	for range min(len(b), max(2, len(b)/2)) {
		b[rng.IntN(len(b))] = ascii[rng.IntN(len(ascii))]
	}
	return string(b)
}

// moved is the label itself.
func moved(_ *rand.Rand, _ *Set, label string) string { return label }

// disguised is the label with a hyphen in it or a benign name's before it.
func disguised(rng *rand.Rand, s *Set, label string) string {
	if len(label) > 3 && rng.IntN(2) == 0 {
		at := 1 + rng.IntN(len(label)-1)
		return label[:at] + "-" + label[at:]
	}
	between := ""
	if rng.IntN(2) == 0 {
		between = "-"
	}
	return s.benignLabel(rng) + between + label
}

// codecs are the alphabets that tunnels encode with: counters, base16, base32, base36 and base64.
var codecs = []string{decimals, hexDigits, ascii + "234567", asciiDigit, asciiDigit + "+/"}

// payload is what a tunnel's client sends, without the tunnel's zone: a few characters or as many as fit, in labels.
func payload(rng *rand.Rand) string {
	n := 4 + rng.IntN(20)
	if rng.IntN(2) == 0 {
		n = 24 + rng.IntN(190)
	}
	codec := codecs[rng.IntN(len(codecs))]
	data := text(rng, codec, n)
	if codec == decimals || rng.IntN(2) == 0 { // what kind of packet it is; digits alone are an address
		data = text(rng, ascii, 1) + data
	}
	step := []int{20, 30, 50, 57, dnsname.MaxLabel}[rng.IntN(5)]
	var labels []string
	for part := range slices.Chunk([]byte(data), step) {
		labels = append(labels, string(part))
	}
	return strings.Join(labels, ".")
}
