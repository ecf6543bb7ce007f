package prepare

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/synth"
	"github.com/degas-dns/degas/model/dnsname"
)

// The tripwire compares the names of each input with what their label predicts. A quick n-gram model, trained on the
// other inputs and on the built-in sample, says how many of them look generated. It finds whole files under a wrong
// label, not single names.
const (
	sampleNames = 2000 // of an input's class
	leastNames  = 20   // different registered domains that a group needs to be judged
	// A group of malicious names is taken for popular ones if so many look benign, and so many have short labels.
	// Families that put words together look benign to n-grams, but their labels are long. One family of many has few
	// names in a sample, so more of them must look so.
	benignShare, familyShare, shortShare = 0.4, 0.6, 0.15
	shortLabel                           = 7
	// A group of benign names is taken for generated ones if so many look so; or if hardly any is short, as in such
	// families.
	generatedShare, noShortShare = 0.45, 0.02
	leastLong                    = 50 // names that the latter takes
	// A group is taken for a tunnel's if so many names look so and at least zoneNames share a registered domain on
	// average. It is taken for none if so many names carry nothing and fewer share a domain: a tunnel's may be short.
	carryingShare, idleShare = 0.8, 0.8
	zoneNames                = 5
)

// nameSample keeps a random choice of an input's names of one class, the same in every run: those with the smallest
// hashes.
type nameSample struct {
	names []sampledName
	limit uint64 // larger hashes are not kept; 0 before the first cut
}

type sampledName struct {
	hash   uint64
	name   string
	family uint16
}

func (s *nameSample) add(name string, family uint16) {
	h := hash64(saltSample, name)
	if s.limit != 0 && h >= s.limit {
		return
	}
	s.names = append(s.names, sampledName{h, strings.Clone(name), family})
	if len(s.names) == 2*sampleNames {
		s.cut()
	}
}

func (s *nameSample) cut() {
	slices.SortFunc(s.names, func(a, b sampledName) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), strings.Compare(a.name, b.name))
	})
	if len(s.names) >= sampleNames {
		s.names = s.names[:sampleNames]
		s.limit = s.names[sampleNames-1].hash
	}
}

// words are the names that are kept, in order of their hashes.
func (s *nameSample) words(families *interner) (out []sampleName) {
	s.cut()
	for _, n := range s.names {
		out = append(out, sampleName{n.name, families.word(n.family)})
	}
	return out
}

// sampleName is a name of a sample, as its file spells it, and its family.
type sampleName struct{ Name, Family string }

// group are names that share an input and a class.
type group struct {
	path    string
	class   datasets.Class
	family  string // of all its names, if it is one family of several in whole
	names   []string
	whole   *group // the input's, which is the group itself if it is no family
	strange []string
	flagged bool
}

// gramCounts counts the character n-grams, n = 2 to 4, of registered labels in hashed buckets.
type gramCounts struct {
	n     [1 << gramBits]float64
	total float64
}

const gramBits = 16

func (g *gramCounts) add(names []string, sign float64) {
	for _, name := range names {
		_, label, _ := dnsname.Parts(name)
		eachGram(label, func(bucket uint64) { g.n[bucket] += sign; g.total += sign })
	}
}

// eachGram calls f with the bucket of every n-gram in a label, with marks for its ends.
func eachGram(label string, f func(bucket uint64)) {
	s := "^" + label + "$"
	for n := 2; n <= 4; n++ {
		for i := 0; i+n <= len(s); i++ {
			f(hash64(saltGram+uint64(n), s[i:i+n]) >> (64 - gramBits))
		}
	}
}

// gramModel is a naive Bayes classifier.
type gramModel [2]gramCounts // of benign names, of malicious ones

func newGramModel(groups []*group) (*gramModel, error) {
	m := &gramModel{}
	rows, err := synth.Sample(synth.SampleOptions{Seed: 1, Benign: sampleNames, DGA: sampleNames, Tunnel: sampleNames / 2})
	if err != nil {
		return nil, fmt.Errorf("check labels: %w", err)
	}
	for _, r := range rows {
		class, err := datasets.ParseClass(r.Class)
		if name, bad := normalize(class, r.Name); err == nil && bad == nil {
			m.of(class).add([]string{name}, 1)
		}
	}
	for _, g := range groups {
		if g.whole == g {
			m.of(g.class).add(g.names, 1)
		}
	}
	return m, nil
}

func (m *gramModel) of(c datasets.Class) *gramCounts { return &m[min(c, 1)] }

// generated reports whether a label looks more like those of malicious names.
func (m *gramModel) generated(label string) bool {
	score := 0.0
	eachGram(label, func(b uint64) {
		score += math.Log((m[1].n[b]/m[1].total + 1e-6) / (m[0].n[b]/m[0].total + 1e-6))
	})
	return score > 0
}

// checkLabels compares each input with the others and fills the manifest's findings. If strict, a finding is an error.
func checkLabels(to *datasets.Manifest, inputs []inputResult, strict bool) error {
	groups := groupsOf(inputs)
	m, err := newGramModel(groups)
	if err != nil {
		return err
	}
	// What was found must not speak for its label, so the rest is judged again without it.
	for more := true; more; {
		more = false
		for _, g := range groups {
			if g.flagged || g.whole.flagged {
				continue
			}
			if text := g.judge(m); text != "" {
				g.flagged, more = true, true
				m.of(g.class).add(g.names, -1)
				g.whole.names = slices.DeleteFunc(g.whole.names, func(n string) bool { return slices.Contains(g.names, n) })
				addFinding(to, g, text)
			}
		}
	}
	for _, g := range groups {
		if n := len(g.strange); n > 0 {
			addFinding(to, g, fmt.Sprintf("families such as %q are words of DNS or of lists, not of malware",
				g.strange[:min(n, 3)]))
		}
	}
	all := to.Findings
	slices.SortStableFunc(all, func(a, b datasets.Finding) int { return strings.Compare(a.Path, b.Path) })
	if len(all) > 0 && strict {
		return fmt.Errorf("%s: %s (--strict; %d findings in all)", all[0].Path, all[0].Text, len(all))
	}
	return nil
}

// hardOnPurpose are the files of benign names that degas' own sources generate because they look malicious.
var hardOnPurpose = regexp.MustCompile(`^generated(-later)?/benign/`)

func addFinding(to *datasets.Manifest, g *group, text string) {
	if hardOnPurpose.MatchString(g.path) {
		return
	}
	to.Findings = append(to.Findings, datasets.Finding{Path: g.path, Text: text})
}

// groupsOf are the samples of inputs by class, and of each family where an input has several.
func groupsOf(inputs []inputResult) (groups []*group) {
	for _, in := range inputs {
		for class, names := range in.Samples {
			whole := &group{path: in.Report.Path, class: datasets.Class(class)}
			whole.whole = whole
			families := map[string]*group{}
			for _, n := range names {
				name, err := normalize(whole.class, n.Name)
				if err != nil {
					continue
				}
				f := families[n.Family]
				if f == nil {
					f = &group{path: whole.path, class: whole.class, family: n.Family, whole: whole}
					families[n.Family] = f
					if oddFamilies[f.family] {
						whole.strange = append(whole.strange, f.family)
					}
				}
				f.names, whole.names = append(f.names, name), append(whole.names, name)
			}
			if len(whole.names) == 0 {
				continue
			}
			slices.Sort(whole.strange)
			if groups = append(groups, whole); len(families) == 1 {
				continue
			}
			for _, f := range slices.SortedFunc(maps.Values(families), func(a, b *group) int {
				return strings.Compare(a.family, b.family)
			}) {
				if f.family != "" {
					groups = append(groups, f)
				}
			}
		}
	}
	return groups
}

// judge says what is wrong with a group's label, "" if nothing seems to be. The input itself has no say in it.
func (g *group) judge(m *gramModel) string {
	own := m.of(g.class)
	own.add(g.whole.names, -1)
	defer own.add(g.whole.names, 1)
	l := g.look(m)
	all, names, enough := float64(l.registered), float64(len(g.names)), benignShare
	label := g.class.String()
	if g.family != "" {
		label += " of family " + g.family
		enough = familyShare
	}
	switch {
	case len(g.names) < leastNames:
		return ""
	case g.class != tunnel && float64(l.carrying) >= carryingShare*names && zoneNames*all <= names:
		return fmt.Sprintf("%d of %d names labelled %s look like those of a tunnel, such as %s", l.carrying, len(g.names),
			label, some(g.names))
	case g.class == tunnel && float64(len(l.idle)) >= idleShare*names && zoneNames*all > names:
		return fmt.Sprintf("%d of %d names labelled %s have nothing before their registered domain that a tunnel could "+
			"carry, such as %s", len(l.idle), len(g.names), label, some(l.idle))
	case g.class == tunnel || l.registered < leastNames: // the domains of tunnels look like any others
		return ""
	case g.class == benign && float64(len(l.generated)) >= generatedShare*all:
		return fmt.Sprintf("%.0f %% of the names labelled %s look generated, such as %s",
			100*float64(len(l.generated))/all, label, some(l.generated))
	case g.class == benign && l.registered >= leastLong && float64(l.short) <= noShortShare*all:
		return fmt.Sprintf("hardly any of the names labelled %s is short, as in lists that an algorithm put together from "+
			"words, such as %s", label, some(g.names))
	case g.class != benign && float64(len(l.ordinary)) >= enough*all && float64(l.short) >= shortShare*all:
		return fmt.Sprintf("%.0f %% of the names labelled %s look like popular ones, such as %s",
			100*float64(len(l.ordinary))/all, label, some(l.ordinary))
	}
	return ""
}

// look is what a group's names look like.
type look struct {
	carrying   int      // look like a tunnel's
	idle       []string // are whole names that do not
	registered int      // different registered domains, of which:
	short      int
	generated  []string
	ordinary   []string
}

func (g *group) look(m *gramModel) (l look) {
	registered := map[string]bool{}
	for _, name := range g.names {
		if m.carries(name) {
			l.carrying++
		} else if dnsname.Zoned(name) {
			l.idle = append(l.idle, name)
		}
		key := dnsname.Registered(name)
		if registered[key] {
			continue
		}
		registered[key] = true
		_, label, _ := dnsname.Parts(name)
		if len(label) <= shortLabel {
			l.short++
		}
		if m.generated(label) {
			l.generated = append(l.generated, name)
		} else {
			l.ordinary = append(l.ordinary, name)
		}
	}
	l.registered = len(registered)
	return l
}

// carries reports whether a name looks like a tunnel's: something long or generated stands before a registered domain.
func (m *gramModel) carries(name string) bool {
	host, _, _ := dnsname.Parts(name)
	longest := ""
	for label := range strings.SplitSeq(host, ".") {
		if len(label) > len(longest) {
			longest = label
		}
	}
	return len(name) >= longName || len(longest) > shortLabel && m.generated(longest)
}

// some are examples.
func some(names []string) string { return strings.Join(names[:min(len(names), 3)], ", ") }

// longName is a length in bytes that few names but tunnels' reach.
const longName = 60

const (
	benign = datasets.Benign
	tunnel = datasets.Tunnel
)

// oddFamilies are words that a column of families has only if it holds something else: query types, DNS classes, states
// of answers, categories, countries.
var oddFamilies = func() map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(`a aaaa any axfr caa cname dnskey ds https mx naptr ns nsec nsec3 opt ptr rrsig
		soa spf srv svcb tlsa txt in ch hs inet inet6 ipv4 ipv6 udp tcp tls doh dot
		query response forwarded cached blocked allowed noerror nxdomain servfail
		refused formerr yes no true false news sports shopping business technology
		entertainment education games health finance travel social us uk gb de fr nl es
		it pt pl ru cn jp kr br au ca ch se fi dk cz at be eu com net org info germany
		france spain italy china russia japan brazil canada australia`) {
		out[w] = true
	}
	return out
}()
