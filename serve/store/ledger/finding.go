package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/degas-dns/degas/detect/notify"
	"github.com/degas-dns/degas/detect/watch"
)

// Finding is what a watch found, and what became of it.
type Finding struct {
	ID int64 `json:"id"`
	watch.Finding
	// Subject is what Finding.Subject says: the client or the domain.
	Subject string `json:"subject"`
	// Times is how often the watch told of it while it was open, and Told when it did so last. Finding is what it said
	// then; its First is the earliest one, and its Last the latest.
	Times int       `json:"times"`
	Told  time.Time `json:"told"`
	// ClosedBy, ClosedAt and Note say who looked at it and what came out. An open finding has none.
	ClosedBy string    `json:"closed_by,omitempty"`
	ClosedAt time.Time `json:"closed_at,omitzero"`
	Note     string    `json:"note,omitempty"`
}

// FindingFilter chooses findings. The zero FindingFilter chooses all.
type FindingFilter struct {
	Kind, Subject string
	Open, Closed  bool // only open ones, only closed ones
}

// Findings are those that f chooses, newest ID first, at most n of them with an ID below before. before 0 begins with
// the newest one; n 0 is DefaultPage.
func (l *Ledger) Findings(ctx context.Context, f FindingFilter, before int64, n int) (all []Finding, err error) {
	rows, err := l.read.QueryContext(ctx, `SELECT id, subject, first, last, times, told, finding, closed_by, closed_at,
		note FROM finding WHERE (?1 = '' OR kind = ?1) AND (?2 = '' OR subject = ?2) AND (NOT ?3 OR closed_at IS NULL)
		AND (NOT ?4 OR closed_at IS NOT NULL) AND (?5 <= 0 OR id < ?5) ORDER BY id DESC LIMIT ?6`, f.Kind, f.Subject, f.Open,
		f.Closed, before, page(n))
	err = each(rows, err, func() error {
		var f Finding
		var text string
		var first, last, told, closedAt sql.NullInt64
		var closedBy sql.NullString
		err := rows.Scan(&f.ID, &f.Subject, &first, &last, &f.Times, &told, &text, &closedBy, &closedAt, &f.Note)
		if err == nil {
			err = json.Unmarshal([]byte(text), &f.Finding)
		}
		f.First, f.Last, f.Told, f.ClosedAt = when(first), when(last), when(told), when(closedAt)
		f.ClosedBy = closedBy.String
		all = append(all, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	return all, nil
}

// CloseFinding notes that somebody has looked at a finding. If the watch tells of it again, there is a new one. The
// error wraps ErrNotFound or ErrOver.
func (l *Ledger) CloseFinding(ctx context.Context, id int64, by, note string) error {
	return l.end(ctx, "close finding", "finding", "closed", id, by, note)
}

// end marks a row of a table as over, once. mark is the beginning of the columns' names.
func (l *Ledger) end(ctx context.Context, what, table, mark string, id int64, by, note string) error {
	if err := errors.Join(checkText("by", by, mostWord), checkText("note", note, mostNote)); err != nil {
		return fmt.Errorf("%s %d: %w", what, id, err)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	now := time.Now()
	err := l.change(ctx, func(tx *sql.Tx) error {
		set := mark + "_by = ?2, " + mark + "_at = ?3"
		args := []any{id, by, milli(now)}
		if note != "" {
			set, args = set+", note = ?4", append(args, note)
		}
		r, err := tx.ExecContext(ctx, "UPDATE "+table+" SET "+set+" WHERE id = ?1 AND "+mark+"_at IS NULL", args...)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return missing(ctx, tx, table, id)
		}
		return audit(ctx, tx, now, by, what, fmt.Sprint(id))
	})
	if err != nil {
		return fmt.Errorf("%s %d: %w", what, id, err)
	}
	return nil
}

// missing is ErrOver if the table has the row, and ErrNotFound if not.
func missing(ctx context.Context, tx *sql.Tx, table string, id int64) error {
	n := 0
	err := tx.QueryRowContext(ctx, "SELECT count(*) FROM "+table+" WHERE id = ?", id).Scan(&n)
	switch {
	case err != nil:
		return err
	case n == 0:
		return ErrNotFound
	}
	return ErrOver
}

// Sink is where a stream sends findings, to keep them here. Its Close leaves the ledger open.
func (l *Ledger) Sink() notify.Sink { return sink{l} }

type sink struct{ l *Ledger }

// Send implements notify.Sink. A finding about the same subject as an open one adds to that.
func (s sink) Send(ctx context.Context, f watch.Finding) error {
	l := s.l
	text, err := notify.Encode(&f)
	if err != nil {
		return err
	}
	var evidence struct { // the number that JSON has
		Evidence float64 `json:"evidence"`
	}
	if err := json.Unmarshal(text, &evidence); err != nil {
		return err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	err = l.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO finding (kind, subject, first, last, evidence, times, told, finding, note)
			VALUES (?, ?, ?, ?, ?, 1, ?, ?, '') ON CONFLICT (kind, subject) WHERE closed_at IS NULL DO UPDATE SET
			first = coalesce(min(first, excluded.first), first, excluded.first),
			last = coalesce(max(last, excluded.last), last, excluded.last),
			evidence = max(evidence, excluded.evidence), times = times + 1, told = excluded.told, finding = excluded.finding`,
			f.Kind, f.Subject(), orNull(f.First), orNull(f.Last), evidence.Evidence, milli(time.Now()), string(text))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM finding WHERE id IN (SELECT id FROM finding
			ORDER BY closed_at IS NULL, id LIMIT max((SELECT count(*) FROM finding) - ?, 0))`, l.o.MostFindings)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep a finding in the ledger: %w", err)
	}
	return nil
}

// Close implements notify.Sink.
func (s sink) Close() error { return nil }
