package metrics

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"golang.org/x/net/idna"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/dnsname"
)

// Probe is how scores shift when names are changed on purpose: in ways that change nothing, that a person would not
// notice, or that an attacker who wants to pass would choose. The names are drawn from the sample, at most a thousand
// of each kind.
type Probe struct {
	Name  string `json:"name"`
	What  string `json:"what"`
	Of    string `json:"of"` // benign or malicious: the names that were changed
	Names int    `json:"names"`
	// Neutral says that the change does not change what a name stands for: it must not change a score.
	Neutral bool `json:"changes_nothing,omitempty"`
	// Before and After are mean scores; FlaggedBefore and FlaggedAfter the shares called malicious at the model's
	// threshold.
	Before        Number `json:"mean_score_before"`
	After         Number `json:"mean_score_after"`
	FlaggedBefore Number `json:"flagged_before"`
	FlaggedAfter  Number `json:"flagged_after"`
}

// Broken reports whether a neutral change moved the mean score, or the share called malicious, by more than a point.
func (p Probe) Broken() bool {
	moved := max(math.Abs(float64(p.After-p.Before)), math.Abs(float64(p.FlaggedAfter-p.FlaggedBefore)))
	return p.Neutral && moved > 0.01
}

// probeNames bounds the names a probe changes.
const probeNames = 1000

// change is one way to change names.
type change struct {
	name, what        string
	benign, malicious bool // which names it is tried on
	apply             changer
	neutral           bool // as Probe has it
}

// changer changes a name; others are benign ones. It returns "" if it does not apply to the name.
type changer func(rng *rand.Rand, name string, others []string) string

// inLabel is a changer of the registered label, as f changes it.
func inLabel(f changer) changer {
	return func(rng *rand.Rand, name string, others []string) string {
		host, label, suffix := dnsname.Parts(name)
		if label = f(rng, label, others); label == "" {
			return ""
		}
		return host + label + suffix
	}
}

var changes = []change{
	{"www", "www. in front", true, true,
		func(_ *rand.Rand, name string, _ []string) string { return "www." + name }, true},
	{"trailing dot", "written as fully qualified", true, true,
		func(_ *rand.Rand, name string, _ []string) string { return name + "." }, true},
	{"mixed case", "every letter's case at random, as resolvers do (DNS 0x20)", true, true, mixCase, true},
	{"hash host", "twelve hexadecimal digits as a host, as content networks name theirs", true, false,
		func(rng *rand.Rand, name string, _ []string) string {
			return fmt.Sprintf("%012x.%s", rng.Uint64()>>16, name)
		}, false},
	{"international", "one vowel with an accent, in Punycode", true, false, inLabel(accent), false},
	{"look-alike", "one letter replaced by the digit it resembles", true, false, inLabel(lookAlike), false},
	{"CharBot", "two characters of the registered label replaced at random" +
		" (Peck et al. 2019, doi:10.1109/ACCESS.2019.2927075)", true, false, inLabel(charBot), false},
	{"word pair", "the registered labels of two benign names joined, as dictionary DGAs do", true, false, wordPair, false},
	{"hyphenated", "a hyphen in the middle of the registered label", false, true, inLabel(hyphenate), false},
	{"padded", "a word of a benign name in front of the registered label", false, true, inLabel(padWord), false},
}

// Probes changes names of s and scores them before and after with c, at its threshold. seed draws names and changes.
func Probes(ctx context.Context, c *model.Classifier, s *Sample, seed uint64) ([]Probe, error) {
	rng := rand.New(rand.NewPCG(seed, 0x70726f6265))
	benign, malicious := drawNames(rng, s, false), drawNames(rng, s, true)
	var out []Probe
	for _, ch := range changes {
		for _, of := range []struct {
			use   bool
			what  string
			names []string
		}{{ch.benign, "benign", benign}, {ch.malicious, "malicious", malicious}} {
			if !of.use {
				continue
			}
			p := Probe{Name: ch.name, What: ch.what, Of: of.what, Neutral: ch.neutral}
			if err := p.measure(ctx, c, ch, rng, of.names, benign); err != nil {
				return nil, fmt.Errorf("probe %s: %w", ch.name, err)
			}
			if p.Names > 0 {
				out = append(out, p)
			}
		}
	}
	return out, nil
}

// drawNames are names of one kind in random order.
func drawNames(rng *rand.Rand, s *Sample, malicious bool) []string {
	var out []string
	for _, i := range rng.Perm(len(s.Names)) {
		if (s.Truth[i] != 0) == malicious && len(out) < probeNames {
			out = append(out, s.Names[i])
		}
	}
	return out
}

// measure fills p in.
func (p *Probe) measure(
	ctx context.Context, c *model.Classifier, ch change, rng *rand.Rand, names, others []string,
) (err error) {
	var before, after []string
	for _, n := range names {
		changed, err := dnsname.Normalize(ch.apply(rng, n, others))
		if err != nil {
			continue // it does not fit, or makes the name too long
		}
		before, after = append(before, n), append(after, changed)
	}
	if p.Names = len(before); p.Names == 0 {
		return nil
	}
	if p.Before, p.FlaggedBefore, err = meanScore(ctx, c, before); err != nil {
		return err
	}
	p.After, p.FlaggedAfter, err = meanScore(ctx, c, after)
	return err
}

// meanScore is the mean score of names and the share that c calls malicious.
func meanScore(ctx context.Context, c *model.Classifier, names []string) (mean, flagged Number, err error) {
	s := Sample{Labels: c.Model().Spec.Labels, Names: names, Probabilities: make([]float32, len(names)*c.Width())}
	if err := c.ProbabilitiesFolded(ctx, names, s.Probabilities); err != nil {
		return 0, 0, err
	}
	for i := range names {
		mean += Number(s.Score(i))
		if s.Predicted(i, c.Model().Threshold) != 0 {
			flagged++
		}
	}
	n := Number(len(names))
	return mean / n, flagged / n, nil
}

func mixCase(rng *rand.Rand, name string, _ []string) string {
	b := []byte(name)
	for i, ch := range b {
		if 'a' <= ch && ch <= 'z' && rng.IntN(2) == 0 {
			b[i] = ch - 'a' + 'A'
		}
	}
	return string(b)
}

var accents = strings.NewReplacer("a", "á", "e", "é", "i", "í", "o", "ö", "u", "ü")

func accent(rng *rand.Rand, label string, _ []string) string {
	ascii, err := idna.Punycode.ToASCII(replaceOne(rng, label, "aeiou", accents))
	if err != nil {
		return ""
	}
	return ascii
}

var resembling = strings.NewReplacer("o", "0", "l", "1", "i", "1", "e", "3", "a", "4", "s", "5")

func lookAlike(rng *rand.Rand, label string, _ []string) string {
	return replaceOne(rng, label, "olieas", resembling)
}

// replaceOne replaces one of chars at a random place where one stands; the result is "" where none does.
func replaceOne(rng *rand.Rand, label, chars string, by *strings.Replacer) string {
	var places []int
	for i := range len(label) {
		if strings.IndexByte(chars, label[i]) >= 0 {
			places = append(places, i)
		}
	}
	if len(places) == 0 {
		return ""
	}
	at := places[rng.IntN(len(places))]
	return label[:at] + by.Replace(label[at:at+1]) + label[at+1:]
}

func charBot(rng *rand.Rand, label string, _ []string) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	if len(label) < 6 {
		return "" // as the paper has it
	}
	b := []byte(label)
	for _, at := range rng.Perm(len(b))[:2] {
		b[at] = letters[rng.IntN(len(letters))]
	}
	return string(b)
}

func wordPair(rng *rand.Rand, name string, others []string) string {
	_, label, suffix := dnsname.Parts(name)
	return label + wordOf(rng, others) + suffix
}

// wordOf is the registered label of one of names.
func wordOf(rng *rand.Rand, names []string) string {
	_, label, _ := dnsname.Parts(names[rng.IntN(len(names))])
	return label
}

func hyphenate(_ *rand.Rand, label string, _ []string) string {
	if len(label) < 4 {
		return ""
	}
	return label[:len(label)/2] + "-" + label[len(label)/2:]
}

func padWord(rng *rand.Rand, label string, others []string) string {
	if len(others) == 0 {
		return ""
	}
	return wordOf(rng, others) + "-" + label
}
