package token

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

var home = netip.MustParseAddr("192.0.2.7")

// file writes lines to a file as Load wants it.
func file(t *testing.T, path string, lines ...string) {
	t.Helper()
	err := errors.Join(os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600), os.Chmod(path, 0o600))
	if err != nil {
		t.Fatal(err)
	}
}

func makeToken(t *testing.T, name string, expires time.Time, good ...Scope) (secret, line string) {
	t.Helper()
	secret, line, err := New(name, good, expires)
	if err != nil {
		t.Fatal(err)
	}
	return secret, line
}

func TestCheck(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	ann, annLine := makeToken(t, "ann", time.Time{}, Decide, Lists)
	bob, bobLine := makeToken(t, "bob", now.Add(time.Hour), Admin)
	path := filepath.Join(t.TempDir(), "tokens")
	file(t, path, "# who may do what\n\n", annLine, bobLine)
	s, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return now }
	for _, test := range []struct {
		header, name string
		err          error
	}{
		{"Bearer " + ann, "ann", nil},
		{"bearer  " + ann + " ", "ann", nil},
		{"Bearer " + bob, "bob", nil},
		{"", "", ErrMissing},
		{"Bearer", "", ErrMissing},
		{"Bearer ", "", ErrMissing},
		{ann, "", ErrMissing},
		{"Basic " + ann, "", ErrMissing},
		{"Basic " + base64.StdEncoding.EncodeToString([]byte("any:"+ann)), "ann", nil},
		{"Basic " + base64.StdEncoding.EncodeToString([]byte(ann+":")), "", ErrMissing},
		{"Bearer " + ann[:len(ann)-1], "", ErrWrong},
		{"Bearer " + ann + "x", "", ErrWrong},
		{"Bearer " + strings.ToUpper(ann), "", ErrWrong},
		{"Bearer " + strings.Fields(annLine)[2], "", ErrWrong}, // the hash is no token
	} {
		if got, err := s.Check(test.header, home); got.Name != test.name || err != test.err {
			t.Errorf("%q: %+v, %v, want %s, %v", test.header, got, err, test.name, test.err)
		}
	}
	token, _ := s.Check("Bearer "+ann, home)
	if !token.Has(Decide) || !token.Has(Lists) || token.Has(Score) || token.Has(Admin) {
		t.Errorf("%+v", token)
	}
	if token, _ = s.Check("Bearer "+bob, home); !token.Has(Score) || !token.Has(Admin) {
		t.Errorf("%+v", token)
	}
	now = now.Add(time.Hour)
	if _, err := s.Check("Bearer "+bob, home); err != ErrExpired {
		t.Error(err)
	}
}

// Wrong tokens are limited by address, right ones never.
func TestTooMany(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	secret, line := makeToken(t, "ann", time.Time{}, Lists)
	path := filepath.Join(t.TempDir(), "tokens")
	file(t, path, line)
	s, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return now }
	try := func(from string) error {
		_, err := s.Check("Bearer guess", netip.MustParseAddr(from))
		return err
	}
	for i := range burst {
		if err := try("192.0.2.7"); err != ErrWrong {
			t.Errorf("try %d: %v", i+1, err)
		}
	}
	err = try("::ffff:192.0.2.7")
	many, ok := errors.AsType[*TooMany](err)
	if !ok || !errors.Is(err, ErrTooMany) || many.Retry < interval || many.Retry > interval+time.Second {
		t.Errorf("%v", err)
	}
	if _, err := s.Check("Bearer "+secret, home); err != nil {
		t.Errorf("the right token: %v", err)
	}
	if err := try("192.0.2.8"); err != ErrWrong {
		t.Errorf("another address: %v", err)
	}
	now = now.Add(many.Retry)
	if err := try("192.0.2.7"); err != ErrWrong {
		t.Errorf("after the wait: %v", err)
	}
	for i := range burst { // a network of IPv6 counts as one
		_ = try(fmt.Sprintf("2001:db8::%x", i))
	}
	if err := try("2001:db8::ffff"); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
	for i := range addresses + 100 {
		_ = try(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String())
	}
	if n := s.tries.Len(); n != addresses {
		t.Errorf("%d addresses are remembered", n)
	}
	if _, err := s.Check("Bearer x", netip.Addr{}); err != ErrWrong { // nobody knows from where
		t.Error(err)
	}
}

func TestReload(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	ann, annLine := makeToken(t, "ann", time.Time{}, Lists)
	bob, bobLine := makeToken(t, "bob", time.Time{}, Lists)
	path := filepath.Join(t.TempDir(), "tokens")
	file(t, path, annLine)
	s, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	s.now, s.looked = func() time.Time { return now }, now
	pass := func(what, secret string, want bool) {
		t.Helper()
		if _, err := s.Check("Bearer "+secret, home); (err == nil) != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	file(t, path, bobLine)
	pass("within a second", ann, true)
	now = now.Add(2 * time.Second)
	pass("taken off", ann, false)
	pass("added", bob, true)
	file(t, path, "bob lists typing error\n")
	now = now.Add(2 * time.Second)
	pass("a file with an error", bob, true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Second)
	pass("no file", bob, false)
	file(t, path, bobLine)
	now = now.Add(2 * time.Second)
	pass("there again", bob, true)
}

func TestLoadRefuses(t *testing.T) {
	secret, line := makeToken(t, "ann", time.Time{}, Lists)
	sum := strings.Fields(line)[2]
	dir := t.TempDir()
	for _, test := range []struct{ text, part string }{
		{line + line, "line 2: ann has a token already"},
		{line + "bob lists " + sum, "same token"},
		{"ann lists " + secret, "line 1: the hash of ann is not 64"},
		{"ann lists " + sum + "00", "is not 64"},
		{"ann root " + sum, "none of score, events"},
		{"ann , " + sum, "none of score, events"},
		{"ann lists", "name scope,scope hash"},
		{"ann lists " + sum + " 2027-01-01 x", "name scope,scope hash"},
		{"ann lists " + sum + " 2027-01-01", "expires at no time"},
		{"an\x1bn lists " + sum, "a name has at most"},
		{strings.Repeat("a", 65) + " lists " + sum, "a name has at most"},
	} {
		path := filepath.Join(dir, "tokens")
		file(t, path, test.text)
		_, err := Load(path)
		if err == nil || !strings.Contains(err.Error(), test.part) || !strings.Contains(err.Error(), path) ||
			strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v, want %q", test.text, err, test.part)
		}
	}
	path := filepath.Join(dir, "open")
	file(t, path, line)
	if runtime.GOOS != "windows" {
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Error(err)
		}
	}
	if _, err := Load(filepath.Join(dir, "none")); err == nil {
		t.Error("a file that is not there is read")
	}
	for _, name := range []string{"", "a b", "a\nb", "#a"} { // none can come back from a file
		if secret, line, err := New(name, []Scope{Lists}, time.Time{}); err == nil {
			t.Errorf("%q: %q, %q", name, secret, line)
		}
	}
	if _, _, err := New("ann", nil, time.Time{}); err == nil {
		t.Error("a token of no use is made")
	}
}

// A file that parses means the same when it is written anew.
func FuzzParse(f *testing.F) {
	sum := strings.Repeat("0f", 32)
	for _, s := range []string{"", "# a\n", "ann lists " + sum, "ann lists,admin " + sum + " 2027-06-30T00:00:00Z\r\n",
		"ann lists " + sum + "\nann lists " + sum, "\xff x y"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := parse(data)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, e := range all {
			words := make([]string, len(e.Scopes))
			for i, s := range e.Scopes {
				words[i] = string(s)
			}
			fmt.Fprintf(&again, "%s %s %x", e.Name, strings.Join(words, ","), e.sum)
			if !e.Expires.IsZero() {
				again.WriteString(" " + e.Expires.Format(time.RFC3339Nano))
			}
			again.WriteString("\n")
		}
		if got, err := parse([]byte(again.String())); err != nil || fmt.Sprint(got) != fmt.Sprint(all) {
			t.Errorf("%q became %q: %v, %v, %v", data, again.String(), all, got, err)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	s := &Set{looked: time.Now()}
	s.now = func() time.Time { return s.looked }
	secret := ""
	for i := range 100 {
		var line string
		var err error
		if secret, line, err = New(fmt.Sprint("n", i), []Scope{Lists}, time.Time{}); err != nil {
			b.Fatal(err)
		}
		e, err := parseLine(strings.TrimSpace(line))
		if err != nil {
			b.Fatal(err)
		}
		s.entries = append(s.entries, e)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Check("Bearer "+secret, home); err != nil {
			b.Fatal(err)
		}
	}
}
