package tally

import (
	"time"

	"github.com/degas-dns/degas/serve/store"
)

// Span is a run of slots of one step, from From, inclusive, to To, exclusive.
type Span struct {
	Step     store.Step
	From, To time.Time
}

// Cover gives the slots that make up r, no time in two of them, with as few slots as it can. It takes whole slots: a
// range that begins or ends within one has all of that slot. Minutes are kept from minutes on, hours from hours on, and
// days for ever.
func Cover(r store.Range, minutes, hours time.Time) []Span {
	minutes, hours = ceil(minutes, store.Hour), ceil(hours, store.Day)
	var out []Span
	at, end := Floor(r.From, store.Minute), ceil(r.To, store.Minute)
	for at.Before(end) {
		step := store.Minute
		switch {
		case at.Before(hours) || Floor(at, store.Day).Equal(at) && !at.Add(store.Day.Duration()).After(end):
			step = store.Day
		case at.Before(minutes) || Floor(at, store.Hour).Equal(at) && !at.Add(store.Hour.Duration()).After(end):
			step = store.Hour
		}
		at = Floor(at, step)
		next := at.Add(step.Duration())
		if last := len(out) - 1; last >= 0 && out[last].Step == step {
			out[last].To = next
		} else {
			out = append(out, Span{step, at, next})
		}
		at = next
	}
	return out
}

// ceil is the first start of a slot at t or after it.
func ceil(t time.Time, step store.Step) time.Time {
	return Floor(t.Add(step.Duration()-time.Nanosecond), step)
}

// Slots is r as whole slots of a step: from From, inclusive, to To, exclusive.
func Slots(r store.Range, step store.Step) Span {
	return Span{step, Floor(r.From, step), ceil(r.To, step)}
}
