package console

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/serve/store"
)

// choice is an option of a form's field.
type choice struct{ Value, Text string }

// timespan is a period with what pages of single rows need.
type timespan struct {
	period
	Text  string
	Range store.Range
	bar   time.Duration
}

// mostBars bounds the bars of a chart.
const mostBars = 240

// periodOf reads range, or from and to.
func periodOf(v *visit, now time.Time) (timespan, error) {
	p, err := readPeriod(v.q, now)
	if err != nil {
		return timespan{}, err
	}
	t := timespan{period: p, Text: "the time chosen", Range: p.of(), bar: time.Minute}
	if i := slices.IndexFunc(ranges, func(s span) bool { return s.Name == p.Name }); i >= 0 {
		t.Text, t.Range.To = "the last "+ranges[i].Text, now.Add(time.Minute)
	}
	for _, width := range []time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour, 30 * 24 * time.Hour,
		365 * 24 * time.Hour} {
		if t.Range.To.Sub(t.Range.From)/t.bar > mostBars/2 {
			t.bar = width
		}
	}
	return t, nil
}

// look is what was read of the kept events, newest first.
type look struct {
	Events []store.Event
	More   bool // there are older ones
	// Late says that the time was over before all was read, but for what is newer than Since.
	Late  bool
	Since time.Time
	// Sampled says that events stand for several.
	Sampled bool
}

// lookTime bounds how long one look may take. A page has a few of them.
const lookTime = 4 * time.Second

// look reads at most n events. A store may read all its rows to find those of a name or a client, so it is asked for
// one hour first, then for the two before it, and so on: if the time is over, the newest events are there.
func (c *Console) look(ctx context.Context, r store.Range, f store.Filter, n int) (l look, err error) {
	within, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	for width := time.Hour; r.From.Before(r.To) && !l.More && !l.Late; width *= 2 {
		part := r
		if from := r.To.Add(-width); from.After(r.From) {
			part.From = from
		}
		if err := c.lookAt(within, part, f, n, &l); within.Err() != nil && ctx.Err() == nil {
			l.Late = true
		} else if err != nil {
			return l, err
		} else {
			r.To, l.Since = part.From, part.From
		}
	}
	l.Sampled = slices.ContainsFunc(l.Events, func(e store.Event) bool { return e.Sample > 1 })
	return l, nil
}

// lookAt adds the events of a part of the time, until there are n.
func (c *Console) lookAt(ctx context.Context, r store.Range, f store.Filter, n int, l *look) error {
	cursor := store.Cursor("")
	for {
		page, err := c.o.Store.Events(ctx, r, f, cursor, min(n-len(l.Events)+1, 1000))
		if err != nil {
			return err
		}
		l.Events = append(l.Events, page.Events...)
		if len(l.Events) > n {
			l.Events, l.More = l.Events[:n], true
			return nil
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}

// N is how many questions the events stand for.
func (l *look) N() (n int64) {
	for i := range l.Events {
		n += l.Events[i].Weight()
	}
	return n
}

// First and Last are when the events were; zero without any.
func (l *look) First() time.Time {
	if len(l.Events) == 0 {
		return time.Time{}
	}
	return l.Events[len(l.Events)-1].Time
}

// Last is the newest event's time.
func (l *look) Last() time.Time {
	if len(l.Events) == 0 {
		return time.Time{}
	}
	return l.Events[0].Time
}

// tallied is a key of events with what is known of it.
type tallied struct {
	Key        string
	N, Flagged int64
	Newest     store.Event
	Decided    string // the decision in force about the name, "" if there is none
	Pattern    string // of that decision
}

// tally counts events by a key, the most frequent first, at most n. Events without a key are left out.
func tally(all []store.Event, n int, key func(*store.Event) string) (out []tallied, more int) {
	by := map[string]*tallied{}
	for i := range all { // newest first
		e := &all[i]
		k := key(e)
		if k == "" {
			continue
		}
		t := by[k]
		if t == nil {
			t = &tallied{Key: k, Newest: *e}
			by[k] = t
		}
		t.N += e.Weight()
		if e.Flagged() {
			t.Flagged += e.Weight()
		}
	}
	for _, t := range slices.SortedFunc(maps.Values(by), func(a, b *tallied) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Key, b.Key))
	}) {
		if len(out) < n {
			out = append(out, *t)
		}
	}
	return out, len(by) - len(out)
}

// bars is a chart of counts over time. Its template is "bars" in parts.html. Lengths are in units of the drawing: a bar
// has a width of 10, and the highest one a height of 100.
type bars struct {
	Label, Text string
	Width       int
	Bars        []bar // those that are not empty
	From, To    time.Time
	Parts       bool // bars have a part of flagged questions
}

type bar struct {
	At                      time.Time
	N, Flagged              int64
	X, Y, Height            int
	FlaggedY, FlaggedHeight int
}

// newBars draws counts by slot.
func newBars(label string, start time.Time, width time.Duration, n, flagged []int64) *bars {
	b := &bars{Label: label, Width: 10 * max(len(n), 12), From: start, Parts: flagged != nil,
		To: start.Add(time.Duration(max(len(n), 12)) * width)}
	var most, sum, bad int64
	var peak time.Time
	for i, x := range n {
		at := start.Add(time.Duration(i) * width)
		if sum += x; x > most {
			most, peak = x, at
		}
		if flagged != nil {
			bad += flagged[i]
		}
	}
	height := func(x int64) int {
		if x == 0 {
			return 0
		}
		return max(int(100*x/most), 2)
	}
	for i, x := range n {
		if x == 0 {
			continue
		}
		one := bar{At: start.Add(time.Duration(i) * width), N: x, X: 10 * i, Height: height(x)}
		if flagged != nil {
			one.Flagged, one.FlaggedHeight = flagged[i], height(flagged[i])
		}
		one.Y, one.FlaggedY = 100-one.Height, 100-one.FlaggedHeight
		b.Bars = append(b.Bars, one)
	}
	if b.Text = "nothing"; sum > 0 {
		b.Text = printable.Grouped(int(sum)) + " in all"
		if flagged != nil {
			b.Text += ", " + printable.Grouped(int(bad)) + " of them flagged"
		}
		b.Text += fmt.Sprintf("; the most in %s are %s, from %s on", spell(width), printable.Grouped(int(most)),
			peak.UTC().Format("2006-01-02 15:04 UTC"))
	}
	return b
}

// barsOf counts events by time.
func (p timespan) barsOf(label string, all []store.Event) *bars {
	start := p.Range.From.UTC().Truncate(p.bar)
	n := make([]int64, min(int(p.Range.To.Add(-time.Nanosecond).Sub(start)/p.bar)+1, mostBars))
	flagged := make([]int64, len(n))
	for i := range all {
		e := &all[i]
		if at := int(e.Time.Sub(start) / p.bar); at >= 0 && at < len(n) {
			n[at] += e.Weight()
			if e.Flagged() {
				flagged[at] += e.Weight()
			}
		}
	}
	return newBars(label, start, p.bar, n, flagged)
}

// timelineOf draws a finding's timeline, nil if it has none.
func timelineOf(t watch.Timeline) *bars {
	if len(t.Counts) == 0 || len(t.Counts) > 10_000 || t.Seconds <= 0 {
		return nil
	}
	n := make([]int64, len(t.Counts))
	for i, x := range t.Counts {
		n[i] = int64(x)
	}
	return newBars("Questions over time", t.Start, time.Duration(t.Seconds)*time.Second, n, nil)
}
