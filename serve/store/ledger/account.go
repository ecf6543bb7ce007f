package ledger

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"
)

// Person is somebody who may log in, or who is invited to. Package accounts has the rules; here are the rows. Times are
// arguments, because package accounts has the clock.
type Person struct {
	ID   int64
	Key  string // Name as it is compared: two people never have the same
	Name string
	Role string // "viewer", "vetter" or "admin"
	// Hash is of the password, in the PHC string format, and "" until there is one.
	Hash    string
	Created time.Time
	Seen    time.Time // to the minute or so; zero for never
}

// Sum is the SHA-256 of a secret that is random, such as a cookie. The secret itself is kept nowhere.
type Sum = [sha256.Size]byte

// ErrLastAdmin says that nobody would be left who may change accounts.
var ErrLastAdmin = errors.New("it is the last admin with a password. Try: make somebody else an admin first")

const admin = "admin" // the role that somebody must have

const selectPeople = `SELECT p.id, p.key, p.name, p.role, p.hash, p.created, p.seen FROM person p `

// fields are where a row of selectPeople goes, and done is to be called with it.
func (p *Person) fields() (fields []any, done func()) {
	var created, seen sql.NullInt64
	return []any{&p.ID, &p.Key, &p.Name, &p.Role, &p.Hash, &created, &seen},
		func() { p.Created, p.Seen = when(created), when(seen) }
}

// querier is a transaction or a database.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// person is the one that the rest of a query chooses. The error wraps ErrNotFound if there is none.
func person(ctx context.Context, q querier, rest string, args ...any) (p Person, err error) {
	fields, done := p.fields()
	err = q.QueryRowContext(ctx, selectPeople+rest, args...).Scan(fields...)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	done()
	return p, err
}

// People are all who may log in or are invited to, by their keys.
func (l *Ledger) People(ctx context.Context) (all []Person, err error) {
	rows, err := l.read.QueryContext(ctx, selectPeople+"ORDER BY p.key")
	err = each(rows, err, func() error {
		var p Person
		fields, done := p.fields()
		err := rows.Scan(fields...)
		done()
		all = append(all, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the accounts: %w", err)
	}
	return all, nil
}

// Person is the one with a key. The error wraps ErrNotFound.
func (l *Ledger) Person(ctx context.Context, key string) (Person, error) {
	p, err := person(ctx, l.read, "WHERE p.key = ?", key)
	if err != nil {
		return Person{}, fmt.Errorf("read the account: %w", err)
	}
	return p, nil
}

// accounts changes accounts in a transaction. what is for the error.
func (l *Ledger) accounts(ctx context.Context, what string, f func(tx *sql.Tx) error) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.change(ctx, f); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Invite keeps an invitation of p, of which Key, Name and Role count, until it expires. It takes the place of an
// earlier invitation of the same person. Somebody who is there already gets the role, and keeps password and sessions.
// The error wraps ErrInput if there are most people, and ErrLastAdmin.
func (l *Ledger) Invite(ctx context.Context, now time.Time, by string, p Person, sum Sum, expires time.Time,
	most int) error {
	return l.accounts(ctx, "invite", func(tx *sql.Tx) error {
		old, err := person(ctx, tx, "WHERE p.key = ?", p.Key)
		switch {
		case errors.Is(err, ErrNotFound):
			if old.ID, err = addPerson(ctx, tx, now, p, most); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			p.Name = old.Name
			if err := setRole(ctx, tx, old, p.Role); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO invitation (person, sum, expires) VALUES (?, ?, ?)", old.ID,
			sum[:], milli(expires))
		if err != nil {
			return err
		}
		return audit(ctx, tx, now, by, "invite", p.Name+" as "+p.Role)
	})
}

func addPerson(ctx context.Context, tx *sql.Tx, now time.Time, p Person, most int) (id int64, err error) {
	n := 0
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM person").Scan(&n); err != nil {
		return 0, err
	}
	if n >= most {
		return 0, input("there are %d accounts already. Try: remove one", n)
	}
	r, err := tx.ExecContext(ctx, "INSERT INTO person (key, name, role, hash, created) VALUES (?, ?, ?, ?, ?)", p.Key,
		p.Name, p.Role, p.Hash, milli(now))
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

// Invitation is who was invited with a token, and until when. The error wraps ErrNotFound.
func (l *Ledger) Invitation(ctx context.Context, sum Sum) (p Person, expires time.Time, err error) {
	if p, expires, err = invitation(ctx, l.read, sum); err != nil {
		return Person{}, time.Time{}, fmt.Errorf("read an invitation: %w", err)
	}
	return p, expires, nil
}

func invitation(ctx context.Context, q querier, sum Sum) (p Person, expires time.Time, err error) {
	var id int64
	var ms sql.NullInt64
	err = q.QueryRowContext(ctx, "SELECT person, expires FROM invitation WHERE sum = ?", sum[:]).Scan(&id, &ms)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err == nil {
		p, err = person(ctx, q, "WHERE p.id = ?", id)
	}
	return p, when(ms), err
}

// Accept uses up an invitation: its person has a password with that hash from now on, and no session. network is a
// place to remember for Knows. The error wraps ErrNotFound, also if the invitation was used meanwhile, and ErrOver if
// it has expired.
func (l *Ledger) Accept(ctx context.Context, now time.Time, sum Sum, hash, network string) (p Person, err error) {
	err = l.accounts(ctx, "accept an invitation", func(tx *sql.Tx) error {
		var expires time.Time
		if p, expires, err = invitation(ctx, tx, sum); err != nil {
			return err
		}
		if !now.Before(expires) {
			return ErrOver
		}
		p.Hash = hash
		if err = setHash(ctx, tx, p, 0); err == nil {
			err = know(ctx, tx, now, p.ID, network)
		}
		if err != nil {
			return err
		}
		return audit(ctx, tx, now, p.Name, "accept invitation", p.Role)
	})
	return p, err
}

// setHash gives a person another password. It ends invitations, and all sessions but one.
func setHash(ctx context.Context, tx *sql.Tx, p Person, keep int64) error {
	_, err := tx.ExecContext(ctx, "UPDATE person SET hash = ? WHERE id = ?", p.Hash, p.ID)
	if err == nil {
		_, err = tx.ExecContext(ctx, "DELETE FROM invitation WHERE person = ?", p.ID)
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, "DELETE FROM session WHERE person = ? AND id <> ?", p.ID, keep)
	}
	return err
}

// FirstPerson adds p, of which Key, Name, Role and Hash count, if nobody has a password yet. network is a place to
// remember for Knows. The error wraps ErrOver if somebody has a password. Somebody who was invited under the same name
// becomes p.
func (l *Ledger) FirstPerson(ctx context.Context, now time.Time, p Person, network string) (Person, error) {
	err := l.accounts(ctx, "make the first account", func(tx *sql.Tx) error {
		n := 0
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM person WHERE hash <> ''").Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return ErrOver
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM person WHERE key = ?", p.Key); err != nil {
			return err
		}
		id, err := addPerson(ctx, tx, now, p, math.MaxInt) // invitations must not keep the first one out
		if err == nil {
			err = know(ctx, tx, now, id, network)
		}
		if err != nil {
			return err
		}
		p.ID, p.Created = id, when(orNull(now))
		return audit(ctx, tx, now, p.Name, "first account", p.Role)
	})
	return p, err
}

// SetHash gives a person, as it was read, another hash of a password. It ends the person's invitation, and all sessions
// but the one with the ID keep. The error wraps ErrNotFound if the person is gone or has another password meanwhile.
func (l *Ledger) SetHash(ctx context.Context, now time.Time, p Person, hash string, keep int64) error {
	return l.accounts(ctx, "set a password", func(tx *sql.Tx) error {
		if _, err := person(ctx, tx, "WHERE p.id = ? AND p.hash = ?", p.ID, p.Hash); err != nil {
			return err
		}
		p.Hash = hash
		if err := setHash(ctx, tx, p, keep); err != nil {
			return err
		}
		return audit(ctx, tx, now, p.Name, "set password", "")
	})
}

// SetRole gives a person another role. The error wraps ErrNotFound or ErrLastAdmin.
func (l *Ledger) SetRole(ctx context.Context, now time.Time, by, key, role string) error {
	return l.accounts(ctx, "change a role", func(tx *sql.Tx) error {
		p, err := person(ctx, tx, "WHERE p.key = ?", key)
		if err == nil {
			err = setRole(ctx, tx, p, role)
		}
		if err != nil || p.Role == role {
			return err
		}
		return audit(ctx, tx, now, by, "set role", fmt.Sprintf("%s: %s, was %s", p.Name, role, p.Role))
	})
}

func setRole(ctx context.Context, tx *sql.Tx, p Person, role string) error {
	if role == p.Role {
		return nil
	}
	if err := mayGo(ctx, tx, p); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "UPDATE person SET role = ? WHERE id = ?", role, p.ID)
	return err
}

// mayGo is ErrLastAdmin if p is the only admin with a password.
func mayGo(ctx context.Context, tx *sql.Tx, p Person) error {
	if p.Role != admin || p.Hash == "" {
		return nil
	}
	n := 0
	err := tx.QueryRowContext(ctx, "SELECT count(*) FROM person WHERE role = ? AND hash <> '' AND id <> ?", admin,
		p.ID).Scan(&n)
	if err == nil && n == 0 {
		err = ErrLastAdmin
	}
	return err
}

// RemovePerson takes away an account with its invitation and its sessions. What the person decided stays, with the
// name. The error wraps ErrNotFound or ErrLastAdmin.
func (l *Ledger) RemovePerson(ctx context.Context, now time.Time, by, key string) error {
	return l.accounts(ctx, "remove an account", func(tx *sql.Tx) error {
		p, err := person(ctx, tx, "WHERE p.key = ?", key)
		if err == nil {
			err = mayGo(ctx, tx, p)
		}
		if err == nil { // the other tables follow
			_, err = tx.ExecContext(ctx, "DELETE FROM person WHERE id = ?", p.ID)
		}
		if err != nil {
			return err
		}
		return audit(ctx, tx, now, by, "remove account", p.Name)
	})
}
