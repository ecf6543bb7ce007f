package accounts

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/netip"
	"time"

	"github.com/degas-dns/degas/serve/store/ledger"
)

// keepExpired is for how long invitations are kept that have expired, to say so to those who come late.
const keepExpired = 7 * 24 * time.Hour

// CommandLine is who did what a flag asked for. No person has a name with a space.
const CommandLine = "command line"

// What the audit says of wrong tries.
const (
	wrongPassword = "wrong password"
	wrongLink     = "wrong link"
)

// Invitation is what somebody was invited to.
type Invitation struct {
	Name string // "" for one to choose
	Role Role
}

// FirstRun is the token with which the first person sets a name and a password, and becomes an admin. ok is false once
// somebody has a password. The token is another one for each Accounts, so after each start, and is only in memory.
func (a *Accounts) FirstRun(ctx context.Context) (token string, ok bool, err error) {
	people, err := a.ledger.People(ctx)
	if err != nil {
		return "", false, err
	}
	for _, p := range people {
		if p.Hash != "" {
			return "", false, nil
		}
	}
	return a.first, true, nil
}

// isFirst reports whether a token is that of FirstRun, and still valid.
func (a *Accounts) isFirst(ctx context.Context, token string) (bool, error) {
	sum, first := sumOf(token), sumOf(a.first)
	if subtle.ConstantTimeCompare(sum[:], first[:]) != 1 {
		return false, nil
	}
	_, ok, err := a.FirstRun(ctx)
	return ok, err
}

// Invite makes a token with which somebody sets a password. For somebody who is there already it is a new password, the
// role is at once what is asked for, and the old password and the sessions go on until the token is used. An earlier
// token of the same person is not valid any more. The error wraps ErrInput or ErrLastAdmin.
func (a *Accounts) Invite(ctx context.Context, by, name string, role Role) (token string, err error) {
	shown, key, err := fold(name)
	if err == nil {
		err = checkRole(role)
	}
	if err != nil {
		return "", err
	}
	token, now := newSecret(), a.now()
	p := ledger.Person{Key: key, Name: shown, Role: string(role)}
	err = a.ledger.Invite(ctx, now, by, p, sumOf(token), now.Add(a.o.Invitation), a.o.MostPeople)
	if err != nil {
		return "", err
	}
	return token, nil
}

// Link is Invite by whoever starts the program: the way back in if every password is lost. name becomes an admin.
func (a *Accounts) Link(ctx context.Context, name string) (token string, err error) {
	return a.Invite(ctx, CommandLine, name, Admin)
}

// Invitation is what a token invites to. The error is ErrLink, ErrExpired, or a *TooMany after wrong tokens from the
// same place. A right token is never limited.
func (a *Accounts) Invitation(ctx context.Context, token string, from netip.Addr) (Invitation, error) {
	first, err := a.isFirst(ctx, token)
	if err != nil {
		return Invitation{}, err
	}
	if first {
		return Invitation{Role: Admin}, nil
	}
	p, expires, err := a.ledger.Invitation(ctx, sumOf(token))
	switch {
	case errors.Is(err, ErrNotFound):
		err = a.limits.takeLink(from, a.now())
		a.noteWrong(ctx, wrongLink, "", unknownName, from, err != nil)
		if err == nil {
			err = ErrLink
		}
		return Invitation{}, err
	case err != nil:
		return Invitation{}, err
	case !a.now().Before(expires):
		return Invitation{}, ErrExpired
	}
	return Invitation{Name: p.Name, Role: Role(p.Role)}, nil
}

// Accept uses up a token: its person has the password from now on, and all other sessions of the person end. name is
// what the first person chose; else it may be "". The errors are those of Invitation, or wrap ErrInput; then the token
// stays valid.
func (a *Accounts) Accept(ctx context.Context, token, name, password string, from netip.Addr) (Person, error) {
	to, err := a.Invitation(ctx, token, from)
	if err != nil {
		return Person{}, err
	}
	shown, key := to.Name, ""
	if name != "" || to.Name == "" {
		if shown, key, err = fold(name); err != nil {
			return Person{}, err
		}
	}
	if to.Name != "" && name != "" {
		if _, want, err := fold(to.Name); err != nil || want != key {
			return Person{}, input("the link is for another name")
		}
	}
	prepared, err := newPassword(shown, password)
	if err != nil {
		return Person{}, err
	}
	var hash string
	if err := a.known.pass(ctx, func() { hash = a.hashOf(prepared) }); err != nil {
		return Person{}, err
	}
	var p ledger.Person
	if place := placeOf(from); to.Name == "" {
		p = ledger.Person{Key: key, Name: shown, Role: string(Admin), Hash: hash}
		p, err = a.ledger.FirstPerson(ctx, a.now(), p, place)
	} else {
		p, err = a.ledger.Accept(ctx, a.now(), sumOf(token), hash, place)
	}
	switch {
	case errors.Is(err, ErrNotFound), to.Name == "" && errors.Is(err, ledger.ErrOver): // somebody was faster
		return Person{}, ErrLink
	case errors.Is(err, ledger.ErrOver):
		return Person{}, ErrExpired
	case err != nil:
		return Person{}, err
	}
	return personOf(p), nil
}
