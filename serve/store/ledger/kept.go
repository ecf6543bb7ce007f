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

// Mute is a mute with who made it.
type Mute struct {
	ID int64 `json:"id"`
	notify.Mute
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Ends    time.Time `json:"ends"`
	EndedBy string    `json:"ended_by,omitempty"` // before Ends
	EndedAt time.Time `json:"ended_at,omitzero"`
}

// mostMutes bounds the mutes that are in force: each finding is compared with all of them.
const mostMutes = 10_000

// Mutes are the mutes that are in force. They follow every change, so a stream can hold on to them.
func (l *Ledger) Mutes() *notify.Mutes { return l.mutes }

// Mute adds a mute, which is in force once Mute returns. The error wraps ErrInput if it says something impossible.
func (l *Ledger) Mute(ctx context.Context, by string, m notify.Mute) (id int64, err error) {
	now := time.Now()
	ends, err := m.End(now)
	switch {
	case err != nil:
		return 0, input("%w", err)
	case !ends.After(now):
		return 0, input("until: %s is over. Try: a later day", m.Until)
	}
	for name, text := range map[string]string{"domain": m.Domain, "client": m.Client, "reason": m.Reason, "by": by} {
		if err := checkText(name, text, mostNote); err != nil {
			return 0, err
		}
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	err = l.change(ctx, func(tx *sql.Tx) error {
		n := 0
		err := tx.QueryRowContext(ctx, "SELECT count(*) FROM mute WHERE ended_at IS NULL AND ends > ?", milli(now)).Scan(&n)
		if err == nil && n >= mostMutes {
			err = fmt.Errorf("%w: %d mutes are in force. Try: end some", ErrFull, n)
		}
		if err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `INSERT INTO mute (domain, client, kind, reason, until, ends, by, at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, m.Domain, m.Client, m.Kind, m.Reason, m.Until, milli(ends), by, milli(now))
		if err == nil {
			id, err = r.LastInsertId()
		}
		if err != nil {
			return err
		}
		return audit(ctx, tx, now, by, "mute", fmt.Sprintf("%d: %s %s", id, m.Domain, m.Client))
	})
	if err == nil {
		err = l.loadMutes(context.WithoutCancel(ctx))
	}
	if err != nil {
		return 0, fmt.Errorf("write a mute: %w", err)
	}
	return id, nil
}

// Unmute ends a mute. The error wraps ErrNotFound or ErrOver.
func (l *Ledger) Unmute(ctx context.Context, id int64, by string) error {
	if err := l.end(ctx, "unmute", "mute", "ended", id, by, ""); err != nil {
		return err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.loadMutes(context.WithoutCancel(ctx))
}

// AllMutes are the mutes, newest first, at most n of them with an ID below before, as Findings has them.
func (l *Ledger) AllMutes(ctx context.Context, before int64, n int) ([]Mute, error) {
	return l.selectMutes(ctx, "?1 <= 0 OR id < ?1", before, page(n))
}

func (l *Ledger) selectMutes(ctx context.Context, where string, arg any, n int) (all []Mute, err error) {
	rows, err := l.read.QueryContext(ctx, `SELECT id, domain, client, kind, reason, until, ends, by, at, ended_by, ended_at
		FROM mute WHERE (`+where+`) ORDER BY id DESC LIMIT ?2`, arg, n)
	err = each(rows, err, func() error {
		var m Mute
		var ends, at, endedAt sql.NullInt64
		var endedBy sql.NullString
		err := rows.Scan(&m.ID, &m.Domain, &m.Client, &m.Kind, &m.Reason, &m.Until, &ends, &m.By, &at, &endedBy, &endedAt)
		m.Ends, m.At, m.EndedBy, m.EndedAt = when(ends), when(at), endedBy.String, when(endedAt)
		all = append(all, m)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read mutes: %w", err)
	}
	return all, nil
}

// loadMutes puts the mutes that are in force in place.
func (l *Ledger) loadMutes(ctx context.Context) error {
	now := time.Now()
	all, err := l.selectMutes(ctx, "ended_at IS NULL AND ends > ?1", milli(now), mostMutes)
	if err != nil {
		return err
	}
	var good []notify.Mute
	for _, m := range all {
		if _, err := m.End(now); err != nil { // as after a clock was set back
			l.o.Log.Warn("a mute of the ledger is left out", "id", m.ID, "error", err)
			continue
		}
		good = append(good, m.Mute)
	}
	return l.mutes.Set(good, now)
}

// baseline is the name of the baseline in the table of what is kept.
const baseline = "baseline"

// KeepBaseline takes the place of the baseline.
func (l *Ledger) KeepBaseline(ctx context.Context, by string, b *watch.Baseline) error {
	text, err := json.Marshal(b)
	if err == nil {
		_, err = watch.ParseBaseline(text)
	}
	if err != nil {
		return fmt.Errorf("keep a baseline: %w: %w", ErrInput, err)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	now := time.Now()
	err = l.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO kept (name, by, at, data) VALUES (?, ?, ?, ?)", baseline, by,
			milli(now), text)
		if err != nil {
			return err
		}
		return audit(ctx, tx, now, by, "baseline", fmt.Sprintf("of %d events", b.Events))
	})
	if err != nil {
		return fmt.Errorf("keep a baseline: %w", err)
	}
	return nil
}

// Baseline is the one that is kept, nil if there is none.
func (l *Ledger) Baseline(ctx context.Context) (*watch.Baseline, error) {
	var text []byte
	err := l.read.QueryRowContext(ctx, "SELECT data FROM kept WHERE name = ?", baseline).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	var b *watch.Baseline
	if err == nil {
		b, err = watch.ParseBaseline(text)
	}
	if err != nil {
		return nil, fmt.Errorf("read the baseline in %s: %w", l.path, err)
	}
	return b, nil
}

// Line is a line of the audit.
type Line struct {
	ID    int64     `json:"id"`
	At    time.Time `json:"at"`
	Who   string    `json:"who"`
	What  string    `json:"what"`  // "decide", "revoke", "log in"
	About string    `json:"about"` // which one
}

// Audit notes that somebody did something. The methods that change the ledger do so by themselves.
func (l *Ledger) Audit(ctx context.Context, who, what, about string) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	err := l.change(ctx, func(tx *sql.Tx) error { return audit(ctx, tx, time.Now(), who, what, about) })
	if err != nil {
		return fmt.Errorf("write a line of the audit: %w", err)
	}
	return nil
}

func audit(ctx context.Context, tx *sql.Tx, now time.Time, who, what, about string) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO audit (at, who, what, about) VALUES (?, ?, ?, ?)", milli(now), cut(who),
		cut(what), cut(about))
	return err
}

// Audits are lines of the audit, newest first, at most n of them with an ID below before, as Findings has them. who of
// "" is everybody.
func (l *Ledger) Audits(ctx context.Context, who string, before int64, n int) (all []Line, err error) {
	rows, err := l.read.QueryContext(ctx, `SELECT id, at, who, what, about FROM audit WHERE (?1 = '' OR who = ?1) AND
		(?2 <= 0 OR id < ?2) ORDER BY id DESC LIMIT ?3`, who, before, page(n))
	err = each(rows, err, func() error {
		var a Line
		var at sql.NullInt64
		err := rows.Scan(&a.ID, &at, &a.Who, &a.What, &a.About)
		a.At = when(at)
		all = append(all, a)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the audit: %w", err)
	}
	return all, nil
}
