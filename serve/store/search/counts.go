package search

import (
	"strconv"
	"time"

	"github.com/axiomhq/hyperloglog"

	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/tally"
)

// Bounds of parts.
const (
	maxParts    = 2048             // in memory
	listsBehind = 15 * time.Minute // between two writes of lists of an hour or a day, while much waits
)

// steps says how each step is kept: how many keys of a top list, in indices of how long a time, for how long, and how
// long a part without new events stays in memory.
var steps = [...]struct {
	name   string
	keys   int
	layout string // of the date in an index' name
	kept   time.Duration
	idle   time.Duration
}{
	store.Minute: {"minutes", 50, dayLayout, 8 * 24 * time.Hour, 2 * time.Minute},
	store.Hour:   {"hours", 500, "2006.01", 90 * 24 * time.Hour, 20 * time.Minute},
	store.Day:    {"days", 1000, "2006", 5 * 366 * 24 * time.Hour, 3 * time.Hour},
}

// part is what this run of degas counted in a slot since it knows the part. Its documents have totals and are written
// again when they change, so that it does not matter how often one arrives. A slot may have many parts: of several
// runs, of several machines, or of events that came late. A question adds them up.
type part struct {
	id, index string
	step      store.Step
	slot      time.Time
	counts    tally.Counts // the slot of each key is this one
	lists     tally.Part   // of minutes that are over
	running   *tally.Part  // of the minute that runs, if the step is a minute; nil without one
	touched   time.Time

	// What is not in the journal yet, and what is not in the spool yet.
	unsaved, unsent           map[tally.CountKey]bool
	unsavedLists, unsentLists bool

	written uint64    // the number of the last batch with documents of this part
	listed  time.Time // when its lists went to the spool
}

// place is where a document of the part goes.
func (p *part) place(id string, version uint64) *place {
	return &place{Index: p.index, ID: id, Version: version, VersionType: "external"}
}

// clean reports whether the spool has all that the part knows, and no minute runs in it.
func (p *part) clean() bool { return len(p.unsent) == 0 && !p.unsentLists && p.running == nil }

type partKey struct {
	step store.Step
	slot int64
}

// parts are the slots that change. Its owner is Store.counting.
type parts struct {
	boot  string // makes ids of this run unlike all others
	made  uint64
	known map[partKey]*part
}

// of gives the part of a slot, and makes one if need be.
func (ps *parts) of(step store.Step, slot time.Time, now time.Time) *part {
	key := partKey{step, slot.Unix()}
	p := ps.known[key]
	if p == nil {
		ps.made++
		index := countsPrefix + steps[step].name + "-" + now.UTC().Format(steps[step].layout)
		p = &part{id: ps.boot + "." + strconv.FormatUint(ps.made, 36), index: index, step: step, slot: slot.UTC(),
			counts: tally.Counts{}, unsaved: map[tally.CountKey]bool{}, unsent: map[tally.CountKey]bool{}}
		ps.known[key] = p
	}
	p.touched = now
	return p
}

// news is what tally counted since it was asked before.
type news struct {
	counts  tally.Counts
	ended   []tally.Part
	running []tally.Part // copies of minutes that go on
}

// add counts the news in slots of all steps.
func (ps *parts) add(n news, now time.Time) {
	for step := store.Minute; step <= store.Day; step++ {
		for k, s := range n.counts.By(step) {
			p := ps.of(step, time.Unix(k.Slot, 0), now)
			old := p.counts[k]
			p.counts[k] = tally.Sum{N: old.N + s.N, Score: old.Score + s.Score}
			p.unsaved[k], p.unsent[k] = true, true
		}
		for i := range n.ended {
			p := ps.of(step, tally.Floor(n.ended[i].Slot, step), now)
			p.lists.Merge(&n.ended[i], steps[step].keys)
			p.running, p.unsavedLists, p.unsentLists = nil, step == store.Minute, true
		}
	}
	for i := range n.running {
		p := ps.of(store.Minute, n.running[i].Slot, now)
		p.running, p.unsavedLists, p.unsentLists = &n.running[i], true, true
	}
}

// save puts what is not in the journal yet into l. version is larger than those of all writes before. saved is to be
// called when the journal has it.
func (ps *parts) save(l *lines, version uint64) (saved func(), err error) {
	var inside []*part
	for _, p := range ps.known {
		if len(p.unsaved) == 0 && !p.unsavedLists {
			continue
		}
		if err := p.write(l, p.unsaved, p.unsavedLists, version); err != nil {
			return nil, err
		}
		inside = append(inside, p)
	}
	return func() {
		for _, p := range inside {
			clear(p.unsaved)
			p.unsavedLists = false
		}
	}, nil
}

// nothingUnsaved says that the spool has all, so that the journal need not.
func (ps *parts) nothingUnsaved() {
	for _, p := range ps.known {
		clear(p.unsaved)
		p.unsavedLists = false
	}
}

// send gives emit what is not in the spool yet, in portions. emit says in which batch a portion went; what it fails for
// is given again the next time. While much waits for the cluster, lists of hours and days are left out for some time:
// they are the largest documents.
func (ps *parts) send(version uint64, now time.Time, behind bool, emit func(*lines) (uint64, error)) error {
	l := newLines()
	var inside []*part
	flush := func() error {
		if l.Len() == 0 {
			return nil
		}
		batch, err := emit(l)
		if err != nil {
			return err
		}
		for _, p := range inside {
			clear(p.unsent)
			p.written = batch
			if p.listed.Equal(now) {
				p.unsentLists = false
			}
		}
		inside = inside[:0]
		l.Reset()
		return nil
	}
	for _, p := range ps.known {
		lists := p.unsentLists && (!behind || p.step == store.Minute || now.Sub(p.listed) >= listsBehind)
		if len(p.unsent) == 0 && !lists {
			continue
		}
		if err := p.write(l, p.unsent, lists, version); err != nil {
			return err
		}
		if lists {
			p.listed = now
		}
		inside = append(inside, p)
		if l.Len() > maxSegment/4 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// write puts documents of some keys into l, and one of the lists.
func (p *part) write(l *lines, keys map[tally.CountKey]bool, withLists bool, version uint64) error {
	for k := range keys {
		if err := l.addCount(p, k, p.counts[k], version); err != nil {
			return err
		}
	}
	if !withLists {
		return nil
	}
	lists := p.lists
	if p.running != nil {
		lists.Merge(p.running, steps[p.step].keys)
	}
	return l.addLists(p, &lists, version)
}

// settled are parts that are not likely to change again, and of which the cluster has all. They may be forgotten once
// its indices were refreshed.
func (ps *parts) settled(arrived uint64, now time.Time) []*part {
	var out []*part
	for _, p := range ps.known {
		if p.clean() && p.written <= arrived && now.Sub(p.touched) >= steps[p.step].idle {
			out = append(out, p)
		}
	}
	return out
}

// forget removes those of the parts that did not change since they were settled.
func (ps *parts) forget(list []*part, arrived uint64) {
	for _, p := range list {
		if p.clean() && p.written <= arrived {
			delete(ps.known, partKey{p.step, p.slot.Unix()})
		}
	}
}

// bound forgets parts that were written to the spool, if there are more than most. Questions miss their counts until
// the cluster has them. Only events of hundreds of different minutes within seconds come to that, or a cluster that has
// been away for a day. If the spool is full as well, it forgets others, and gives how many events they had.
func (ps *parts) bound(most int) (lost int64) {
	for key, p := range ps.known {
		if len(ps.known) <= most {
			return 0
		}
		if p.clean() {
			delete(ps.known, key)
		}
	}
	for key, p := range ps.known {
		if len(ps.known) <= 4*most {
			break
		}
		for k := range p.unsent {
			if p.step == store.Minute {
				lost += p.counts[k].N
			}
		}
		delete(ps.known, key)
	}
	return lost
}

// overlay is what the parts in memory know of spans of slots. Documents of these parts do not count beside it.
type overlay struct {
	ids    []string
	counts tally.Counts
	lists  []tally.List
	sketch *hyperloglog.Sketch // nil is empty
}

// over gives the overlay of spans: counts, the lists of a kind, all or flagged, and the sketch of the kind.
func (ps *parts) over(spans []tally.Span, kind store.Kind, which int) overlay {
	out := overlay{counts: tally.Counts{}}
	take := func(p *tally.Part) {
		out.lists = append(out.lists, p.Top[kind][which])
		out.sketch = tally.MergeSketches(out.sketch, p.Sketch[kind])
	}
	for _, p := range ps.known {
		for _, span := range spans {
			if p.slot.Before(span.From) || !p.slot.Before(span.To) {
				continue
			}
			if p.running != nil {
				take(p.running)
			}
			if p.step == span.Step {
				out.ids = append(out.ids, p.id)
				out.counts.AddAll(p.counts)
				take(&p.lists)
			}
		}
	}
	return out
}
