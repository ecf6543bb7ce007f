package rules

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/lines"
)

// windowRule is a rule about the names of a registered domain within some time.
type windowRule struct {
	name      string
	length    time.Duration
	perClient bool
	names     int // so many different names
	long      int // so many queries for long names
	score     func(names int) float64
	reason    string
}

// longName is the least length of a name that Elastic's rule counts as long, in bytes before the registered domain.
const longName = 50

// window rules, with the numbers of their authors.
var windowRules = []windowRule{
	{name: "RITA", length: 24 * time.Hour, names: 100, score: ritaScore, reason: "100 names of a domain in 24 hours"},
	{name: "anomalous-dns", length: time.Hour, names: 9, reason: "more than 8 names of a domain in an hour"},
	{name: "anomalous-dns, resolvers", length: time.Hour, names: 13, reason: "more than 12 names of a domain in an hour"},
	{name: "Elastic", length: 5 * time.Minute, perClient: true, names: 15, long: 25,
		reason: "15 names and 25 long queries of a client for a domain in 5 minutes"},
	{name: "maltrail", length: time.Minute, names: 1000, reason: "1,000 names of a domain in a minute"},
}

// mostNames is the number of names of a window that are told apart. No rule asks for more.
const mostNames = 1000

// ritaScore is the score of RITA v5.1 for so many names, without its modifiers.
func ritaScore(names int) float64 {
	u := float64(names)
	switch {
	case names < 100:
		return 0
	case names < 500:
		return .2 + (u-100)/400*.2
	case names < 800:
		return .4 + (u-500)/300*.2
	}
	return .6 + (min(u, 1000)-800)/200*.2
}

// Hit is a window in which a rule fired.
type Hit struct {
	Rule   string
	Domain string
	Client string // for rules about a client, else ""
	// Start is when the window began, with its first event; the zero value if the events say no time.
	Start time.Time
	// Names is the number of different names, up to 1,000.
	Names  int
	Score  float64 // of rules that have one
	Reason string
}

// Windows counts names of registered domains. One goroutine uses it. Windows begin with a domain's first event and end
// after the rule's time; events without a time are all in one window. Time that runs backwards ends none.
//
// Each rule remembers so many domains as NewWindows says, with at most 1,000 names of 8 bytes: at most some 40 KB for a
// domain that all rules count up to their ends, and 1 KB for one with few names. A flood of other domains makes it
// forget the oldest windows. Hits are bounded by the same number, for each rule.
type Windows struct {
	entries int
	seed    maphash.Seed
	open    []map[string]*window // by rule, then by key
	order   [][]string           // by rule, a ring of keys in the order in which they came
	oldest  []int                // by rule, in order
	hits    [][]Hit
	key     []byte
}

// window is one domain's time.
type window struct {
	start time.Time
	names map[uint64]struct{}
	long  int
	hit   int // index of the hit + 1
}

// NewWindows makes Windows that remember at most so many domains for each rule. 0 is 4,096.
func NewWindows(domains int) *Windows {
	n := len(windowRules)
	w := &Windows{entries: cmp.Or(max(domains, 0), 4096), seed: maphash.MakeSeed(), open: make([]map[string]*window, n),
		order: make([][]string, n), oldest: make([]int, n), hits: make([][]Hit, n)}
	for i := range w.open {
		w.open[i] = map[string]*window{}
	}
	return w
}

// Observe counts an event. Responses are not counted: their queries are. Names that nothing stands before count for no
// rule, and neither do names that are never scored, which have no domain.
func (w *Windows) Observe(e *events.Event) {
	name := lines.View(e.Name)
	if e.Kind == events.Response {
		return
	}
	domain := detect.Domain(name)
	if domain == "" || len(domain) >= len(name) {
		return
	}
	// The underscore is what a resolver asks that minimises names (RFC 9156); anomalous-dns leaves it out as well.
	if strings.HasPrefix(name, "_.") {
		return
	}
	hash := maphash.String(w.seed, strings.ToLower(name))
	for i := range windowRules {
		rule := &windowRules[i]
		w.key = append(w.key[:0], domain...)
		if rule.perClient {
			w.key = append(append(w.key, ' '), e.Client.String()...)
		}
		window := w.window(i, e.Time)
		if len(window.names) < mostNames {
			window.names[hash] = struct{}{}
		}
		if len(name)-len(domain)-1 >= longName {
			window.long++
		}
		if len(window.names) >= rule.names && window.long >= rule.long {
			w.fire(i, window, domain, e)
		}
	}
}

// window is the one that holds key at a time, for rule i.
func (w *Windows) window(i int, at time.Time) *window {
	open := w.open[i][lines.View(w.key)]
	if open == nil {
		open = &window{}
		key := string(w.key)
		w.open[i][key] = open
		if len(w.order[i]) < w.entries {
			w.order[i] = append(w.order[i], key)
		} else {
			delete(w.open[i], w.order[i][w.oldest[i]])
			w.order[i][w.oldest[i]] = key
			w.oldest[i] = (w.oldest[i] + 1) % w.entries
		}
	} else if at.Sub(open.start) < windowRules[i].length {
		return open
	}
	*open = window{start: at, names: map[uint64]struct{}{}}
	return open
}

// fire notes a hit, or more names of one.
func (w *Windows) fire(i int, open *window, domain string, e *events.Event) {
	rule := &windowRules[i]
	if open.hit == 0 {
		if len(w.hits[i]) == w.entries {
			return
		}
		hit := Hit{Rule: rule.name, Domain: strings.Clone(domain), Start: open.start, Reason: rule.reason}
		if rule.perClient {
			hit.Client = strings.Clone(e.Client.String())
		}
		w.hits[i] = append(w.hits[i], hit)
		open.hit = len(w.hits[i])
	}
	hit := &w.hits[i][open.hit-1]
	if hit.Names = len(open.names); rule.score != nil {
		hit.Score = rule.score(hit.Names)
	}
}

// Hits are the windows in which a rule fired so far, by rule, and by time within a rule.
func (w *Windows) Hits() (all []Hit) {
	for _, hits := range w.hits {
		hits = slices.Clone(hits)
		slices.SortStableFunc(hits, func(a, b Hit) int { return a.Start.Compare(b.Start) })
		all = append(all, hits...)
	}
	return all
}
