package accounts

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/secure/precis"
)

// cost is what argon2id (RFC 9106) takes: memory in KiB, passes over it, lanes.
type cost struct {
	memory uint32
	passes uint32
	lanes  uint8
}

// usual is the first of the equal choices of OWASP's Password Storage Cheat Sheet that needs less than 20 MiB: 19 MiB
// of memory, two passes, one lane. One hash takes some 40 ms of one processor.
var usual = cost{memory: 19 * 1024, passes: 2, lanes: 1}

// Bytes of a new hash.
const (
	saltSize = 16
	keySize  = 32
)

// Bounds of passwords: characters at least, bytes at most.
const (
	leastPassword = 12
	mostPassword  = 1024
	leastDistinct = 5 // characters
)

// hash is a parsed PHC string: $argon2id$v=19$m=19456,t=2,p=1$SALT$KEY.
type hash struct {
	cost
	salt, key []byte
}

var base = base64.RawStdEncoding.Strict()

func (h hash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes,
		base.EncodeToString(h.salt), base.EncodeToString(h.key))
}

// parseHash reads a PHC string. It has bounds on what a hash may cost, so that a damaged row takes no gigabytes.
func parseHash(text string) (h hash, err error) {
	bad := errors.New("the hash of a password is damaged")
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return hash{}, bad
	}
	version := 0
	_, err = fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &h.memory, &h.passes, &h.lanes)
	if err == nil {
		h.salt, err = base.DecodeString(parts[4])
	}
	if err == nil {
		h.key, err = base.DecodeString(parts[5])
	}
	if err != nil || version != argon2.Version || h.memory > 256*1024 || h.passes < 1 || h.passes > 16 || h.lanes < 1 ||
		h.lanes > 16 || h.memory < 8*uint32(h.lanes) || len(h.salt) < 8 || len(h.salt) > 64 || len(h.key) < 16 ||
		len(h.key) > 64 || h.String() != text {
		return hash{}, bad
	}
	return h, nil
}

// work is the key of a password with the salt and cost of h.
func (h hash) work(password string) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.lanes, uint32(len(h.key)))
}

// newHash is a hash without a key: no password fits it, and trying one costs as much as it does with any other.
func newHash(c cost) hash {
	h := hash{cost: c, salt: make([]byte, saltSize), key: make([]byte, keySize)}
	_, _ = rand.Read(h.salt) // it ends the program rather than fail
	_, _ = rand.Read(h.key)
	return h
}

// gate lets one hash after the other be worked out, and lets few wait.
type gate struct{ waiting, working chan struct{} }

// mostWaiting bounds those that wait at a gate. The last one waits for about a second.
const mostWaiting = 16

func newGate() gate {
	return gate{waiting: make(chan struct{}, mostWaiting), working: make(chan struct{}, 1)}
}

// pass runs f, alone. The error is a *TooMany if too many wait already.
func (g gate) pass(ctx context.Context, f func()) error {
	select {
	case g.waiting <- struct{}{}:
	default:
		return &TooMany{Retry: 2 * time.Second}
	}
	defer func() { <-g.waiting }()
	select {
	case g.working <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-g.working }()
	if err := ctx.Err(); err != nil { // select takes either if both are ready
		return err
	}
	f()
	return nil
}

// matches works out whether a password, prepared, is that of h.
func (a *Accounts) matches(h hash, password string) bool {
	a.hashes.Add(1)
	return subtle.ConstantTimeCompare(h.work(password), h.key) == 1
}

// hashOf works out a new hash.
func (a *Accounts) hashOf(password string) string {
	a.hashes.Add(1)
	h := newHash(a.cost)
	h.key = h.work(password)
	return h.String()
}

// prepare makes of a password what is hashed: the same characters from every keyboard and system (RFC 8265, the
// profile OpaqueString).
func prepare(password string) (string, bool) {
	if len(password) > mostPassword || !utf8.ValidString(password) {
		return "", false
	}
	prepared, err := precis.OpaqueString.String(password)
	return prepared, err == nil
}

// newPassword prepares a new password, or says what is wrong with it. It holds to what NIST SP 800-63B wants: length,
// not kinds of characters.
func newPassword(name, password string) (string, error) {
	prepared, ok := prepare(password)
	distinct := map[rune]bool{}
	for _, r := range prepared {
		distinct[unicode.ToLower(r)] = true
	}
	switch {
	case len(password) > mostPassword:
		return "", input("the password has more than %d bytes", mostPassword)
	case utf8.RuneCountInString(password) < leastPassword, utf8.RuneCountInString(prepared) < leastPassword && ok:
		return "", input("the password has fewer than %d characters. Try: a few words that have nothing to do with each "+
			"other", leastPassword)
	case !ok:
		return "", input("the password has a character that is not text")
	case len(distinct) < leastDistinct:
		return "", input("the password has fewer than %d different characters", leastDistinct)
	case utf8.RuneCountInString(name) > 2 && strings.Contains(strings.ToLower(prepared), strings.ToLower(name)):
		return "", input("the password has the name in it")
	}
	return prepared, nil
}
