package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"sync"
	"time"
)

// Snapshot is what was in force at some time. It never changes.
type Snapshot struct {
	// Version differs from that of every Snapshot with other entries, as long as the ledger is open.
	Version uint64
	// Allow and Block are entries as detect.NewList and detect.Options take them, sorted.
	Allow, Block []string
	// Next is when an entry expires, zero if none does.
	Next time.Time
}

// AllowedBy is the entry of Allow that holds for all names of a pattern, "" if there is none. An allow entry wins over
// every block entry, so a block with one has no effect.
func (s *Snapshot) AllowedBy(pattern string) string {
	has := func(entry string) bool {
		_, ok := slices.BinarySearch(s.Allow, entry)
		return ok
	}
	name, below := strings.CutPrefix(pattern, "*.")
	if !below && has(name) {
		return name
	}
	for ok := true; ok; _, name, ok = strings.Cut(name, ".") {
		if has("*." + name) {
			return "*." + name
		}
	}
	return ""
}

// force has the decisions that are neither revoked nor expired.
type force struct {
	mu      sync.Mutex
	by      map[string][]ruling // by pattern, oldest first
	n       int                 // rulings
	changed chan struct{}       // closed at the next change
	last    *Snapshot
	touched map[string]struct{} // patterns that last may be wrong about
	timed   map[string]struct{} // patterns with a ruling that expires
	since   int64               // last holds from then on, in milliseconds since 1970: what has expired did so before
	ended   bool
}

// ruling is a decision in memory.
type ruling struct {
	id      int64
	expires int64 // in milliseconds since 1970, 0 for never
	verdict Verdict
}

// grace is how long an expired ruling stays in memory, so that a clock that was wrong for a while harms nothing.
const grace = 24 * time.Hour

// load reads the decisions that are in force.
func (l *Ledger) load(ctx context.Context) error {
	f := &l.force
	f.by, f.changed, f.last = map[string][]ruling{}, make(chan struct{}), &Snapshot{Version: 1}
	f.touched, f.timed = map[string]struct{}{}, map[string]struct{}{}
	rows, err := l.read.QueryContext(ctx, `SELECT d.pattern, d.id, d.verdict, d.expires FROM decision d
		WHERE `+active("d")+` ORDER BY d.id`, milli(time.Now().Add(-grace)))
	return each(rows, err, func() error {
		var pattern string
		var r ruling
		var expires sql.NullInt64
		err := rows.Scan(&pattern, &r.id, &r.verdict, &expires)
		r.expires, r.verdict = expires.Int64, known(r.verdict)
		f.put(pattern, append(f.by[pattern], r))
		return err
	})
}

// known is a verdict without the memory of its own that a database's text has.
func known(v Verdict) Verdict {
	switch v {
	case Allow:
		return Allow
	case Block:
		return Block
	}
	return Unsure
}

func (f *force) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

func (f *force) add(all []Decision) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range all {
		f.put(d.Pattern, append(f.by[d.Pattern], ruling{d.ID, orNull(d.Expires).Int64, known(d.Verdict)}))
	}
	f.wake()
}

func (f *force) remove(all ...Decision) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range all {
		f.put(d.Pattern, without(f.by[d.Pattern], func(r ruling) bool { return r.id == d.ID }))
	}
	f.wake()
}

func without(all []ruling, which func(ruling) bool) []ruling {
	return slices.DeleteFunc(slices.Clone(all), which)
}

// put takes the place of the rulings about a pattern. f.mu is held.
func (f *force) put(pattern string, all []ruling) {
	f.n += len(all) - len(f.by[pattern])
	f.touched[pattern] = struct{}{}
	if f.by[pattern] = all; len(all) == 0 {
		delete(f.by, pattern)
	}
	delete(f.timed, pattern)
	if slices.ContainsFunc(all, func(r ruling) bool { return r.expires != 0 }) {
		f.timed[pattern] = struct{}{}
	}
}

// wake tells those that wait. f.mu is held.
func (f *force) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// end wakes those that wait for the last time.
func (f *force) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed != nil && !f.ended {
		f.ended = true
		close(f.changed)
	}
}

// InForce is what is in force at the time now. The same Snapshot comes again, at no cost, until something changes.
// Then a new one is made, which takes some 20 ms for 100,000 entries.
func (l *Ledger) InForce(now time.Time) *Snapshot {
	s, _ := l.force.at(now)
	return s
}

// Ruling is a decision in force about a name: its own, else that of the nearest domain that the name is in. ok is false
// if there is none. Unlike a Snapshot it knows of what is unsure.
func (l *Ledger) Ruling(name string, now time.Time) (pattern string, v Verdict, ok bool) {
	f := &l.force
	f.mu.Lock()
	defer f.mu.Unlock()
	at := milli(now)
	if r, _ := newest(f.by[name], at); r.id != 0 {
		return name, r.verdict, true
	}
	for more := true; more; _, name, more = strings.Cut(name, ".") {
		if r, _ := newest(f.by["*."+name], at); r.id != 0 {
			return "*." + name, r.verdict, true
		}
	}
	return "", "", false
}

// at is the Snapshot of a time, and what is closed when it may have changed.
func (f *force) at(now time.Time) (*Snapshot, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.touched) == 0 && (f.last.Next.IsZero() || now.Before(f.last.Next)) && milli(now) >= f.since {
		return f.last, f.changed
	}
	f.since = 0
	var next int64
	gone := milli(now.Add(-grace))
	for pattern := range f.timed {
		old := func(r ruling) bool { return r.expires != 0 && r.expires <= gone }
		if all := f.by[pattern]; slices.ContainsFunc(all, old) {
			f.put(pattern, without(all, old))
		}
		f.touched[pattern] = struct{}{}
	}
	var allow, block []string
	for pattern := range f.touched {
		r, past := newest(f.by[pattern], milli(now))
		f.since = max(f.since, past)
		if r.expires != 0 {
			next = min(cmp.Or(next, r.expires), r.expires)
		}
		switch r.verdict {
		case Allow:
			allow = append(allow, pattern)
		case Block:
			block = append(block, pattern)
		}
	}
	s := &Snapshot{f.last.Version, f.merged(f.last.Allow, allow), f.merged(f.last.Block, block), time.Time{}}
	if next != 0 {
		s.Next = time.UnixMilli(next).UTC()
	}
	switch {
	case !slices.Equal(s.Allow, f.last.Allow) || !slices.Equal(s.Block, f.last.Block):
		s.Version++
		f.last = s
	case !s.Next.Equal(f.last.Next):
		f.last = s
	}
	f.touched = map[string]struct{}{} // a map that was cleared would stay as large as after load
	return f.last, f.changed
}

// newest is the newest ruling that has not expired, zero if there is none, and when newer ones did.
func newest(all []ruling, now int64) (r ruling, past int64) {
	for _, r := range slices.Backward(all) {
		if r.expires == 0 || r.expires > now {
			return r, past
		}
		past = max(past, r.expires)
	}
	return ruling{}, past
}

// merged is old without the patterns that were touched, and with others, sorted.
func (f *force) merged(old, others []string) []string {
	slices.Sort(others)
	out := make([]string, 0, len(old)+len(others))
	for _, entry := range old {
		if _, ok := f.touched[entry]; ok {
			continue
		}
		for len(others) > 0 && others[0] < entry {
			out, others = append(out, others[0]), others[1:]
		}
		out = append(out, entry)
	}
	return append(out, others...)
}

// Wait waits until what is in force differs from the Snapshot with a version, and returns it. A version of 0 differs
// from every Snapshot. The error is ctx's, or ErrClosed; the Snapshot is the newest one then too.
func (l *Ledger) Wait(ctx context.Context, version uint64) (*Snapshot, error) {
	for {
		now := time.Now()
		s, changed := l.force.at(now)
		if s.Version != version {
			return s, nil
		}
		if l.force.over() {
			return s, ErrClosed
		}
		var expired <-chan time.Time
		if !s.Next.IsZero() {
			expired = time.After(s.Next.Sub(now) + time.Millisecond)
		}
		select {
		case <-changed:
		case <-expired:
		case <-ctx.Done():
			return s, ctx.Err()
		}
	}
}

func (f *force) over() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}
