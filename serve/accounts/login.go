package accounts

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// mostAgent bounds what is kept of a User-Agent header, in characters.
const mostAgent = 200

// usedEvery is how long a session is used before that is written again.
const usedEvery = time.Minute

// LogIn starts a session. cookie is for the browser, and kept nowhere. The error is ErrWrong, or a *TooMany.
func (a *Accounts) LogIn(ctx context.Context, name, password string, from netip.Addr, agent string) (cookie string,
	s Session, err error) {
	p, hash, err := a.checked(ctx, name, password, from)
	if err != nil {
		return "", Session{}, err
	}
	cookie = newSecret()
	row := ledger.Session{Person: p, Started: a.now(), From: address(from), Agent: agentOf(agent)}
	row.Used = row.Started
	row.ID, err = a.ledger.StartSession(ctx, row, sumOf(cookie), placeOf(from), hash, a.o.MostSessions)
	if errors.Is(err, ErrNotFound) { // removed, or another password, since it was checked
		err = ErrWrong
	}
	if err != nil {
		return "", Session{}, err
	}
	row.Person.Seen = row.Started
	return cookie, sessionOf(row), nil
}

// checked is the person with a name and a password, and the hash to keep from now on: a new one if the old one has
// another cost. The error is ErrWrong or a *TooMany. A name that nobody has takes the same steps as one that somebody
// has.
func (a *Accounts) checked(ctx context.Context, name, password string, from netip.Addr) (p ledger.Person,
	kept string, err error) {
	_, key, err := fold(name)
	if err != nil {
		key = "" // which nobody has
	}
	if p, err = a.ledger.Person(ctx, key); err != nil && !errors.Is(err, ErrNotFound) {
		return ledger.Person{}, "", err
	}
	who := p.Name
	if who == "" {
		who = unknownName
	}
	now := a.now()
	known, err := a.ledger.Knows(ctx, p.ID, placeOf(from), now.Add(-knownFor))
	if err != nil {
		return ledger.Person{}, "", err
	}
	back, err := a.limits.take(key, from, known, now)
	if err != nil {
		a.noteWrong(ctx, wrongPassword, key, who, from, true)
		return ledger.Person{}, "", err
	}
	h := a.nobody
	if p.Hash != "" {
		if h, err = parseHash(p.Hash); err != nil {
			a.log.Error("somebody cannot log in. Try: invite them again", "name", p.Name, "error", err)
			h = a.nobody
		}
	}
	prepared, ok := prepare(password)
	gate := a.strange
	if known {
		gate = a.known
	}
	err = gate.pass(ctx, func() {
		if ok = a.matches(h, prepared) && ok; ok {
			if kept = p.Hash; h.cost != a.cost {
				kept = a.hashOf(prepared)
			}
		}
	})
	switch {
	case err != nil: // nothing was tried
		back()
		return ledger.Person{}, "", err
	case !ok:
		a.noteWrong(ctx, wrongPassword, key, who, from, false)
		return ledger.Person{}, "", ErrWrong
	}
	back()
	return p, kept, nil
}

// agentOf is a User-Agent header that can be kept.
func agentOf(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return printable.Cut(text, mostAgent)
}

func sessionOf(s ledger.Session) Session {
	return Session{ID: strconv.FormatInt(s.ID, 10), Person: personOf(s.Person), Started: s.Started.UTC(),
		Used: s.Used.UTC(), From: s.From, Agent: s.Agent}
}

// over reports whether a session has expired. One of a far future, as after a clock was set back, has too.
func (a *Accounts) over(s ledger.Session, now time.Time) bool {
	return now.Sub(s.Used).Abs() >= a.o.Idle || now.Sub(s.Started).Abs() >= a.o.Life
}

// Check is the session of a cookie. The error is ErrSession, or ErrExpired. Check notes that the session is used, at
// most once a minute.
func (a *Accounts) Check(ctx context.Context, cookie string) (Session, error) {
	row, err := a.ledger.Session(ctx, sumOf(cookie))
	now := a.now()
	switch {
	case errors.Is(err, ErrNotFound):
		return Session{}, ErrSession
	case err != nil:
		return Session{}, err
	case a.over(row, now):
		return Session{}, ErrExpired
	}
	if now.Sub(row.Used) >= usedEvery {
		if err := a.ledger.UseSession(ctx, now, row); err != nil { // as on a full disk, where the console is needed most
			a.log.Error("the use of a session is not noted, so it may expire too early", "error", err)
		}
		row.Used, row.Person.Seen = now, now
	}
	return sessionOf(row), nil
}

// LogOut ends the session of a cookie. The error is ErrSession if there is none.
func (a *Accounts) LogOut(ctx context.Context, cookie string) error {
	row, err := a.ledger.Session(ctx, sumOf(cookie))
	if err == nil {
		err = a.ledger.EndSession(ctx, a.now(), row.Person.Name, "log out", row.ID)
	}
	if errors.Is(err, ErrNotFound) {
		return ErrSession
	}
	return err
}

// Sessions are all that have not expired, those used last first.
func (a *Accounts) Sessions(ctx context.Context) (all []Session, err error) {
	rows, err := a.ledger.Sessions(ctx)
	if err != nil {
		return nil, err
	}
	now := a.now()
	for _, row := range rows {
		if !a.over(row, now) {
			all = append(all, sessionOf(row))
		}
	}
	return all, nil
}

// Revoke ends a session of anybody. The error is ErrSession if there is none.
func (a *Accounts) Revoke(ctx context.Context, by, id string) error {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return ErrSession
	}
	err = a.ledger.EndSession(ctx, a.now(), by, "end session", n)
	if errors.Is(err, ErrNotFound) {
		return ErrSession
	}
	return err
}

// SetPassword gives a person another password, and ends the person's sessions except the one with the ID keep, which
// may be "". The error is ErrWrong if old is not the password, with the limits of LogIn, or wraps ErrInput.
func (a *Accounts) SetPassword(ctx context.Context, name, old, new string, from netip.Addr, keep string) error {
	prepared, err := newPassword(name, new)
	if err != nil {
		return err
	}
	p, _, err := a.checked(ctx, name, old, from)
	if err != nil {
		return err
	}
	var hash string
	if err := a.known.pass(ctx, func() { hash = a.hashOf(prepared) }); err != nil {
		return err
	}
	id, _ := strconv.ParseInt(keep, 10, 64) // 0 is no session
	err = a.ledger.SetHash(ctx, a.now(), p, hash, id)
	if errors.Is(err, ErrNotFound) { // removed, or another password, since it was checked
		return ErrWrong
	}
	return err
}
