package synth

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/degas-dns/degas/internal/registry"
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

var families = registry.New[Family]("family")

// Register adds f, and wraps f.Generate so that every family checks its parameters alike. It is called from init and
// panics where the programmer erred: a name that is taken, no generator, a strange class.
func Register(f Family) {
	if f.Generate == nil || f.Class != ClassDGA && f.Class != ClassTunnel {
		panic(fmt.Sprintf("synth: family %q of class %q has no generator or no such class is known", f.Name, f.Class))
	}
	generate, variants := f.Generate, slices.Clone(f.Variants)
	f.Generate = func(p Params) ([]string, error) {
		if p.Count < 0 {
			return nil, fmt.Errorf("synth: %s: negative count %d", f.Name, p.Count)
		}
		if p.Variant == "" && len(variants) > 0 {
			p.Variant = variants[0]
		}
		if p.Variant != "" && !slices.Contains(variants, p.Variant) {
			return nil, fmt.Errorf("synth: %s has no variant %q, known ones are: %s",
				f.Name, p.Variant, strings.Join(variants, ", "))
		}
		p.Date = p.Date.UTC()
		return generate(p)
	}
	families.Register(f.Name, f)
}

// registerDGA registers a family of class ClassDGA. doc and reference are Family's.
func registerDGA(name string, generate func(Params) ([]string, error), doc, reference string, variants ...string) {
	Register(Family{name, ClassDGA, doc, reference, variants, generate})
}

// registerTunnel is registerDGA for ClassTunnel.
func registerTunnel(name string, generate func(Params) ([]string, error), doc, reference string, variants ...string) {
	Register(Family{name, ClassTunnel, doc, reference, variants, generate})
}

// Families lists every registered family, sorted by name.
func Families() []Family { return families.All() }

// Lookup finds a family by name. The error for an unknown name proposes the nearest one and lists all.
func Lookup(name string) (Family, error) { return families.Lookup(name) }

// or fills in a family's defaults where p leaves a zero.
func (p Params) or(seed uint64, date time.Time, count int) Params {
	p.Seed, p.Count = cmp.Or(p.Seed, seed), cmp.Or(p.Count, count)
	if p.Date.IsZero() {
		p.Date = date
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
	names := make([]string, n)
	for i := range names {
		names[i] = next(i)
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
