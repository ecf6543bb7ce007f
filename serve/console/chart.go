package console

import (
	"net/url"
	"slices"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/store"
)

// period is the time that a page is about, and the slots in which it counts.
type period struct {
	// Name is one of ranges, which ends now, or "" for a time between From and To.
	Name     string
	From, To time.Time
	Step     store.Step
	now      time.Time
}

// span is a time that ends now.
type span struct {
	Name, Text string
	width      time.Duration
}

var ranges = []span{{"1h", "1 hour", time.Hour}, {"24h", "24 hours", 24 * time.Hour},
	{"7d", "7 days", 7 * 24 * time.Hour},
	{"30d", "30 days", 30 * 24 * time.Hour}, {"1y", "1 year", 365 * 24 * time.Hour}}

// stepNames are the steps as addresses have them.
var stepNames = []string{store.Minute: "minute", store.Hour: "hour", store.Day: "day"}

// Most slots of a chart: of any, and of one whose step nobody chose.
const (
	mostSlots  = 1500
	usualSlots = 400
)

// readPeriod reads range, or from and to, and step. Times are in UTC. Without any it is the last day.
func readPeriod(q url.Values, now time.Time) (p period, err error) {
	now = now.UTC().Truncate(time.Second)
	p = period{Name: "24h", To: now, now: now}
	if name := q.Get("range"); name != "" {
		p.Name = name
	}
	from, to := q.Get("from"), q.Get("to")
	if from == "" && to == "" {
		i := slices.IndexFunc(ranges, func(s span) bool { return s.Name == p.Name })
		if i < 0 {
			return p, reply.BadRequest("range: %q is none of 1h, 24h, 7d, 30d and 1y", p.Name)
		}
		p.From = now.Add(-ranges[i].width)
	} else {
		p.Name = ""
		if to != "" {
			if p.To, err = readTime("to", to); err != nil {
				return p, err
			}
		}
		p.From = p.To.Add(-24 * time.Hour)
		if from != "" {
			if p.From, err = readTime("from", from); err != nil {
				return p, err
			}
		}
		if !p.From.Before(p.To) {
			return p, reply.BadRequest("The time ends before it begins. Try: a later time in %q", "to")
		}
	}
	return p, p.readStep(q.Get("step"))
}

// readTime reads a time as links and forms have it.
func readTime(key, text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02T15:04:05",
		time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() >= 1970 && t.Year() < 10000 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, reply.BadRequest("%s: %q is no time. Try: 2026-12-01T00:00", key, text)
}

// readStep reads the step. "" is the finest one whose slots are kept for as long and are few.
func (p *period) readStep(text string) error {
	for s, name := range stepNames {
		if p.Step = store.Step(s); text == name && !p.fits(p.Step, mostSlots) {
			return reply.BadRequest("step: there are too many of a %s in this time, or they are not kept for so long. "+
				"Try: a shorter time, or a longer step", name)
		} else if text == name || text == "" && p.fits(p.Step, usualSlots) {
			return nil
		}
	}
	if text != "" {
		return reply.BadRequest("step: %q is none of minute, hour and day", text)
	}
	return nil // days
}

// fits reports whether a step has at most so many slots, and its counts are kept.
func (p *period) fits(s store.Step, most int) bool {
	kept := [...]time.Duration{7 * 24 * time.Hour, 90 * 24 * time.Hour, 5 * 365 * 24 * time.Hour}[s]
	return p.To.Sub(p.From) <= time.Duration(most)*s.Duration() && (s == store.Day || p.now.Sub(p.From) <= kept+time.Hour)
}

// Steps are those that can be chosen.
func (p period) Steps() (all []string) {
	for s, name := range stepNames {
		if p.fits(store.Step(s), mostSlots) && p.To.Sub(p.From) >= store.Step(s).Duration() || store.Step(s) == p.Step {
			all = append(all, name)
		}
	}
	return all
}

// StepName is the step as addresses have it.
func (p period) StepName() string { return stepNames[p.Step] }

// Ranges are those that can be chosen.
func (p period) Ranges() []span { return ranges }

// whole is the period widened to whole slots, so that its counts are those of the rows in it.
func (p period) whole() period {
	d := p.Step.Duration()
	p.From = p.From.Truncate(d)
	if to := p.To.Truncate(d); to.Before(p.To) {
		p.To = to.Add(d)
	}
	if minute := p.now.Truncate(time.Minute).Add(time.Minute); p.To.After(minute) {
		p.To = minute // links do not take in what is yet to come
	}
	return p
}

func (p period) of() store.Range { return store.Range{From: p.From, To: p.To} }

// stamp writes a time for an address.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// FromText and ToText are for links, FromField and ToField for a form, where a range has none.
func (p period) FromText() string { return stamp(p.From) }
func (p period) ToText() string   { return stamp(p.To) }

func (p period) FromField() string { return p.field(p.From) }
func (p period) ToField() string   { return p.field(p.To.Add(time.Minute - time.Second)) }

func (p period) field(t time.Time) string {
	if p.Name != "" {
		return ""
	}
	return t.Format("2006-01-02T15:04")
}

// chart is a stacked chart, for chart.js and for the table beside it.
type chart struct {
	Label string
	Plot  plot
	Rows  []chartRow
	Sum   int64
}

// plot is what chart.js reads.
type plot struct {
	Step   int64   `json:"step"`  // seconds
	Times  []int64 `json:"times"` // starts of slots, seconds since 1970
	Series []line  `json:"series"`
	// Zoom is the address of what a chosen time is shown in, without from and to; "" if nothing can be chosen.
	Zoom string `json:"zoom,omitempty"`
}

// line is one of the layers, from the bottom up.
type line struct {
	Name   string  `json:"name"`
	Colour int     `json:"colour"` // --series-N of console.css
	Values []int64 `json:"values"`
	Sum    int64   `json:"-"`
}

// chartRow is a slot with events, for the table.
type chartRow struct {
	Time   time.Time
	Values []int64
	Link   string // to the events of the slot
}

// layers are the verdicts of a chart from the bottom up: what matters stands on the ground.
var layers = []struct {
	name     string
	colour   int
	verdicts []detect.Verdict
}{
	{"malicious", 2, []detect.Verdict{detect.Malicious}},
	{"blocked", 3, []detect.Verdict{detect.Blocked}},
	{"allowed", 4, []detect.Verdict{detect.Allowed}},
	{"not scored", 5, []detect.Verdict{detect.Unscored, detect.Invalid}},
	{"benign", 1, []detect.Verdict{detect.Benign}},
}

// newChart makes a chart of what keep chooses of counts. zoom is the address that a slot's link and a chosen time go
// to.
func newChart(label string, p period, all []store.Count, keep func(*store.Count) bool, zoom string) chart {
	step := int64(p.Step.Duration() / time.Second)
	first := p.From.Unix() / step * step
	n := max(0, int((p.To.Unix()-first+step-1)/step))
	c := chart{Label: label, Plot: plot{Step: step, Zoom: zoom, Times: make([]int64, n)}}
	for i := range c.Plot.Times {
		c.Plot.Times[i] = first + int64(i)*step
	}
	lines := make([]line, len(layers))
	for i, l := range layers {
		lines[i] = line{Name: l.name, Colour: l.colour, Values: make([]int64, n)}
	}
	for i := range all {
		at := (all[i].Slot.Unix() - first) / step
		if at < 0 || at >= int64(n) || keep != nil && !keep(&all[i]) {
			continue
		}
		for j, l := range layers {
			if slices.Contains(l.verdicts, all[i].Verdict) {
				lines[j].Values[at] += all[i].N
				lines[j].Sum += all[i].N
				c.Sum += all[i].N
			}
		}
	}
	for _, l := range lines {
		if l.Sum > 0 {
			c.Plot.Series = append(c.Plot.Series, l)
		}
	}
	c.table(p)
	return c
}

// table fills Rows.
func (c *chart) table(p period) {
	for i, at := range c.Plot.Times {
		row := chartRow{Time: time.Unix(at, 0).UTC()}
		sum := int64(0)
		for _, l := range c.Plot.Series {
			row.Values = append(row.Values, l.Values[i])
			sum += l.Values[i]
		}
		if sum == 0 {
			continue
		}
		if c.Plot.Zoom != "" {
			row.Link = withTime(c.Plot.Zoom, row.Time, row.Time.Add(p.Step.Duration()))
		}
		c.Rows = append(c.Rows, row)
	}
}

// withTime is an address with from and to.
func withTime(address string, from, to time.Time) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	q := u.Query()
	q.Set("from", stamp(from))
	q.Set("to", stamp(to))
	u.RawQuery = q.Encode()
	return u.String()
}
