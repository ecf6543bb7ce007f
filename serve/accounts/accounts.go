// Package accounts has the people who may log in to the console: invitations, passwords, sessions, and bounds on who
// tries what how often. Its rows are in the ledger.
//
// # Passwords
//
// Passwords are kept as argon2id hashes. At most two hashes are worked out at the same time, which is 38 MiB: one for
// strangers, one for people at places that are known, so a flood of strangers does not keep those out. A name that
// nobody has takes as much time as one that somebody has, and gets the same errors.
//
// # Wrong tries
//
// A place is an IPv4 address, or 64 bits of an IPv6 address. It is known for a name for 90 days after that name logged
// in or used a link there; the ledger remembers that. A right password takes none of these tries:
//
//   - A known place has ten wrong tries for its name, and then one a minute. Nobody elsewhere can use them up.
//   - A strange place has ten wrong tries for all names together, and then one a minute.
//   - A name has 100 wrong tries from all strange places together. From then on it is under attack: only places that
//     were not wrong within the last hour may try, once. Here 48 bits of an IPv6 address are one place, since a single
//     customer often has that many.
//   - After 1,000 such tries, strange places get one every 86 seconds between them.
//
// So nobody locks a person out of the places where that person logs in, and a new place works at its first try, with
// the right password, unless a thousand places attack the name. Then the person needs a known place, or a link:
// invitations are never limited as long as they are right. A bound without these exceptions would let any stranger lock
// out the owner. Without the last bound, a net of many machines could try millions of passwords a day; with it, it can
// try about a thousand. Somebody at a known place, behind the same router for example, can use up the tries of that
// place. All callers behind a proxy come from one place, if the caller of this package does not look deeper.
//
// The tries are in memory. They are full again after a restart.
//
// # Who may do what
//
// The methods do not look whether by may do what it asks for: the caller does, with Role.May. All of them are safe for
// concurrent use. What they change is in the ledger's audit.
package accounts

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"

	"github.com/degas-dns/degas/serve/store/ledger"
)

// Role says what a person may do. Each role may do what the ones before it may.
type Role string

// Roles.
const (
	Viewer Role = "viewer" // read
	Vetter Role = "vetter" // decide about names
	Admin  Role = "admin"  // change accounts and models
)

var roles = []Role{Viewer, Vetter, Admin}

// May reports whether somebody with the role may do what needed is needed for. A role that is unknown may do nothing,
// and nobody may do what an unknown role is needed for.
func (r Role) May(needed Role) bool {
	return slices.Contains(roles, needed) && slices.Index(roles, r) >= slices.Index(roles, needed)
}

// Person is somebody who may log in, or is invited to.
type Person struct {
	Name    string
	Role    Role
	Created time.Time
	Seen    time.Time // to the minute; zero for never
	Invited bool      // there is no password yet
}

// Session is somebody who is logged in.
type Session struct {
	ID      string // for lists and Revoke. It is not the cookie
	Person  Person
	Started time.Time
	Used    time.Time // to the minute
	From    string    // address
	Agent   string    // what the browser says it is: untrusted text
}

// Errors. ErrWrong says nothing of whether a name exists.
var (
	ErrWrong   = errors.New("the name or the password is wrong")
	ErrLink    = errors.New("the link is not valid. It may have been used, or a newer one may have been made")
	ErrExpired = errors.New("it has expired")
	ErrSession = errors.New("there is no such session")
	// ErrInput is in the error of everything that a person has to write differently, such as a password that is short.
	ErrInput     = ledger.ErrInput
	ErrNotFound  = ledger.ErrNotFound
	ErrLastAdmin = ledger.ErrLastAdmin
)

// TooMany says that there were too many wrong tries, or that too many people log in at the same time. An answer of 429
// suits it.
type TooMany struct{ Retry time.Duration } // after which to try again

// Error implements error.
func (e *TooMany) Error() string {
	return fmt.Sprintf("too many tries. Try: again in %v, or where you logged in before", e.Retry)
}

func input(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInput, fmt.Errorf(format, args...))
}

// Options of New. Zero fields are the defaults.
type Options struct {
	Idle         time.Duration // without use after which a session ends: 12 h
	Life         time.Duration // of a session at most: 7 days
	Invitation   time.Duration // for which an invitation is valid: 24 h
	MostPeople   int           // with accounts or invitations: 200
	MostSessions int           // of one person; then the one ends that was not used for longest: 20
	Now          func() time.Time
	Log          *slog.Logger // nil discards
}

// Accounts are the people of a ledger. Make them with New.
type Accounts struct {
	o      Options
	ledger *ledger.Ledger
	log    *slog.Logger
	now    func() time.Time
	cost   cost
	nobody hash // whose password nobody knows

	limits         limits
	wrongs         wrongs
	strange, known gate
	hashes         atomic.Int64 // worked out so far
	first          string       // the token of FirstRun
}

// New makes Accounts of a ledger, which stays open as long as they are used.
func New(_ context.Context, l *ledger.Ledger, o Options) (*Accounts, error) {
	if l == nil {
		return nil, errors.New("accounts: the ledger has to be there")
	}
	o.Idle, o.Life = cmp.Or(o.Idle, 12*time.Hour), cmp.Or(o.Life, 7*24*time.Hour)
	o.Invitation = cmp.Or(o.Invitation, 24*time.Hour)
	o.MostPeople, o.MostSessions = cmp.Or(o.MostPeople, 200), cmp.Or(o.MostSessions, 20)
	if min(o.Idle, o.Life, o.Invitation) < 0 || min(o.MostPeople, o.MostSessions) < 0 {
		return nil, errors.New("accounts: an option is negative")
	}
	a := &Accounts{o: o, ledger: l, log: o.Log, now: o.Now, cost: usual, limits: newLimits(), strange: newGate(),
		known: newGate(), first: newSecret()}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.now == nil {
		a.now = time.Now
	}
	a.nobody = newHash(a.cost)
	return a, nil
}

// newSecret is a token or a cookie: 256 random bits.
func newSecret() string {
	random := make([]byte, sha256.Size)
	_, _ = rand.Read(random) // it ends the program rather than fail
	return base64.RawURLEncoding.EncodeToString(random)
}

// sumOf is what the ledger keeps of a secret. The secret has 256 random bits, so a plain SHA-256 cannot be turned
// around.
func sumOf(secret string) ledger.Sum { return sha256.Sum256([]byte(secret)) }

// mostName bounds names, in characters.
const mostName = 64

// fold makes of a name how it is shown and how it is compared (RFC 8265, the profiles for user names): letters, digits
// and signs of any script, without spaces, in one form of Unicode.
func fold(name string) (shown, key string, err error) {
	if len(name) > 4*mostName {
		return "", "", input("the name has more than %d characters", mostName)
	}
	if shown, err = precis.UsernameCasePreserved.String(name); err == nil {
		key, err = precis.UsernameCaseMapped.String(shown)
	}
	switch {
	case err != nil, key == "":
		return "", "", input("the name has to be of letters, digits and signs, without spaces")
	case utf8.RuneCountInString(shown) > mostName, utf8.RuneCountInString(key) > mostName:
		return "", "", input("the name has more than %d characters", mostName)
	}
	return shown, key, nil
}

// address is how an address is shown.
func address(from netip.Addr) string {
	if !from.IsValid() {
		return "an unknown address"
	}
	return from.Unmap().WithZone("").String()
}

// personOf is a person without what is secret.
func personOf(p ledger.Person) Person {
	return Person{Name: p.Name, Role: Role(p.Role), Created: p.Created, Seen: p.Seen, Invited: p.Hash == ""}
}

// People are all who may log in or are invited to, by name.
func (a *Accounts) People(ctx context.Context) ([]Person, error) {
	rows, err := a.ledger.People(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Person, len(rows))
	for i, p := range rows {
		all[i] = personOf(p)
	}
	return all, nil
}

// Remove takes away an account, and ends its invitation and its sessions. What the person decided stays. The error
// wraps ErrNotFound, or ErrLastAdmin: of the admins who have a password, one stays.
func (a *Accounts) Remove(ctx context.Context, by, name string) error {
	_, key, err := fold(name)
	if err != nil {
		return err
	}
	return a.ledger.RemovePerson(ctx, a.now(), by, key)
}

// SetRole gives a person another role, at once, also in sessions that are open. The error wraps ErrNotFound,
// ErrLastAdmin or ErrInput.
func (a *Accounts) SetRole(ctx context.Context, by, name string, role Role) error {
	_, key, err := fold(name)
	if err == nil {
		err = checkRole(role)
	}
	if err != nil {
		return err
	}
	return a.ledger.SetRole(ctx, a.now(), by, key, string(role))
}

func checkRole(r Role) error {
	if !slices.Contains(roles, r) {
		var words []string
		for _, r := range roles {
			words = append(words, string(r))
		}
		return input("the role is none of %s", strings.Join(words, ", "))
	}
	return nil
}
