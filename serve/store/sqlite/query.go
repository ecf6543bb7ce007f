package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/axiomhq/hyperloglog"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/tally"
)

// Counts are those of slots that lie in r or overlap with it.
func (s *Store) Counts(ctx context.Context, r store.Range, step store.Step, f store.Filter) ([]store.Count, error) {
	if _, ok := (tally.CountKey{}).Fits(f); !ok {
		return nil, fmt.Errorf("%w: counts are by verdict alone. Try: Events with this filter", store.ErrFilter)
	}
	span := tally.Slots(r, step)
	rows, err := s.read.QueryContext(ctx, `SELECT slot, verdict, action, type, rcode, n, score FROM count
		WHERE step = ? AND slot >= ? AND slot < ? ORDER BY slot, verdict, action, type, rcode`, step, span.From.Unix(),
		span.To.Unix())
	if err != nil {
		return nil, s.failure(ctx, err)
	}
	defer rows.Close()
	var out []store.Count
	for rows.Next() {
		var k tally.CountKey
		var sum tally.Sum
		var rcode, typ int64
		if err := rows.Scan(&k.Slot, &k.Verdict, &k.Action, &typ, &rcode, &sum.N, &sum.Score); err != nil {
			return nil, s.failure(ctx, err)
		}
		k.Type, k.RCode = events.Type(typ), events.RCode(rcode)
		if fits, _ := k.Fits(f); fits {
			out = append(out, k.Count(sum))
		}
	}
	return out, s.failure(ctx, rows.Err())
}

// failure says what went wrong in a question, nil if nothing.
func (s *Store) failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return cmp.Or(ctx.Err(), explain(s.mainPath(), err))
}

// snapshot runs do on degas.db as it is at one moment.
func (s *Store) snapshot(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.read.BeginTx(ctx, nil)
	if err != nil {
		return s.failure(ctx, err)
	}
	defer tx.Rollback() //nolint:errcheck // it only reads
	return s.failure(ctx, do(tx))
}

// cover says which slots have the lists and sketches of a range.
func (s *Store) cover(tx *sql.Tx, r store.Range) ([]tally.Span, error) {
	now := s.Now()
	first, err := listsSince(tx, now)
	if r.From.Before(first[store.Day]) {
		r.From = first[store.Day]
	}
	if last := now.Add(2 * tally.MaxSkew); r.To.After(last) {
		r.To = last
	}
	return tally.Cover(r, first[store.Minute], first[store.Hour]), err
}

// Top are the keys of slots that lie in r or overlap with it. Slots of the last day are minutes, older ones hours, and
// those of more than 90 days ago days. There are at most 50 keys for less than an hour, and 1,000 for a day.
func (s *Store) Top(ctx context.Context, r store.Range, kind store.Kind, n int, f store.Filter) ([]store.Top, error) {
	if f.Verdict != nil || f.Name != "" || f.Domain != "" || f.Client != "" {
		return nil, fmt.Errorf("%w: top lists are of all events or of flagged ones. Try: Events with this filter",
			store.ErrFilter)
	}
	which := tally.All
	if f.Flagged {
		which = tally.Flagged
	}
	var lists []tally.List
	err := s.slots(ctx, r, func(tx *sql.Tx, span tally.Span) error {
		some, err := tops(tx, span, int(kind), which)
		lists = append(lists, some...)
		return err
	}, func(p *tally.Part) { lists = append(lists, p.Top[kind][which]) })
	if err != nil {
		return nil, err
	}
	sum := tally.Merge(lists...)
	sum.Cut(max(n, 0))
	return sum.Keys, nil
}

// Distinct estimates how many keys there were in slots that lie in r or overlap with it.
func (s *Store) Distinct(ctx context.Context, r store.Range, kind store.Kind) (int64, error) {
	var sum *hyperloglog.Sketch
	err := s.slots(ctx, r, func(tx *sql.Tx, span tally.Span) error {
		rows, err := tx.QueryContext(ctx, `SELECT sketch FROM sketch WHERE step = ? AND kind = ? AND slot >= ? AND slot < ?`,
			span.Step, kind, span.From.Unix(), span.To.Unix())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var data sql.RawBytes
			var one hyperloglog.Sketch
			if err := errors.Join(rows.Scan(&data), one.UnmarshalBinary(data)); err != nil {
				return err
			}
			sum = tally.MergeSketches(sum, &one)
		}
		return rows.Err()
	}, func(p *tally.Part) { sum = tally.MergeSketches(sum, p.Sketch[kind]) })
	if err != nil || sum == nil {
		return 0, err
	}
	return int64(sum.Estimate()), nil
}

// slots calls span for the spans that cover r, and open for running minutes in them.
func (s *Store) slots(ctx context.Context, r store.Range, span func(*sql.Tx, tally.Span) error,
	open func(*tally.Part)) error {
	return s.snapshot(ctx, func(tx *sql.Tx) error {
		spans, err := s.cover(tx, r)
		if err != nil {
			return err
		}
		for _, one := range spans {
			if err := cmp.Or(ctx.Err(), span(tx, one)); err != nil {
				return err
			}
			parts, err := openParts(tx, store.Range{From: one.From, To: one.To})
			if err != nil {
				return err
			}
			for i := range parts {
				open(&parts[i])
			}
		}
		return nil
	})
}

// place is where a page begins: below an id, or at that id in a source after source.
type place struct{ id, source int64 }

func (p place) cursor() store.Cursor {
	return store.Cursor(strconv.FormatInt(p.id, 36) + "." + strconv.FormatInt(p.source, 36))
}

func parseCursor(c store.Cursor) (place, error) {
	if c == "" {
		return place{id: 1<<63 - 1}, nil
	}
	first, second, _ := strings.Cut(string(c), ".")
	id, err1 := strconv.ParseInt(first, 36, 64)
	number, err2 := strconv.ParseInt(second, 36, 64)
	if err1 != nil || err2 != nil || id < 0 || number < 0 {
		return place{}, fmt.Errorf("%w: %.40q. Try: begin without one", store.ErrCursor, string(c))
	}
	return place{id, number}, nil
}

// found is a row.
type found struct {
	place
	event store.Event
}

// Events are flagged events and those of segments. A question by name, domain or client reads all rows of r.
func (s *Store) Events(ctx context.Context, r store.Range, f store.Filter, c store.Cursor, n int) (store.Page, error) {
	from, err := parseCursor(c)
	if err != nil || n <= 0 {
		return store.Page{}, err
	}
	var rows []found
	if flagged := f.Verdict == nil || (&store.Event{Verdict: *f.Verdict}).Flagged(); flagged {
		if rows, err = query(ctx, s.read, "flagged", 0, r, f, from, n+1); err != nil {
			return store.Page{}, s.failure(ctx, err)
		}
	}
	if !f.Flagged && (f.Verdict == nil || !(&store.Event{Verdict: *f.Verdict}).Flagged()) {
		for _, one := range s.segments.list() {
			if len(rows) > n && one.last < rows[n].id {
				break
			}
			some, err := s.fromSegment(ctx, one, r, f, from, n+1)
			if err != nil {
				return store.Page{}, err
			}
			rows = append(rows, some...)
			slices.SortFunc(rows, func(a, b found) int {
				return cmp.Or(cmp.Compare(b.id, a.id), cmp.Compare(b.source, a.source))
			})
			rows = rows[:min(len(rows), n+1)]
		}
	}
	var page store.Page
	if len(rows) > n {
		rows = rows[:n]
		page.Next = rows[n-1].cursor()
	}
	for i := range rows {
		page.Events = append(page.Events, rows[i].event)
	}
	return page, nil
}

func (s *Store) fromSegment(ctx context.Context, one source, r store.Range, f store.Filter, from place, n int) ([]found,
	error) {
	if one.last < firstID(r.From) || one.first >= firstID(r.To) {
		return nil, nil
	}
	db, done, err := s.segments.use(one.segment)
	if errors.Is(err, errGone) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer done()
	rows, err := query(ctx, db, "event", one.number, r, f, from, n)
	if err != nil {
		return nil, cmp.Or(ctx.Err(), explain(one.path, err))
	}
	return rows, nil
}

// query reads at most n rows of a table.
func query(ctx context.Context, db *sql.DB, table string, number int64, r store.Range, f store.Filter, from place,
	n int) ([]found, error) {
	last := from.id // exclusive
	if number < from.source && last < 1<<63-1 {
		last++
	}
	text := "SELECT " + list + " FROM " + table + " WHERE id >= ? AND id < ?"
	args := []any{firstID(r.From), min(firstID(r.To), last)}
	where := func(condition string, value any) { text += " AND " + condition; args = append(args, value) }
	if f.Verdict != nil {
		where("verdict = ?", int64(*f.Verdict))
	}
	if f.Name != "" {
		where("name = ?", f.Name)
	}
	if f.Domain != "" {
		where("domain = ?", f.Domain)
	}
	if f.Client != "" {
		where("client = ?", f.Client)
	}
	rows, err := db.QueryContext(ctx, text+" ORDER BY id DESC LIMIT ?", append(args, n)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []found
	for rows.Next() {
		id, e, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, found{place{id, number}, e})
	}
	return out, rows.Err()
}
