// Package token checks bearer tokens (RFC 6750) against a file that only its owner reads:
//
//	# name scopes SHA-256 of the token, in hexadecimal [when it expires, as in RFC 3339]
//	resolver-1 lists,events 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//	ann        decide       60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752 2027-06-30T00:00:00Z
//
// The file has no token, only hashes. Tokens are 32 random bytes that New makes, so a plain SHA-256 cannot be turned
// around. A person's password could be, and has no place here.
package token

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/degas-dns/degas/internal/tries"
	"github.com/degas-dns/degas/internal/userfile"
)

// Scope is what a token is good for.
type Scope string

// Scopes.
const (
	Score   Scope = "score"   // ask models
	Events  Scope = "events"  // send events
	Lists   Scope = "lists"   // read the lists of what is allowed and blocked
	Decide  Scope = "decide"  // read and make decisions
	Metrics Scope = "metrics" // read metrics
	Admin   Scope = "admin"   // everything
)

var scopes = []Scope{Score, Events, Lists, Decide, Metrics, Admin}

// Token is a token without its secret.
type Token struct {
	Name    string // who has it
	Scopes  []Scope
	Expires time.Time // zero for never
}

// Has reports whether a token is good for a scope.
func (t Token) Has(s Scope) bool {
	return slices.Contains(t.Scopes, s) || slices.Contains(t.Scopes, Admin)
}

// Errors of Check. An answer of 401 suits the first three.
var (
	ErrMissing = errors.New("no bearer token")
	ErrWrong   = errors.New("an unknown token")
	ErrExpired = errors.New("the token has expired")
	ErrTooMany = errors.New("too many wrong tokens")
)

// TooMany is the ErrTooMany of an address. An answer of 429 suits it.
type TooMany struct{ Retry time.Duration } // after which another try is let through

// Error implements error.
func (e *TooMany) Error() string { return fmt.Sprintf("%v. Try: again in %v", ErrTooMany, e.Retry) }

// Is makes it an ErrTooMany.
func (e *TooMany) Is(target error) bool { return target == ErrTooMany }

// Bounds of tries with a wrong token, for each address. Addresses of IPv6 count by their network of 64 bits.
const (
	burst     = 10
	interval  = 6 * time.Second // after which there is one more
	addresses = 4096            // that are remembered, the latest ones
)

const (
	prefix     = "degas_" // of every token, so that people and programs that look for secrets know it
	mostTokens = 1000
	mostName   = 64
	look       = time.Second // between two looks at the file
)

// entry is a line of the file.
type entry struct {
	Token
	sum [sha256.Size]byte
}

// Set is the tokens of a file, which is read again when it changes. It is safe for concurrent use.
type Set struct {
	path string
	now  func() time.Time

	mu      sync.Mutex
	entries []entry
	stamp   userfile.Stamp
	looked  time.Time
	said    bool // that the file cannot be read
	tries   *tries.Limiter[netip.Addr]
}

// Load reads the tokens of a file. On Unix, a file that others than its owner can read is an error.
func Load(path string) (*Set, error) {
	s := &Set{path: path, now: time.Now, tries: tries.New[netip.Addr](burst, interval, addresses)}
	var err error
	if s.stamp, err = userfile.StampOf(path); err == nil {
		err = s.read()
	}
	if err != nil {
		return nil, fmt.Errorf("read the tokens: %w", err)
	}
	s.looked = s.now()
	return s, nil
}

func (s *Set) read() error {
	info, err := os.Stat(s.path)
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("%s: others than its owner have rights to it (%v). Try: chmod 600", s.path, info.Mode().Perm())
	}
	if err != nil {
		return err
	}
	data, err := userfile.Read(s.path, userfile.Config)
	if err != nil {
		return err
	}
	entries, err := parse(data)
	if err != nil {
		return fmt.Errorf("%s, %w", s.path, err)
	}
	s.entries = entries
	return nil
}

// renew reads the file again if it has changed. s.mu is held. If the file is gone, so are all tokens. A file that
// cannot be read, or has an error, is logged, and the tokens from before stay: nobody shall be locked out by a typing
// error.
func (s *Set) renew(now time.Time) {
	if d := now.Sub(s.looked); d >= 0 && d < look {
		return
	}
	s.looked = now
	stamp, err := userfile.StampOf(s.path)
	if err == nil && stamp == s.stamp {
		return
	}
	if err == nil {
		s.stamp, s.said = stamp, false
		err = s.read()
	}
	switch {
	case err == nil:
		slog.Info("the tokens were read again", "file", s.path, "tokens", len(s.entries))
		return
	case errors.Is(err, fs.ErrNotExist):
		s.entries, s.stamp = nil, userfile.Stamp{}
	}
	if !s.said {
		s.said = true
		slog.Error("the tokens cannot be read again, so those from before stay valid", "file", s.path,
			"tokens", len(s.entries), "error", err)
	}
}

// Check finds the token of a header Authorization, Bearer or Basic, that came from an address. A right token passes
// always. Wrong ones are counted by address: beyond ten, and one more every six seconds, the error is a *TooMany
// instead of ErrWrong. The time that Check takes does not depend on how much of a token is right.
func (s *Set) Check(header string, from netip.Addr) (Token, error) {
	secret, ok := secretOf(header)
	if !ok {
		return Token{}, ErrMissing
	}
	sum := sha256.Sum256([]byte(secret))
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.renew(now)
	found := -1
	for i := range s.entries {
		if subtle.ConstantTimeCompare(sum[:], s.entries[i].sum[:]) == 1 {
			found = i
		}
	}
	switch {
	case found < 0:
		return Token{}, s.refuse(from, now)
	case !s.entries[found].Expires.IsZero() && !now.Before(s.entries[found].Expires):
		return Token{}, ErrExpired
	}
	return s.entries[found].Token, nil
}

// secretOf is the token of a header: "Bearer TOKEN", or the password of HTTP's basic authentication (RFC 7617). So a
// program that knows nothing of tokens can read https://any:TOKEN@server/.
func secretOf(header string) (secret string, ok bool) {
	scheme, rest, _ := strings.Cut(header, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return rest, rest != ""
	case strings.EqualFold(scheme, "Basic"):
		pair, err := base64.StdEncoding.DecodeString(rest)
		_, secret, ok = strings.Cut(string(pair), ":")
		return secret, err == nil && ok && secret != ""
	}
	return "", false
}

// refuse counts a wrong token.
func (s *Set) refuse(from netip.Addr, now time.Time) error {
	if _, retry := s.tries.Take(tries.Place(from, 64), now); retry > 0 {
		return &TooMany{retry}
	}
	return ErrWrong
}

// Names are who has tokens, in the order of the file.
func (s *Set) Names() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.entries {
		names = append(names, s.entries[i].Name)
	}
	return names
}

// New makes a token. The secret is for who will use it, and is kept nowhere; the line is for the file.
func New(name string, good []Scope, expires time.Time) (secret, line string, err error) {
	random := make([]byte, sha256.Size)
	_, _ = rand.Read(random) // it ends the program rather than fail
	secret = prefix + base64.RawURLEncoding.EncodeToString(random)
	sum := sha256.Sum256([]byte(secret))
	var words []string
	for _, s := range good {
		words = append(words, string(s))
	}
	line = fmt.Sprintf("%s %s %x", name, strings.Join(words, ","), sum)
	if !expires.IsZero() {
		line += " " + expires.UTC().Format(time.RFC3339)
	}
	if _, err := parseLine(line); err != nil {
		return "", "", fmt.Errorf("make a token: %w", err)
	}
	return secret, line + "\n", nil
}

// parse reads the text of a file. An error says which line is at fault, and has nothing of it that may be a secret.
func parse(data []byte) (all []entry, err error) {
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		e, err := parseLine(line)
		if err == nil && len(all) == mostTokens {
			err = fmt.Errorf("there are more than %d tokens", mostTokens)
		}
		for i := range all {
			if err == nil && all[i].Name == e.Name {
				err = fmt.Errorf("%s has a token already. Try: another name", e.Name)
			}
			if err == nil && all[i].sum == e.sum {
				err = fmt.Errorf("%s and %s have the same token", all[i].Name, e.Name)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		all = append(all, e)
	}
	return all, nil
}

func parseLine(line string) (e entry, err error) {
	fields := strings.Fields(line)
	if len(fields) < 3 || len(fields) > 4 {
		return e, errors.New("it is not \"name scope,scope hash [expires]\"")
	}
	e.Name = fields[0]
	if len(e.Name) > mostName || strings.ContainsFunc(e.Name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.@", r)
	}) {
		return e, fmt.Errorf("a name has at most %d letters, digits, and characters of -_.@", mostName)
	}
	for word := range strings.SplitSeq(fields[1], ",") {
		s := Scope(word)
		if !slices.Contains(scopes, s) {
			return e, fmt.Errorf("the scopes of %s: one is none of %s", e.Name, known())
		}
		if !slices.Contains(e.Scopes, s) {
			e.Scopes = append(e.Scopes, s)
		}
	}
	if n, err := hex.Decode(e.sum[:], []byte(fields[2][:min(len(fields[2]), 2*sha256.Size)])); err != nil ||
		n != sha256.Size || len(fields[2]) != 2*sha256.Size {
		return e, fmt.Errorf("the hash of %s is not 64 hexadecimal digits. It is of the token, and not the token itself",
			e.Name)
	}
	if len(fields) == 4 {
		if e.Expires, err = time.Parse(time.RFC3339, fields[3]); err != nil {
			return e, fmt.Errorf("%s expires at no time such as 2027-06-30T00:00:00Z", e.Name)
		}
	}
	return e, nil
}

func known() string {
	var words []string
	for _, s := range scopes {
		words = append(words, string(s))
	}
	return strings.Join(words, ", ")
}
