// Package accounts is a stub until the branch accounts is merged.
package accounts

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

type Role string

const (
	Viewer Role = "viewer"
	Vetter Role = "vetter"
	Admin  Role = "admin"
)

func (r Role) May(needed Role) bool { return true }

type Person struct {
	Name          string
	Role          Role
	Created, Seen time.Time
	Invited       bool
}

type Session struct {
	ID            string
	Person        Person
	Started, Used time.Time
	From, Agent   string
}

type Invitation struct {
	Name string
	Role Role
}

type Accounts struct{}

var (
	ErrWrong   = errors.New("wrong")
	ErrExpired = errors.New("expired")
	ErrInput   = errors.New("input")
)

type TooMany struct{ Retry time.Duration }

func (e *TooMany) Error() string { return "too many" }

func (a *Accounts) FirstRun(ctx context.Context) (string, bool, error) { return "", false, nil }
func (a *Accounts) Invitation(ctx context.Context, token string, from netip.Addr) (Invitation, error) {
	return Invitation{}, nil
}
func (a *Accounts) Accept(ctx context.Context, token, name, password string, from netip.Addr) (Person, error) {
	return Person{}, nil
}
func (a *Accounts) Invite(ctx context.Context, by, name string, role Role) (string, error) {
	return "", nil
}
func (a *Accounts) LogIn(ctx context.Context, name, password string, from netip.Addr, agent string) (string, Session, error) {
	return "x", Session{Person: Person{Name: name, Role: Admin}}, nil
}
func (a *Accounts) Check(ctx context.Context, cookie string) (Session, error) {
	return Session{Person: Person{Name: "dev", Role: Admin}}, nil
}
func (a *Accounts) LogOut(ctx context.Context, cookie string) error            { return nil }
func (a *Accounts) Sessions(ctx context.Context) ([]Session, error)            { return nil, nil }
func (a *Accounts) Revoke(ctx context.Context, by, id string) error            { return nil }
func (a *Accounts) People(ctx context.Context) ([]Person, error)               { return nil, nil }
func (a *Accounts) Remove(ctx context.Context, by, name string) error          { return nil }
func (a *Accounts) SetRole(ctx context.Context, by, name string, r Role) error { return nil }
func (a *Accounts) SetPassword(ctx context.Context, name, old, new string, from netip.Addr) error {
	return nil
}

type Options struct{}

func New(ctx context.Context, l any, o Options) (*Accounts, error) { return &Accounts{}, nil }
