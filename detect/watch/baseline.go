package watch

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/userfile"
)

// Baseline is what is usual in a network, learned while nothing was wrong.
type Baseline struct {
	// Version is of the format: 1.
	Version int `json:"version"`
	// Made is when, and From and To are the times of the events.
	Made time.Time `json:"made"`
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Model is the SHA-256 of the weights whose scores Clean counts.
	Model string `json:"model"`
	// Events is how many there were, Pairs how many clients with a new domain a day, and Gated how many domains had enough
	// names a day to be looked at.
	Events int64   `json:"events"`
	Pairs  float64 `json:"pairs_per_day"`
	Gated  float64 `json:"domains_per_day"`
	// Clean counts domains by the bin of their scores.
	Clean [bins]int64 `json:"clean"`
	// Domains are those with many names. They are not found again.
	Domains []string `json:"domains"`
}

// Learn makes a Baseline of a Watch that is not live, without what was found: what its Findings returned.
func (w *Watch) Learn(found []Finding, now time.Time) *Baseline {
	days := w.span.days()
	b := &Baseline{Version: 1, Made: now.UTC().Truncate(time.Second), Model: w.o.Tables.Model, Events: w.span.Events,
		Pairs: float64(w.span.Pairs) / days, Gated: float64(len(w.judged.zones)) / days, Domains: []string{}}
	if w.span.First != 0 {
		b.From, b.To = time.Unix(w.span.First, 0).UTC(), time.Unix(w.span.Last, 0).UTC()
	}
	for z := range w.judged.zones {
		carried := slices.ContainsFunc(found, func(f Finding) bool { return f.Kind == Tunnel && f.Domain == z.Domain })
		if z.Domain != "" && !carried {
			b.Domains = append(b.Domains, z.Domain)
		}
	}
	slices.Sort(b.Domains)
	for _, t := range w.before {
		for client, a := range t.By {
			if slices.ContainsFunc(found, func(f Finding) bool { return f.Kind == DGAClient && f.Client == client }) {
				continue
			}
			for _, v := range a.Sample.Values {
				if a.counts(v) {
					b.Clean[v&askBin]++
				}
			}
		}
	}
	return b
}

// usualZone reports whether a zone had many names when b was learned.
func (b *Baseline) usualZone(z zone) bool {
	if b == nil || z.Domain == "" {
		return false
	}
	_, found := slices.BinarySearch(b.Domains, z.Domain)
	return found
}

// prior is how many names of the shipped tables weigh as much as those of a Baseline.
const prior = 2000

// tables are t with the clean names of the Baseline counted in, if they are scores of the same model.
func (b *Baseline) tables(t *Tables) *Tables {
	total := 0.0
	for _, n := range b.Clean {
		total += float64(n)
	}
	if b.Model != t.Model || total == 0 {
		return t
	}
	own := *t
	for i, n := range b.Clean {
		own.Clean[i] = (t.Clean[i]*prior + float64(n)) / (prior + total)
	}
	own.weigh()
	return &own
}

// Write writes the Baseline to a file of JSON.
func (b *Baseline) Write(path string) error { return atomicfile.WriteJSON(path, b) }

// mostBaseline bounds a file in bytes.
const mostBaseline = 64 << 20

// ReadBaseline reads what Write wrote.
func ReadBaseline(path string) (*Baseline, error) {
	text, err := userfile.Read(path, mostBaseline)
	if err != nil {
		return nil, err
	}
	b, err := ParseBaseline(text)
	if err != nil {
		return nil, fmt.Errorf("read baseline %s: %w. Try: degas scan --learn %s", path, err, path)
	}
	return b, nil
}

// ParseBaseline reads the text of a file that Write wrote.
func ParseBaseline(text []byte) (*Baseline, error) {
	b := &Baseline{}
	if err := json.Unmarshal(text, b); err != nil {
		return nil, err
	}
	if b.Version != 1 {
		return nil, fmt.Errorf("its version is %d, this degas reads 1", b.Version)
	}
	if b.Pairs < 0 || b.Gated < 0 || slices.ContainsFunc(b.Clean[:], func(n int64) bool { return n < 0 }) {
		return nil, errors.New("a count is negative")
	}
	for i, domain := range b.Domains { // a person may have written it
		b.Domains[i] = strings.ToLower(strings.TrimSuffix(domain, "."))
	}
	slices.Sort(b.Domains)
	return b, nil
}
