package baseline

import (
	"math"
	"slices"
	"strings"

	"github.com/degas-dns/degas/model/dnsname"
)

// devoFeatures are those of Devo's log classifier: length, entropy and the share of vowels, of the name without its
// public suffix.
var devoFeatures = []string{"length", "entropy", "vowels"}

// lexicalFeatures are devoFeatures and what else a name's text says at a glance.
var lexicalFeatures = slices.Concat(devoFeatures, []string{
	"digits", "hyphens", "labels", "longest_label", "name_length", "distinct", "longest_consonants", "longest_digits",
	"repeats", "hexadecimal", "digit_changes", "suffix_length", "suffix_labels",
})

// wideFeatures are lexicalFeatures and those that benign names must have been counted for.
var wideFeatures = slices.Concat(lexicalFeatures, gramFeatures)

// view is what a forest sees of a name: the first of wideFeatures.
type view struct {
	features int
	grams    *gramTable // nil where no feature needs it
}

// append appends a name's values. counted says that the table was made of it too.
func (v *view) append(out []float64, name string, counted bool) []float64 {
	text, suffix := withoutSuffix(name)
	to := len(out) + v.features
	if out = appendFeatures(out, name, text, suffix); v.grams != nil {
		var own *ownCounts
		if counted {
			own = newOwnCounts(text)
		}
		out = v.grams.append(out, text, own)
	}
	return out[:to]
}

// appendFeatures appends the values of lexicalFeatures for a name that withoutSuffix has cut.
func appendFeatures(out []float64, name, text, suffix string) []float64 {
	t := tally(text)
	n := float64(max(len(text), 1))
	return append(out, float64(len(text)), t.entropy, float64(t.vowels)/n, float64(t.digits)/n, float64(t.hyphens),
		float64(strings.Count(name, ".")+1), float64(t.longestLabel), float64(len(name)), float64(t.distinct)/n,
		float64(t.consonantRun), float64(t.digitRun), float64(t.repeats)/n, float64(t.hexadecimal)/n, float64(t.changes)/n,
		float64(len(suffix)), float64(strings.Count(suffix, ".")+1))
}

// withoutSuffix cuts a name before its public suffix. A name that is one keeps its text.
func withoutSuffix(name string) (text, suffix string) {
	_, _, suffix = dnsname.Parts(name)
	return strings.TrimSuffix(name, suffix), strings.TrimPrefix(suffix, ".")
}

// counts are what a pass over a text finds.
type counts struct {
	entropy                              float64 // bits a character
	vowels, digits, hyphens, hexadecimal int
	distinct, repeats, changes           int // changes between digit and letter
	longestLabel, consonantRun, digitRun int
	label, consonants, digitsInRow       int // the runs at hand
}

func tally(text string) counts {
	var t counts
	var seen [256]int
	for i := range len(text) {
		c := text[i]
		seen[c]++
		digit, letter := c >= '0' && c <= '9', c >= 'a' && c <= 'z'
		vowel := letter && strings.IndexByte("aeiou", c) >= 0
		t.vowels += toInt(vowel)
		t.digits += toInt(digit)
		t.hyphens += toInt(c == '-')
		t.hexadecimal += toInt(digit || c >= 'a' && c <= 'f')
		t.repeats += toInt(i > 0 && c == text[i-1])
		t.changes += toInt(i > 0 && digit != (text[i-1] >= '0' && text[i-1] <= '9'))
		t.label = (t.label + 1) * toInt(c != '.')
		t.consonants = (t.consonants + 1) * toInt(letter && !vowel)
		t.digitsInRow = (t.digitsInRow + 1) * toInt(digit)
		t.longestLabel = max(t.longestLabel, t.label)
		t.consonantRun = max(t.consonantRun, t.consonants)
		t.digitRun = max(t.digitRun, t.digitsInRow)
	}
	for _, n := range seen {
		if n > 0 {
			t.distinct++
			p := float64(n) / float64(len(text))
			t.entropy -= p * math.Log2(p)
		}
	}
	return t
}

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
