package scan

import (
	"cmp"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
)

// Bounds of what is remembered: suspects of a kind, and pairs that were counted. A flood of one-off names fills them
// and takes no more memory; the report says so.
const (
	mostSuspects = 1 << 16
	mostPairs    = 1 << 20
	mostExamples = 3
)

// Suspect is a registered domain or a client that malicious names speak against.
type Suspect struct {
	// Name is the domain, or the client's address or name.
	Name string `json:"name"`
	// Malicious is how many different malicious names the domain has, or how many different domains with malicious names
	// the client asked for.
	Malicious int `json:"malicious"`
	// Events are those with malicious names.
	Events int64 `json:"events"`
	// Peers is how many clients asked for the domain's malicious names; 0 for a client.
	Peers int `json:"clients,omitempty"`
	// Score is the highest, and Class its name's.
	Score float64 `json:"score"`
	Class string  `json:"class"`
	// Reason is why the name with the highest score was decided so.
	Reason string `json:"reason"`
	// First and Last are the times of the first and the last such event, zero where no source says.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Examples are some of the names, or of the domains.
	Examples []string `json:"examples"`
}

// suspects are found while files are read.
type suspects struct {
	domains, clients table
	pairs            map[uint64]struct{} // domain and name, domain and client, client and domain: those counted
	forgotten        int                 // how often pairs began anew: what is counted may be counted again
	mostPairs        int
	seed             maphash.Seed
}

// table holds the suspects of a kind by name, at most as many as most says.
type table struct {
	by      map[string]*Suspect
	most    int
	dropped int
}

func newSuspects(most, pairs int) *suspects {
	return &suspects{domains: table{map[string]*Suspect{}, most, 0}, clients: table{map[string]*Suspect{}, most, 0},
		pairs: map[uint64]struct{}{}, mostPairs: pairs, seed: maphash.MakeSeed()}
}

// add counts an event if its name is malicious or blocked.
func (s *suspects) add(e *events.Event, d *detect.Decision, client string) {
	if d.Verdict != detect.Malicious && d.Verdict != detect.Blocked {
		return
	}
	name := string(events.AppendLower(nil, e.Name))
	domain := detect.Domain(name)
	if domain == "" {
		domain = name
	}
	of := s.domains.at(domain)
	of.count(e, d)
	if s.fresh("n", domain, name) {
		of.Malicious++
		of.example(name)
	}
	if client == "" {
		return
	}
	if s.fresh("p", domain, client) {
		of.Peers++
	}
	by := s.clients.at(client)
	by.count(e, d)
	if s.fresh("c", client, domain) {
		by.Malicious++
		by.example(domain)
	}
}

// fresh reports whether the pair was not counted before.
func (s *suspects) fresh(kind, a, b string) bool {
	var h maphash.Hash
	h.SetSeed(s.seed)
	for _, part := range []string{kind, a, b} {
		_, _ = h.WriteString(part)
		_ = h.WriteByte(0)
	}
	key := h.Sum64()
	if _, ok := s.pairs[key]; ok {
		return false
	}
	if len(s.pairs) == s.mostPairs {
		clear(s.pairs)
		s.forgotten++
	}
	s.pairs[key] = struct{}{}
	return true
}

// at finds a suspect, or makes one. A full table first drops the half with the fewest malicious names.
func (t *table) at(name string) *Suspect {
	if s, ok := t.by[name]; ok {
		return s
	}
	if len(t.by) == t.most {
		for _, s := range ranked(t.by)[t.most/2:] {
			delete(t.by, s.Name)
			t.dropped++
		}
	}
	s := &Suspect{Name: strings.Clone(name)}
	t.by[s.Name] = s
	return s
}

func (s *Suspect) count(e *events.Event, d *detect.Decision) {
	s.Events++
	if s.Reason == "" || d.Score > s.Score {
		s.Score, s.Class, s.Reason = d.Score, d.Class, d.Reason
	}
	if e.Time.IsZero() {
		return
	}
	if s.First.IsZero() || e.Time.Before(s.First) {
		s.First = e.Time
	}
	if e.Time.After(s.Last) {
		s.Last = e.Time
	}
}

func (s *Suspect) example(name string) {
	if len(s.Examples) < mostExamples {
		s.Examples = append(s.Examples, strings.Clone(name))
	}
}

// ranked lists suspects, the most malicious names first.
func ranked(by map[string]*Suspect) []*Suspect {
	return slices.SortedFunc(maps.Values(by), func(a, b *Suspect) int {
		return cmp.Or(cmp.Compare(b.Malicious, a.Malicious), cmp.Compare(b.Score, a.Score),
			cmp.Compare(b.Events, a.Events), strings.Compare(a.Name, b.Name))
	})
}
