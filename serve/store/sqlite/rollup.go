package sqlite

import (
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/axiomhq/hyperloglog"

	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/tally"
)

const oneDay = 24 * time.Hour

// kept says how long a step's counts, and its lists and sketches, are kept, and how long a list is.
var kept = [...]struct {
	counts, lists time.Duration
	keys          int
}{
	store.Minute: {7 * oneDay, oneDay, 50},
	store.Hour:   {90 * oneDay, 90 * oneDay, 500},
	store.Day:    {5 * 365 * oneDay, 2 * 365 * oneDay, 1000},
}

// writeCounts adds counts to the slots of each step that keeps them. Events of a time that is past count in the slots
// of that time.
func writeCounts(tx *sql.Tx, counts tally.Counts, now time.Time) error {
	if len(counts) == 0 {
		return nil
	}
	add, err := tx.Prepare(`INSERT INTO count VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET n = n + excluded.n, score = score + excluded.score`)
	if err != nil {
		return err
	}
	defer add.Close()
	for step := store.Minute; step <= store.Day; step++ {
		oldest := since(step, now, kept[step].counts).Unix()
		for k, sum := range counts.By(step) {
			if k.Slot < oldest {
				continue
			}
			_, err := add.Exec(int64(step), k.Slot, int64(k.Verdict), int64(k.Action), int64(k.Type), int64(k.RCode),
				sum.N, sum.Score)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// writeEnded merges minutes that are over into the slots of each step, and forgets them as running ones.
func writeEnded(tx *sql.Tx, ended []tally.Part, now time.Time) error {
	if len(ended) == 0 {
		return nil
	}
	all, err := listsSince(tx, now)
	if err != nil {
		return err
	}
	for step := store.Minute; step <= store.Day; step++ {
		slots := map[int64]*tally.Part{}
		oldest := all[step]
		for i := range ended {
			start := tally.Floor(ended[i].Slot, step)
			if start.Before(oldest) {
				continue
			}
			at := slots[start.Unix()]
			if at == nil {
				at = &tally.Part{Slot: start}
				slots[start.Unix()] = at
			}
			at.Merge(&ended[i], kept[step].keys)
		}
		for _, p := range slots {
			if err := mergePart(tx, step, p); err != nil {
				return err
			}
		}
	}
	for i := range ended {
		if _, err := tx.Exec(`DELETE FROM open WHERE slot = ?`, ended[i].Slot.Unix()); err != nil {
			return err
		}
	}
	return nil
}

// mergePart adds a part to the slot that it is of.
func mergePart(tx *sql.Tx, step store.Step, p *tally.Part) error {
	slot := p.Slot.Unix()
	for kind := range p.Top {
		for which, l := range p.Top[kind] {
			if len(l.Keys) == 0 && l.Absent == 0 {
				continue
			}
			old, err := tops(tx, tally.Span{Step: step, From: p.Slot, To: p.Slot.Add(time.Second)}, kind, which)
			if err != nil {
				return err
			}
			l = tally.Merge(append(old, l)...)
			l.Cut(kept[step].keys)
			data, err := l.AppendBinary(nil)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(`INSERT OR REPLACE INTO top VALUES (?, ?, ?, ?, ?)`, step, kind, which, slot,
				data); err != nil {
				return err
			}
		}
		if err := mergeSketch(tx, step, kind, slot, p.Sketch[kind]); err != nil {
			return err
		}
	}
	return nil
}

func mergeSketch(tx *sql.Tx, step store.Step, kind int, slot int64, s *hyperloglog.Sketch) error {
	if s == nil {
		return nil
	}
	var data []byte
	err := tx.QueryRow(`SELECT sketch FROM sketch WHERE step = ? AND kind = ? AND slot = ?`, step, kind, slot).Scan(&data)
	if err == nil {
		var old hyperloglog.Sketch
		if err := old.UnmarshalBinary(data); err != nil {
			return err
		}
		s = tally.MergeSketches(s.Clone(), &old)
	} else if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if data, err = s.MarshalBinary(); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT OR REPLACE INTO sketch VALUES (?, ?, ?, ?)`, step, kind, slot, data)
	return err
}

// querier is a database or a transaction.
type querier interface {
	Query(query string, args ...any) (*sql.Rows, error)
}

// tops reads the top lists of a span.
func tops(from querier, span tally.Span, kind, which int) ([]tally.List, error) {
	rows, err := from.Query(`SELECT list FROM top WHERE step = ? AND kind = ? AND flagged = ? AND slot >= ? AND slot < ?`,
		span.Step, kind, which, span.From.Unix(), span.To.Unix())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []tally.List
	for rows.Next() {
		var data sql.RawBytes
		var l tally.List
		if err := rows.Scan(&data); err != nil {
			return nil, err
		}
		if err := l.UnmarshalBinary(data); err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, rows.Err()
}

// writeOpen writes the running minutes, so that a crash loses no more of them than of the rest.
func writeOpen(tx *sql.Tx, open map[int64]tally.Part) error {
	for slot, p := range open {
		for kind := range p.Top {
			for which := range p.Top[kind] {
				p.Top[kind][which].Cut(kept[store.Minute].keys)
			}
		}
		data, err := p.AppendBinary(nil)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT OR REPLACE INTO open VALUES (?, ?)`, slot, data); err != nil {
			return err
		}
	}
	return nil
}

// openParts reads the running minutes of a range.
func openParts(from querier, r store.Range) (out []tally.Part, err error) {
	rows, err := from.Query(`SELECT slot, part FROM open WHERE slot >= ? AND slot < ?`, r.From.Unix(), r.To.Unix())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var slot int64
		var data sql.RawBytes
		if err := rows.Scan(&slot, &data); err != nil {
			return nil, err
		}
		p := tally.Part{Slot: time.Unix(slot, 0).UTC()}
		if err := p.UnmarshalBinary(data); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

// mergeOpen ends the minutes that ran when the last process stopped.
func mergeOpen(tx *sql.Tx, now time.Time) error {
	all, err := openParts(tx, store.Range{From: time.Unix(0, 0), To: now.Add(2 * tally.MaxSkew)})
	if err != nil {
		return err
	}
	return writeEnded(tx, slices.Clip(all), now)
}
