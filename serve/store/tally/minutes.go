package tally

import (
	"cmp"
	"slices"
	"time"

	"github.com/axiomhq/hyperloglog"

	"github.com/degas-dns/degas/serve/store"
)

// Bounds of Minutes.
const (
	room      = 1000 // keys of a top list while its minute runs
	maxOpen   = 64   // minutes that run at once
	idle      = 5 * time.Second
	precision = 13 // of sketches: 8 KiB each, 1.15 % standard error
)

// Lists of a Part.
const (
	All      = iota // of all events
	Flagged         // of those that are Flagged
	numLists = 2
	numKinds = int(store.Clients) + 1
)

// Part is what is known of a slot besides counts. It may be of a part of the slot's events.
type Part struct {
	Slot   time.Time // its start
	Top    [numKinds][numLists]List
	Sketch [numKinds]*hyperloglog.Sketch // of all events; nil is empty
}

// Merge adds the events of other, which p must not have counted, and keeps the n first keys of each list. p.Slot stays.
func (p *Part) Merge(other *Part, n int) {
	for kind := range p.Top {
		for which := range p.Top[kind] {
			l := &p.Top[kind][which]
			if len(l.Keys) == 0 && l.Absent == 0 {
				*l = other.Top[kind][which]
			} else {
				*l = Merge(*l, other.Top[kind][which])
			}
			l.Cut(n)
		}
		p.Sketch[kind] = MergeSketches(p.Sketch[kind], other.Sketch[kind])
	}
}

// MergeSketches adds other to s, and gives s. Either may be nil, which is empty. A sketch of another precision than
// this package's is left out.
func MergeSketches(s, other *hyperloglog.Sketch) *hyperloglog.Sketch {
	if other == nil {
		return s
	}
	if s == nil {
		s = newSketch()
	}
	_ = s.Merge(other) // fails for other precisions alone
	return s
}

func newSketch() *hyperloglog.Sketch {
	s, err := hyperloglog.NewSketch(precision, true)
	if err != nil {
		panic(err) // the precision is a constant
	}
	return s
}

// Minutes counts events by the minute in which they happened, also of minutes that are long past. It is not safe for
// concurrent use. Its memory is at most about 400 KiB for each of 64 minutes; a typical one has two minutes.
type Minutes struct {
	counts Counts
	open   map[int64]*minute
	last   *minute // of the last event
	full   []Part  // minutes that had to make room
}

type minute struct {
	slot    int64
	top     [numKinds][numLists]*Frequent
	sketch  [numKinds]*hyperloglog.Sketch
	touched time.Time
	changed bool // since the last Changed
}

// NewMinutes makes an empty Minutes.
func NewMinutes() *Minutes { return &Minutes{counts: Counts{}, open: map[int64]*minute{}} }

// Add counts an event, which has been settled. now is the time on the clock.
func (m *Minutes) Add(e *store.Event, now time.Time) {
	m.counts.Add(e)
	at := m.minute(slot(e.Time, store.Minute))
	at.touched, at.changed = now, true
	n := e.Weight()
	flagged := e.Flagged()
	for kind, key := range [numKinds]string{store.Names: e.Name, store.Domains: e.Domain, store.Clients: e.Client} {
		if key == "" {
			continue
		}
		at.top[kind][All].Add(key, n)
		at.sketch[kind].Insert([]byte(key))
		if flagged {
			at.top[kind][Flagged].Add(key, n)
		}
	}
}

// minute is the running minute that starts at slot.
func (m *Minutes) minute(slot int64) *minute {
	if m.last != nil && m.last.slot == slot {
		return m.last
	}
	at := m.open[slot]
	if at == nil {
		if len(m.open) >= maxOpen {
			m.makeRoom()
		}
		at = &minute{slot: slot}
		for kind := range at.top {
			at.sketch[kind] = newSketch()
			for which := range at.top[kind] {
				at.top[kind][which] = NewFrequent(room)
			}
		}
		m.open[slot] = at
	}
	m.last = at
	return at
}

// makeRoom ends the minute that was touched longest ago, the oldest of several.
func (m *Minutes) makeRoom() {
	var least *minute
	for _, at := range m.open {
		if least == nil || cmp.Or(at.touched.Compare(least.touched), cmp.Compare(at.slot, least.slot)) < 0 {
			least = at
		}
	}
	m.full = append(m.full, m.end(least))
}

func (m *Minutes) end(at *minute) Part {
	delete(m.open, at.slot)
	if m.last == at {
		m.last = nil
	}
	return at.part(false)
}

// part is what is known of the minute. A copy stays valid while the minute goes on.
func (at *minute) part(clone bool) Part {
	p := Part{Slot: time.Unix(at.slot, 0).UTC(), Sketch: at.sketch}
	for kind := range at.top {
		for which := range at.top[kind] {
			p.Top[kind][which] = at.top[kind][which].List()
		}
		if clone {
			p.Sketch[kind] = at.sketch[kind].Clone()
		}
	}
	return p
}

// TakeCounts gives what was counted since the last call.
func (m *Minutes) TakeCounts() Counts {
	out := m.counts
	m.counts = Counts{}
	return out
}

// TakeEnded gives the minutes that are over, oldest first, and forgets them: minutes that ended, and had no event for
// five seconds. An event that comes later begins a new Part of its minute, so that parts of one slot have to be merged.
// With all, the running minutes end now.
func (m *Minutes) TakeEnded(now time.Time, all bool) []Part {
	out := m.full
	m.full = nil
	for _, at := range m.open {
		if all || now.Unix() >= at.slot+60 && now.Sub(at.touched) >= idle {
			out = append(out, m.end(at))
		}
	}
	slices.SortStableFunc(out, func(a, b Part) int { return a.Slot.Compare(b.Slot) })
	return out
}

// Changed gives a copy of the running minutes that have new events since the last call, so that they survive a crash.
func (m *Minutes) Changed() []Part {
	var out []Part
	for _, at := range m.open {
		if at.changed {
			out = append(out, at.part(true))
			at.changed = false
		}
	}
	slices.SortFunc(out, func(a, b Part) int { return a.Slot.Compare(b.Slot) })
	return out
}
