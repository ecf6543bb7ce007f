package storetest

import (
	"cmp"
	"slices"
	"strings"

	"github.com/degas-dns/degas/serve/store"
)

// Truth answers a Store's questions from all events, one by one.
type Truth []store.Event

// Fits reports whether f chooses e.
func Fits(e *store.Event, r store.Range, f store.Filter) bool {
	return !e.Time.Before(r.From) && e.Time.Before(r.To) &&
		(f.Verdict == nil || *f.Verdict == e.Verdict) && (!f.Flagged || e.Flagged()) &&
		(f.Name == "" || f.Name == e.Name) && (f.Domain == "" || f.Domain == e.Domain) &&
		(f.Client == "" || f.Client == e.Client)
}

// Events are the events that f chooses, newest first.
func (all Truth) Events(r store.Range, f store.Filter) []store.Event {
	var out []store.Event
	for i := range all {
		if Fits(&all[i], r, f) {
			out = append(out, all[i])
		}
	}
	slices.SortStableFunc(out, func(a, b store.Event) int { return b.Time.Compare(a.Time) })
	return out
}

// Counts are the counts of events that f chooses. r must have whole slots. The types and rcodes of a Fixture are all
// common ones.
func (all Truth) Counts(r store.Range, step store.Step, f store.Filter) []store.Count {
	sums := map[store.Count]store.Count{}
	for _, e := range all.Events(r, f) {
		n := int64(max(e.Sample, 1))
		key := store.Count{Slot: e.Time.Truncate(step.Duration()), Verdict: e.Verdict, Action: e.Action, Type: e.Type,
			RCode: e.RCode}
		sum := key
		sum.N, sum.ScoreSum = sums[key].N+n, sums[key].ScoreSum+e.Score*float64(n)
		sums[key] = sum
	}
	out := make([]store.Count, 0, len(sums))
	for _, c := range sums {
		out = append(out, c)
	}
	sortCounts(out)
	return out
}

// sortCounts puts counts of a slot in a fixed order.
func sortCounts(all []store.Count) {
	slices.SortStableFunc(all, func(a, b store.Count) int {
		return cmp.Or(a.Slot.Compare(b.Slot), cmp.Compare(a.Verdict, b.Verdict), cmp.Compare(a.Action, b.Action),
			cmp.Compare(a.Type, b.Type), cmp.Compare(a.RCode, b.RCode))
	})
}

// Key is what a top list of a kind has of an event, "" if it counts for none.
func Key(e *store.Event, kind store.Kind) string {
	return [...]string{store.Names: e.Name, store.Domains: e.Domain, store.Clients: e.Client}[kind]
}

// Tops are the exact counts of all keys, most first.
func (all Truth) Tops(r store.Range, kind store.Kind, f store.Filter) []store.Top {
	sums := map[string]int64{}
	for _, e := range all.Events(r, f) {
		if key := Key(&e, kind); key != "" {
			sums[key] += int64(max(e.Sample, 1))
		}
	}
	out := make([]store.Top, 0, len(sums))
	for key, n := range sums {
		out = append(out, store.Top{Key: key, N: n})
	}
	slices.SortFunc(out, func(a, b store.Top) int { return cmp.Or(cmp.Compare(b.N, a.N), strings.Compare(a.Key, b.Key)) })
	return out
}
