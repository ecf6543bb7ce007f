package synth

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Params selects one stream of a family. Zero values mean the family's documented default.
type Params struct {
	// Seed is what the malware's author or a build's configuration sets. Families that know 32-bit
	// seeds use the low 32 bits; those whose seeds are words or domains pick one by Seed.
	Seed uint64
	// Date is the day (UTC) that the names are for. Families without a calendar ignore it.
	Date time.Time
	// Count is how many names are wanted. A family with a finite list returns at most that list.
	Count int
	// Variant is one of Family.Variants; empty means the first of them.
	Variant string
}

// Family is one registered generator.
type Family struct {
	Name      string
	Class     string // ClassDGA or ClassTunnel
	Doc       string // one line for a person: what it is, and what seed and date do
	Reference string // the analysis that the code follows
	Variants  []string
	// Generate returns the first names of the stream that p selects, in the order the malware or the
	// tool makes them. Repeats are kept where the original repeats itself. It fails for a negative
	// count, an unknown variant and for parameters that the family cannot serve.
	Generate func(p Params) ([]string, error)
}

// The classes of names.
const (
	ClassBenign = "benign"
	ClassDGA    = "dga"
	ClassTunnel = "tunnel"
)

var registry = map[string]Family{}

// Register adds f, and wraps f.Generate so that every family checks its parameters alike. It is called
// from init and panics where the programmer erred: a name taken, a missing generator, a strange class.
func Register(f Family) {
	switch _, taken := registry[f.Name]; {
	case taken:
		panic("synth: family " + f.Name + " registered twice")
	case f.Name == "" || f.Generate == nil:
		panic("synth: family without a name or a generator")
	case f.Class != ClassDGA && f.Class != ClassTunnel:
		panic("synth: family " + f.Name + " of class " + f.Class)
	}
	generate, variants := f.Generate, slices.Clone(f.Variants)
	name := f.Name
	f.Generate = func(p Params) ([]string, error) {
		if p.Count < 0 {
			return nil, fmt.Errorf("synth: %s: negative count %d", name, p.Count)
		}
		if p.Variant == "" && len(variants) > 0 {
			p.Variant = variants[0]
		}
		if p.Variant != "" && !slices.Contains(variants, p.Variant) {
			return nil, fmt.Errorf("synth: %s has no variant %q, known ones are: %s",
				name, p.Variant, strings.Join(variants, ", "))
		}
		p.Date = p.Date.UTC()
		return generate(p)
	}
	registry[f.Name] = f
}

// Families lists every registered family, sorted by name.
func Families() []Family {
	return slices.SortedFunc(maps.Values(registry), func(a, b Family) int {
		return strings.Compare(a.Name, b.Name)
	})
}

// Lookup finds a family by name. The error for an unknown name lists the known ones.
func Lookup(name string) (Family, error) {
	if f, ok := registry[name]; ok {
		return f, nil
	}
	known := slices.Sorted(maps.Keys(registry))
	return Family{}, fmt.Errorf("synth: no family %q, known ones are: %s", name, strings.Join(known, ", "))
}

// or fills in a family's defaults where p leaves a zero.
func (p Params) or(seed uint64, date time.Time, count int) Params {
	if p.Seed == 0 {
		p.Seed = seed
	}
	if p.Date.IsZero() {
		p.Date = date
	}
	if p.Count == 0 {
		p.Count = count
	}
	return p
}

// day is a default date, at midnight UTC.
func day(year int, month time.Month, dayOfMonth int) time.Time {
	return time.Date(year, month, dayOfMonth, 0, 0, 0, 0, time.UTC)
}

// daysSinceEpoch counts whole days from 1970-01-01.
func daysSinceEpoch(t time.Time) int { return int(t.Unix() / (24 * 3600)) }

// collect calls next until it has n names.
func collect(n int, next func(i int) string) []string {
	names := make([]string, 0, n)
	for i := range n {
		names = append(names, next(i))
	}
	return names
}

const (
	lower        = "abcdefghijklmnopqrstuvwxyz"
	digits       = "0123456789"
	lowerDigits  = lower + digits
	upperToLower = 'a' - 'A'
)

// spell draws n letters of alphabet, each picked by one call of next.
func spell(n int, alphabet string, next func() uint32) string {
	word := make([]byte, n)
	for i := range word {
		word[i] = alphabet[next()%uint32(len(alphabet))]
	}
	return string(word)
}
