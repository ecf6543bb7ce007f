package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Session is somebody who is logged in.
type Session struct {
	ID            int64
	Person        Person
	Started, Used time.Time
	From, Agent   string
}

const selectSessions = `SELECT s.id, s.started, s.used, s.address, s.agent, p.id, p.key, p.name, p.role, p.hash,
	p.created, p.seen FROM session s JOIN person p ON p.id = s.person `

// fields are as Person.fields, for selectSessions.
func (s *Session) fields() (fields []any, done func()) {
	var started, used sql.NullInt64
	of, read := s.Person.fields()
	return append([]any{&s.ID, &started, &used, &s.From, &s.Agent}, of...),
		func() { read(); s.Started, s.Used = when(started), when(used) }
}

// mostPlaces bounds the places that are kept of a person, the last ones.
const mostPlaces = 20

// StartSession logs s.Person in at s.Started, and returns the session's ID. The person is as it was read when the
// password was checked; hash takes the place of its Hash. network is the place to remember for Knows. Of more than most
// sessions of the person, those end that were not used for longest. The error wraps ErrNotFound if the person is gone
// or has another password meanwhile.
func (l *Ledger) StartSession(ctx context.Context, s Session, sum Sum, network, hash string, most int) (id int64,
	err error) {
	p, now := s.Person, milli(s.Started)
	err = l.accounts(ctx, "log in", func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, "UPDATE person SET hash = ?, seen = ? WHERE id = ? AND hash = ?", hash, now, p.ID,
			p.Hash)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNotFound)
		}
		r, err = tx.ExecContext(ctx, `INSERT INTO session (person, sum, started, used, address, agent)
			VALUES (?, ?, ?, ?, ?, ?)`, p.ID, sum[:], now, now, s.From, s.Agent)
		if err == nil {
			id, err = r.LastInsertId()
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, `DELETE FROM session WHERE person = ?1 AND id <> ?2 AND id NOT IN (SELECT id
				FROM session WHERE person = ?1 AND id <> ?2 ORDER BY used DESC, id DESC LIMIT ?3)`, p.ID, id, most-1)
		}
		if err == nil {
			err = know(ctx, tx, s.Started, p.ID, network)
		}
		if err != nil {
			return err
		}
		return audit(ctx, tx, s.Started, p.Name, "log in", fmt.Sprintf("session %d from %s", id, s.From))
	})
	return id, err
}

// know remembers that a person was at a place.
func know(ctx context.Context, tx *sql.Tx, now time.Time, person int64, network string) error {
	_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO place (person, network, used) VALUES (?, ?, ?)", person,
		network, milli(now))
	if err == nil {
		_, err = tx.ExecContext(ctx, `DELETE FROM place WHERE person = ?1 AND network NOT IN (SELECT network FROM place
			WHERE person = ?1 ORDER BY used DESC LIMIT ?2)`, person, mostPlaces)
	}
	return err
}

// Knows reports whether a person has logged in from a network, or used a link there, since a time.
func (l *Ledger) Knows(ctx context.Context, person int64, network string, since time.Time) (known bool, err error) {
	err = l.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM place WHERE person = ? AND network = ? AND
		used >= ?)`, person, network, milli(since)).Scan(&known)
	if err != nil {
		return false, fmt.Errorf("read where somebody logged in: %w", err)
	}
	return known, nil
}

// Session is the one with a cookie. The error wraps ErrNotFound.
func (l *Ledger) Session(ctx context.Context, sum Sum) (s Session, err error) {
	fields, done := s.fields()
	err = l.read.QueryRowContext(ctx, selectSessions+"WHERE s.sum = ?", sum[:]).Scan(fields...)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Session{}, fmt.Errorf("read a session: %w", err)
	}
	done()
	return s, nil
}

// Sessions are all that were not ended, those used last first. Package accounts knows which ones have expired.
func (l *Ledger) Sessions(ctx context.Context) (all []Session, err error) {
	rows, err := l.read.QueryContext(ctx, selectSessions+"ORDER BY s.used DESC, s.id DESC")
	err = each(rows, err, func() error {
		var s Session
		fields, done := s.fields()
		err := rows.Scan(fields...)
		done()
		all = append(all, s)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the sessions: %w", err)
	}
	return all, nil
}

// UseSession notes that a session, as it was read, is in use. Of several calls with the same one, the first one writes.
func (l *Ledger) UseSession(ctx context.Context, now time.Time, s Session) error {
	return l.accounts(ctx, "note a session's use", func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, "UPDATE session SET used = ? WHERE id = ? AND used = ?", milli(now), s.ID,
			milli(s.Used))
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE person SET seen = ? WHERE id = ?", milli(now), s.Person.ID)
		return err
	})
}

// EndSession ends a session. what is for the audit: "log out", say. The error wraps ErrNotFound.
func (l *Ledger) EndSession(ctx context.Context, now time.Time, by, what string, id int64) error {
	return l.accounts(ctx, what, func(tx *sql.Tx) error {
		var name string
		err := tx.QueryRowContext(ctx, "SELECT p.name FROM session s JOIN person p ON p.id = s.person WHERE s.id = ?",
			id).Scan(&name)
		if errors.Is(err, sql.ErrNoRows) {
			err = ErrNotFound
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, "DELETE FROM session WHERE id = ?", id)
		}
		if err != nil {
			return err
		}
		return audit(ctx, tx, now, by, what, fmt.Sprintf("session %d of %s", id, name))
	})
}

// TidyAccounts forgets sessions that were used last before one time or started before another, invitations that
// expired before a third one, and places before a fourth one.
func (l *Ledger) TidyAccounts(ctx context.Context, used, started, expired, places time.Time) error {
	return l.accounts(ctx, "tidy the accounts", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM session WHERE used <= ? OR started <= ?", milli(used), milli(started))
		if err == nil {
			_, err = tx.ExecContext(ctx, "DELETE FROM invitation WHERE expires <= ?", milli(expired))
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, "DELETE FROM place WHERE used < ?", milli(places))
		}
		return err
	})
}
