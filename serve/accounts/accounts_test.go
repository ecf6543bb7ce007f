package accounts

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/degas-dns/degas/serve/store/ledger"
)

const (
	good  = "correct horse battery"
	other = "staple of another kind"
)

var home, abroad = netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("198.51.100.1")

// cheap is a cost for tests that are not about it.
var cheap = cost{memory: 8, passes: 1, lanes: 1}

// bench are Accounts with a clock that a test moves.
type bench struct {
	*Accounts
	t      *testing.T
	dir    string
	ledger *ledger.Ledger
	time   time.Time
}

func open(t *testing.T, o Options) *bench {
	b := &bench{t: t, dir: t.TempDir(), time: time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)}
	b.start(o)
	t.Cleanup(func() { b.ledger.Close() })
	return b
}

// start opens the ledger again, as after a restart.
func (b *bench) start(o Options) {
	b.t.Helper()
	if b.ledger != nil {
		if err := b.ledger.Close(); err != nil {
			b.t.Fatal(err)
		}
	}
	var err error
	if b.ledger, err = ledger.Open(b.t.Context(), b.dir, ledger.Options{}); err != nil {
		b.t.Fatal(err)
	}
	o.Now = func() time.Time { return b.time }
	if b.Accounts, err = New(b.t.Context(), b.ledger, o); err != nil {
		b.t.Fatal(err)
	}
	b.setCost(cheap)
}

func (b *bench) setCost(c cost) { b.cost, b.nobody = c, newHash(c) }

// person makes an account with the password good.
func (b *bench) person(name string, role Role) {
	b.t.Helper()
	token, err := b.Invite(b.t.Context(), "root", name, role)
	if err == nil {
		_, err = b.Accept(b.t.Context(), token, "", good, home)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) logIn(name string, from netip.Addr) (cookie string, s Session) {
	b.t.Helper()
	cookie, s, err := b.LogIn(b.t.Context(), name, good, from, "a browser")
	if err != nil {
		b.t.Fatal(err)
	}
	return cookie, s
}

// try is the error of a log-in.
func (b *bench) try(name, password string, from netip.Addr) error {
	_, _, err := b.LogIn(b.t.Context(), name, password, from, "")
	return err
}

// is checks an error.
func is(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// limited is the wait of a *TooMany, 0 if the error is another one.
func limited(err error) time.Duration {
	if many, ok := errors.AsType[*TooMany](err); ok {
		return many.Retry
	}
	return 0
}

// audits are the lines of the audit, oldest first.
func (b *bench) audits() (all []string) {
	b.t.Helper()
	lines, err := b.ledger.Audits(b.t.Context(), "", 0, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, a := range slices.Backward(lines) {
		all = append(all, strings.TrimSpace(a.Who+": "+a.What+" "+a.About))
	}
	return all
}

func TestMay(t *testing.T) {
	all := []Role{"", "root", Viewer, Vetter, Admin}
	want := map[Role]string{"": ".....", "root": ".....", Viewer: "..x..", Vetter: "..xx.", Admin: "..xxx"}
	for _, r := range all {
		got := ""
		for _, needed := range all {
			got += map[bool]string{true: "x", false: "."}[r.May(needed)]
		}
		if got != want[r] {
			t.Errorf("%q may %s, want %s", r, got, want[r])
		}
	}
}

func TestFirstRun(t *testing.T) {
	b := open(t, Options{})
	ctx := t.Context()
	token, ok, err := b.FirstRun(ctx)
	if err != nil || !ok || len(token) != 43 {
		t.Fatalf("%q, %v, %v", token, ok, err)
	}
	if again, _, _ := b.FirstRun(ctx); again != token {
		t.Error("another token in the same run")
	}
	old := token
	b.start(Options{})
	token, _, _ = b.FirstRun(ctx)
	_, err = b.Invitation(ctx, old, home)
	is(t, "the token of the run before", err, ErrLink)
	if to, err := b.Invitation(ctx, token, home); err != nil || to != (Invitation{Role: Admin}) {
		t.Errorf("%+v, %v", to, err)
	}
	_, err = b.Accept(ctx, token, "", good, home)
	is(t, "no name", err, ErrInput)
	_, err = b.Accept(ctx, token, "ann", "short", home)
	is(t, "a short password", err, ErrInput)
	if p, err := b.Accept(ctx, token, "Ann", good, home); err != nil || p.Name != "Ann" || p.Role != Admin || p.Invited {
		t.Errorf("%+v, %v", p, err)
	}
	_, err = b.Accept(ctx, token, "eve", good, home)
	is(t, "used twice", err, ErrLink)
	if _, ok, err := b.FirstRun(ctx); ok || err != nil {
		t.Errorf("there is an account: %v, %v", ok, err)
	}
	b.start(Options{})
	if _, ok, err := b.FirstRun(ctx); ok || err != nil {
		t.Errorf("there is an account, and a restart was: %v, %v", ok, err)
	}
	b.logIn("ann", home)
}

// Of all who use the first token at the same time, one becomes an admin. So it is with any link.
func TestOneUse(t *testing.T) {
	b := open(t, Options{})
	race := func(what string, accept func(i int) error) {
		t.Helper()
		var all sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			all.Go(func() { errs[i] = accept(i) })
		}
		all.Wait()
		n := 0
		for _, err := range errs {
			if err == nil {
				n++
			} else if !errors.Is(err, ErrLink) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d used it", what, n)
		}
	}
	token, _, _ := b.FirstRun(t.Context())
	race("first", func(i int) error {
		_, err := b.Accept(t.Context(), token, "ann"+string(rune('a'+i)), good, home)
		return err
	})
	token, err := b.Invite(t.Context(), "ann", "bob", Viewer)
	if err != nil {
		t.Fatal(err)
	}
	race("link", func(int) error {
		_, err := b.Accept(t.Context(), token, "", good, home)
		return err
	})
	if people, err := b.People(t.Context()); len(people) != 2 || err != nil {
		t.Errorf("%+v, %v", people, err)
	}
}

func TestInvite(t *testing.T) {
	b := open(t, Options{MostPeople: 3})
	ctx := t.Context()
	b.person("ann", Admin)
	token, err := b.Invite(ctx, "ann", "Bob", Vetter)
	if err != nil {
		t.Fatal(err)
	}
	if people, _ := b.People(ctx); len(people) != 2 || !people[1].Invited || people[1].Name != "Bob" {
		t.Errorf("%+v", people)
	}
	is(t, "a log-in before there is a password", b.try("bob", good, home), ErrWrong)
	if to, err := b.Invitation(ctx, token, home); err != nil || to != (Invitation{"Bob", Vetter}) {
		t.Errorf("%+v, %v", to, err)
	}
	_, err = b.Accept(ctx, token, "eve", good, home)
	is(t, "another name", err, ErrInput)
	newer, err := b.Invite(ctx, "ann", "bob", Vetter)
	is(t, "invited again", err, nil)
	_, err = b.Accept(ctx, token, "", good, home)
	is(t, "the older link", err, ErrLink)
	if p, err := b.Accept(ctx, newer, "BOB", good, home); err != nil || p.Name != "Bob" || p.Role != Vetter {
		t.Errorf("%+v, %v", p, err)
	}

	cookie, _ := b.logIn("bob", home)
	token, err = b.Link(ctx, "bob") // a new password
	is(t, "a link for somebody who is there", err, nil)
	if s, err := b.Check(ctx, cookie); err != nil || s.Person.Role != Admin {
		t.Errorf("the old session: %+v, %v", s, err)
	}
	b.time = b.time.Add(11 * time.Hour)
	is(t, "the old password", b.try("bob", good, home), nil)
	b.time = b.time.Add(13 * time.Hour)
	_, err = b.Accept(ctx, token, "", other, home)
	is(t, "after 24 hours", err, ErrExpired)
	token, _ = b.Link(ctx, "bob")
	cookie, _ = b.logIn("bob", home)
	_, err = b.Accept(ctx, token, "", other, home)
	is(t, "in time", err, nil)
	_, err = b.Check(ctx, cookie)
	is(t, "a session from before", err, ErrSession)
	is(t, "the old password", b.try("bob", good, home), ErrWrong)
	is(t, "the new password", b.try("bob", other, home), nil)

	_, err = b.Link(ctx, "carl")
	is(t, "a link for somebody new", err, nil)
	_, err = b.Invite(ctx, "ann", "dora", Viewer)
	is(t, "one too many", err, ErrInput)
	_, err = b.Invite(ctx, "ann", "bob", "root")
	is(t, "a role that is none", err, ErrInput)
	is(t, "tidy", b.Tidy(ctx), nil)
}

func TestLastAdmin(t *testing.T) {
	b := open(t, Options{})
	ctx := t.Context()
	b.person("ann", Admin)
	b.person("bob", Vetter)
	_, err := b.Link(ctx, "carl") // an admin without a password does not count
	is(t, "invite", err, nil)
	is(t, "remove the last admin", b.Remove(ctx, "ann", "Ann"), ErrLastAdmin)
	is(t, "make the last admin a viewer", b.SetRole(ctx, "ann", "ann", Viewer), ErrLastAdmin)
	_, err = b.Invite(ctx, "ann", "ann", Viewer)
	is(t, "invite the last admin as a viewer", err, ErrLastAdmin)
	is(t, "make another one", b.SetRole(ctx, "ann", "bob", Admin), nil)
	var all sync.WaitGroup
	errs := make([]error, 2)
	for i, name := range []string{"ann", "bob"} { // each by the other one
		all.Go(func() { errs[i] = b.Remove(ctx, "x", name) })
	}
	all.Wait()
	if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), ErrLastAdmin) {
		t.Errorf("both at the same time: %v", errs)
	}
	is(t, "nobody", b.Remove(ctx, "x", "nobody"), ErrNotFound)
	is(t, "nobody", b.SetRole(ctx, "x", "nobody", Viewer), ErrNotFound)
	is(t, "no role", b.SetRole(ctx, "x", "ann", "root"), ErrInput)
}

func TestNames(t *testing.T) {
	for _, test := range []struct{ name, shown, key string }{ // no key: refused
		{"ann", "ann", "ann"},
		{"Ann", "Ann", "ann"},
		{"ann@example.org", "ann@example.org", "ann@example.org"},
		{"JOSÉ", "JOSÉ", "josé"},
		{"jose\u0301", "josé", "josé"}, // in another form of Unicode
		{"Ａｎｎ", "Ann", "ann"},          // wide letters
		{"андрей", "андрей", "андрей"},
		{"<script>", "<script>", "<script>"}, // pages escape it
		{strings.Repeat("a", 64), strings.Repeat("a", 64), strings.Repeat("a", 64)},
		{strings.Repeat("a", 65), "", ""},
		{strings.Repeat("a", 1<<20), "", ""},
		{"", "", ""},
		{"ann smith", "", ""},
		{" ann", "", ""},
		{"ann\n", "", ""},
		{"a\u202enn", "", ""},
		{"a\u200bnn", "", ""},
		{"\x1b[2J", "", ""},
		{"\xff", "", ""},
		{"\ufffd", "", ""},
	} {
		shown, key, err := fold(test.name)
		if shown != test.shown || key != test.key || (key == "") != errors.Is(err, ErrInput) {
			t.Errorf("%.40q: %q, %q, %v, want %q, %q", test.name, shown, key, err, test.shown, test.key)
		}
	}
	b := open(t, Options{})
	b.person("José", Viewer)
	b.logIn("JOSE\u0301", home)
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(t.Context(), nil, Options{}); err == nil {
		t.Error("no ledger is no error")
	}
	if _, err := New(t.Context(), open(t, Options{}).ledger, Options{Idle: -1}); err == nil {
		t.Error("a negative time is no error")
	}
}

// What somebody did is in the audit, and a name that nobody has is not: it may be a password in the wrong field.
func TestAudit(t *testing.T) {
	b := open(t, Options{})
	ctx := t.Context()
	token, _, _ := b.FirstRun(ctx)
	_, err := b.Accept(ctx, token, "ann", good, home)
	is(t, "first", err, nil)
	b.person("bob", Viewer)
	cookie, s := b.logIn("ann", home)
	_, second := b.logIn("bob", abroad)
	is(t, "wrong", b.try("bob", other, abroad), ErrWrong)
	is(t, "wrong again", b.try("BOB", other, abroad), ErrWrong)
	is(t, "wrong field", b.try("hunter2-hunter2", "ann", abroad), ErrWrong)
	_, err = b.Invitation(ctx, "guess", abroad)
	is(t, "no link", err, ErrLink)
	is(t, "role", b.SetRole(ctx, "ann", "bob", Vetter), nil)
	is(t, "the same role", b.SetRole(ctx, "ann", "bob", Vetter), nil)
	is(t, "revoke", b.Revoke(ctx, "ann", second.ID), nil)
	is(t, "revoke again", b.Revoke(ctx, "ann", second.ID), ErrSession)
	is(t, "revoke nonsense", b.Revoke(ctx, "ann", "1 OR 1=1"), ErrSession)
	is(t, "password", b.SetPassword(ctx, "ann", good, other, home, s.ID), nil)
	is(t, "log out", b.LogOut(ctx, cookie), nil)
	is(t, "log out again", b.LogOut(ctx, cookie), ErrSession)
	is(t, "remove", b.Remove(ctx, "ann", "bob"), nil)
	is(t, "tidy", b.Tidy(ctx), nil)
	is(t, "tidy again", b.Tidy(ctx), nil)
	want := `ann: first account admin
root: invite bob as viewer
bob: accept invitation viewer
ann: log in session 1 from 192.0.2.7
bob: log in session 2 from 198.51.100.1
bob: wrong password from 198.51.100.1
unknown name: wrong password from 198.51.100.1
unknown name: wrong link from 198.51.100.1
ann: set role bob: vetter, was viewer
ann: end session session 2 of bob
ann: set password
ann: log out session 1 of ann
ann: remove account bob
several names: wrong password 1 more from 2026-12-01 12:00:00 on; 0 were refused`
	if got := strings.Join(b.audits(), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	b.holdsNone(cookie, token, good, "hunter2", "guess")
}

// Everything at the same time: for the race detector.
func TestTogether(t *testing.T) {
	b := open(t, Options{MostSessions: 3})
	ctx := t.Context()
	b.person("ann", Admin)
	var all sync.WaitGroup
	for _, f := range []func() error{
		func() error {
			cookie, _, err := b.LogIn(ctx, "ann", good, home, "")
			if err == nil {
				_, err = b.Check(ctx, cookie)
			}
			if errors.Is(err, ErrSession) { // it was one of the three oldest
				err = nil
			}
			return err
		},
		func() error { _, err := b.Sessions(ctx); return err },
		func() error { _, err := b.People(ctx); return err },
		func() error { _, err := b.Invite(ctx, "ann", "bob", Viewer); return err },
		func() error { return b.Tidy(ctx) },
		func() error {
			if err := b.try("eve", other, abroad); !errors.Is(err, ErrWrong) && limited(err) == 0 {
				return err
			}
			return nil
		},
	} {
		for range 2 {
			all.Go(func() {
				for range 5 {
					if err := f(); err != nil && !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	if sessions, err := b.Sessions(ctx); len(sessions) != 3 || err != nil {
		t.Errorf("%d sessions, %v", len(sessions), err)
	}
}
