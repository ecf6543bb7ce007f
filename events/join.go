package events

import (
	"errors"
	"hash/maphash"
	"io"
	"net/netip"
	"strings"
	"time"
)

// JoinWindow is how long Join waits for the answer to a query, and JoinSize how many queries may wait: a flood of
// queries without answers takes no more memory than that.
const (
	JoinWindow = 5 * time.Second
	JoinSize   = 1 << 14
)

// Join makes one event of a query and its response: that of the query, of the kind Both, with the rcode and the size of
// the response. A query without a response comes alone after JoinWindow, or when JoinSize later ones wait; so does a
// response without its query, at once. A file that holds only one of the two stays as it is, so a question is counted
// once either way. Events come later than they were read, by up to JoinWindow, and no longer in the order of lines.
//
// A reader whose Next returns [ErrIdle] has nothing for now: Join then gives the queries that have waited long enough
// by the wall clock, and else returns ErrIdle itself.
//
// A response belongs to the last query of the same client, port, ID, type and name, in any case. One without a client,
// as dnsmasq logs them, belongs to the last query for its name.
func Join(in Reader) Reader {
	return &joiner{in: in, seed: maphash.MakeSeed(), byQuestion: map[question]int{}, byName: map[uint64]int{}}
}

// ErrIdle is the error of a Reader that has no event for now. It can be asked again.
var ErrIdle = errors.New("no event for now")

// joiner is Join's Reader. Queries wait in a ring, oldest first; the maps find them.
type joiner struct {
	in   Reader
	seed maphash.Seed

	waiting    []waiting // grows to JoinSize
	from, to   int       // the oldest query and the next place, counted on; an index is modulo JoinSize
	byQuestion map[question]int
	byName     map[uint64]int

	read  Event // the last event of in
	now   time.Time
	ended error // in's end, when queries still wait
	out   Event // what Next gave, in memory of its own
	lower []byte
}

// waiting is a query that waits; done says that its response has come. before is the place of the query before it with
// the same key, to which the next response belongs.
type waiting struct {
	Event
	key    question
	name   uint64
	before int
	done   bool
}

// question is what a query and its response have in common.
type question struct {
	client netip.Addr
	host   string
	port   uint16
	id     uint16
	kind   Type
	name   uint64
}

// Next implements Reader.
func (j *joiner) Next(e *Event) error {
	for {
		if w := j.overdue(); w != nil {
			w.CopyTo(&j.out)
			*e = j.out
			return nil
		}
		if j.ended != nil {
			return j.ended
		}
		if err := j.in.Next(&j.read); err == ErrIdle {
			if j.clock(time.Now()); !j.late() {
				return ErrIdle
			}
			continue
		} else if err != nil {
			j.ended = err
			continue
		}
		j.clock(j.read.Time)
		switch name := j.hash(j.read.Name); j.read.Kind {
		case Query:
			j.wait(name)
		case Response:
			if j.answer(name) {
				*e = j.out
				return nil
			}
			fallthrough
		default:
			*e = j.read
			return nil
		}
	}
}

// clock moves now to the time of an event. It goes back only if it was far ahead: one event whose time is wrong must
// not make all later queries overdue.
func (j *joiner) clock(at time.Time) {
	if at.After(j.now) || !at.IsZero() && j.now.Sub(at) > JoinWindow {
		j.now = at
	}
}

// Close closes what is read from.
func (j *joiner) Close() error {
	if c, ok := j.in.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// hash is the same for a name in any case.
func (j *joiner) hash(name []byte) uint64 {
	j.lower = AppendLower(j.lower[:0], name)
	return maphash.Bytes(j.seed, j.lower)
}

func (j *joiner) at(i int) *waiting { return &j.waiting[i%JoinSize] }

func (e *Event) question(name uint64) question {
	return question{e.Client.Addr, e.Client.Name, e.Client.Port, e.ID, e.Type, name}
}

// overdue takes the oldest query out that waits no longer; nil if there is none.
func (j *joiner) overdue() *waiting {
	for j.from < j.to {
		w := j.at(j.from)
		if !w.done && !j.late() {
			return nil
		}
		j.forget(w, j.from)
		j.from++
		if !w.done {
			return w
		}
	}
	return nil
}

// late reports whether the oldest query waits no longer.
func (j *joiner) late() bool {
	return j.from < j.to && (j.ended != nil || j.to-j.from >= JoinSize || j.now.Sub(j.at(j.from).Time) >= JoinWindow)
}

// wait puts the query that was read into the ring, which has room: overdue was asked.
func (j *joiner) wait(name uint64) {
	if j.to == len(j.waiting) && j.to < JoinSize {
		j.waiting = append(j.waiting, waiting{})
	}
	w := j.at(j.to)
	j.read.CopyTo(&w.Event)
	w.key, w.name, w.before, w.done = w.question(name), name, -1, false
	if i, ok := j.byQuestion[w.key]; ok {
		w.before = i
	}
	j.byQuestion[w.key], j.byName[name] = j.to, j.to
	j.to++
}

// answer makes an event of the response that was read and its query in j.out; false if none waits.
func (j *joiner) answer(name uint64) bool {
	i, found := j.byQuestion[j.read.question(name)]
	if !found && j.read.Client.String() == "" {
		i, found = j.byName[name]
	}
	if !found {
		return false
	}
	w := j.at(i)
	w.CopyTo(&j.out)
	j.out.Kind, j.out.RCode = Both, j.read.RCode
	if j.read.Size > 0 {
		j.out.Size = j.read.Size
	}
	w.done = true
	j.forget(w, i)
	return true
}

// forget takes the query at i out of the maps, unless a later one has its place there. The one before it takes its own.
func (j *joiner) forget(w *waiting, i int) {
	if at, ok := j.byQuestion[w.key]; ok && at == i {
		delete(j.byQuestion, w.key)
		if b := w.before; b >= j.from && !j.at(b).done {
			j.byQuestion[w.key] = b
		}
	}
	if at, ok := j.byName[w.name]; ok && at == i {
		delete(j.byName, w.name)
	}
}

// CopyTo makes to an event like e with memory of its own, which it keeps from one call to the next.
func (e *Event) CopyTo(to *Event) {
	name, columns := append(to.Name[:0], e.Name...), to.Columns[:0]
	for _, c := range e.Columns {
		columns = append(columns, Column{strings.Clone(c.Name), strings.Clone(c.Value)})
	}
	*to = *e
	to.Name, to.Columns = name, columns
	to.Client.Name, to.Server.Name = strings.Clone(e.Client.Name), strings.Clone(e.Server.Name)
}
