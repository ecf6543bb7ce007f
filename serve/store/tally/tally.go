// Package tally counts events in memory, so that a store counts each of them, whatever it keeps as a row. [Minutes]
// holds the running minutes: exact counts, top lists with their error, and sketches of how many different keys there
// were. All memory is bounded: a flood of names that never come again costs no more than any other traffic.
//
// Every kind of store uses it, so that all of them answer alike.
package tally

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/serve/store"
)

// MaxSkew is how far an event's time may lie in the future. Beyond, the clock of its source is wrong.
const MaxSkew = 5 * time.Minute

// RareRCode stands in counts for response codes above REFUSED, which say little about names.
const RareRCode events.RCode = 4095

// Settle makes e an event as stores keep it: its time in UTC and to the millisecond, its texts of valid length.
//
// An event without a time, before 1970, or more than MaxSkew in the future gets the time now: a source with a wrong
// clock must not fill slots that nobody looks at, nor stand before all others for years.
func Settle(e *store.Event, now time.Time) {
	if e.Time.Before(time.Unix(0, 0)) || e.Time.After(now.Add(MaxSkew)) {
		e.Time = now
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	for _, text := range []*string{&e.Name, &e.Domain, &e.Client, &e.Class, &e.Reason, &e.Entry, &e.Model} {
		if len(*text) > store.MaxName {
			*text = strings.ToValidUTF8((*text)[:store.MaxName], "")
		}
	}
	e.Sample = max(e.Sample, 1)
}

// CountKey is what events are counted by within a slot.
type CountKey struct {
	Slot    int64 // Unix seconds of the slot's start
	Verdict uint8
	Action  uint8
	Type    events.Type
	RCode   events.RCode
}

// Sum is how many events there were, and the sum of their scores.
type Sum struct {
	N     int64
	Score float64
}

// Counts are exact counts of events by slot.
type Counts map[CountKey]Sum

// Add counts e.Sample events in the minute of e.Time.
func (c Counts) Add(e *store.Event) {
	n := e.Weight()
	c.add(CountKey{slot(e.Time, store.Minute), uint8(e.Verdict), uint8(e.Action), countedType(e.Type),
		countedRCode(e.RCode)}, Sum{n, e.Score * float64(n)})
}

func (c Counts) add(k CountKey, s Sum) {
	old := c[k]
	c[k] = Sum{old.N + s.N, old.Score + s.Score}
}

// AddAll adds the counts of others.
func (c Counts) AddAll(others Counts) {
	for k, s := range others {
		c.add(k, s)
	}
}

// By are the counts in slots of a step, which may not be narrower than the slots of c.
func (c Counts) By(step store.Step) Counts {
	out := make(Counts, len(c))
	for k, s := range c {
		k.Slot = Floor(time.Unix(k.Slot, 0), step).Unix()
		out.add(k, s)
	}
	return out
}

// List are the counts as a Store gives them: oldest first, and in a fixed order within a slot.
func (c Counts) List() []store.Count {
	out := make([]store.Count, 0, len(c))
	for _, k := range slices.SortedFunc(maps.Keys(c), compareKeys) {
		out = append(out, k.Count(c[k]))
	}
	return out
}

// slot is the start of t's slot in Unix seconds.
func slot(t time.Time, step store.Step) int64 { return Floor(t, step).Unix() }

// Floor is the start of the slot of a step that t lies in. Days are those of UTC.
func Floor(t time.Time, step store.Step) time.Time { return t.UTC().Truncate(step.Duration()) }

// countedTypes are the types that have counts of their own. Whoever asks chooses the type, so that each of the 65,536
// as a row of its own would let strangers fill the disk.
var countedTypes = func() map[events.Type]bool {
	out := map[events.Type]bool{}
	for _, name := range strings.Fields("A NS CNAME SOA NULL PTR MX TXT AAAA SRV NAPTR DS DNSKEY SVCB HTTPS ANY CAA") {
		t, _ := events.ParseType(name)
		out[t] = true
	}
	return out
}()

func countedType(t events.Type) events.Type {
	if countedTypes[t] {
		return t
	}
	return events.NoType
}

func countedRCode(c events.RCode) events.RCode {
	if c < events.NoRCode || c > events.Refused {
		return RareRCode
	}
	return c
}
