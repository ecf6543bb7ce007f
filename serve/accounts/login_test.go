package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/degas-dns/degas/serve/store/ledger"
)

func TestSessions(t *testing.T) {
	o := Options{}
	b := open(t, o)
	ctx := t.Context()
	b.person("ann", Admin)
	cookie, s := b.logIn("Ann", home)
	if len(cookie) != 43 || s.Person.Name != "ann" || s.From != "192.0.2.7" || s.Agent != "a browser" || s.ID == "" ||
		s.Started != b.time || s.Person.Seen != b.time {
		t.Errorf("%s: %+v", cookie, s)
	}
	got, err := b.Check(ctx, cookie)
	if got != s || err != nil {
		t.Errorf("%+v, want %+v, %v", got, s, err)
	}
	b.time = b.time.Add(59 * time.Second)
	if got, err = b.Check(ctx, cookie); got.Used != s.Started || err != nil {
		t.Errorf("%+v, %v: written within a minute", got, err)
	}
	b.time = b.time.Add(time.Second)
	for range 2 {
		if got, err = b.Check(ctx, cookie); got.Used != b.time || got.Person.Seen != b.time || err != nil {
			t.Errorf("%+v, %v", got, err)
		}
	}
	b.start(o)
	if got, err = b.Check(ctx, cookie); got.ID != s.ID || err != nil {
		t.Errorf("after a restart: %+v, %v", got, err)
	}
	if all, err := b.Sessions(ctx); len(all) != 1 || all[0] != got || err != nil {
		t.Errorf("%+v, %v", all, err)
	}
	for _, bad := range []string{"", "x", cookie[:42], cookie + "=", strings.ToUpper(cookie), s.ID,
		strings.Repeat("a", 1<<16)} {
		_, err := b.Check(ctx, bad)
		is(t, fmt.Sprintf("%.50q", bad), err, ErrSession)
	}
	b.holdsNone(cookie)
	is(t, "log out", b.LogOut(ctx, cookie), nil)
	_, err = b.Check(ctx, cookie)
	is(t, "after the log-out", err, ErrSession)
}

func TestExpiry(t *testing.T) {
	b := open(t, Options{})
	ctx := t.Context()
	b.person("ann", Admin)
	start := b.time
	idle, _ := b.logIn("ann", home)
	b.time = start.Add(12*time.Hour - time.Second)
	_, err := b.Check(ctx, idle)
	is(t, "before 12 hours", err, nil)
	b.time = b.time.Add(12 * time.Hour)
	_, err = b.Check(ctx, idle)
	is(t, "12 hours without use", err, ErrExpired)
	if all, err := b.Sessions(ctx); len(all) != 0 || err != nil {
		t.Errorf("%+v, %v", all, err)
	}
	busy, _ := b.logIn("ann", home)
	start = b.time
	for b.time.Before(start.Add(7*24*time.Hour - 10*time.Hour)) {
		b.time = b.time.Add(10 * time.Hour)
		if _, err := b.Check(ctx, busy); err != nil {
			t.Fatalf("after %v: %v", b.time.Sub(start), err)
		}
	}
	b.time = start.Add(7 * 24 * time.Hour)
	_, err = b.Check(ctx, busy)
	is(t, "after 7 days", err, ErrExpired)
	is(t, "tidy", b.Tidy(ctx), nil)
	_, err = b.Check(ctx, busy)
	is(t, "after Tidy", err, ErrSession)
	future, _ := b.logIn("ann", home)
	b.time = b.time.Add(-8 * 24 * time.Hour)
	_, err = b.Check(ctx, future)
	is(t, "the clock was wrong", err, ErrExpired)
}

// Rights change at once, and what ends sessions ends all it should.
func TestSessionsEnd(t *testing.T) {
	b := open(t, Options{MostSessions: 3})
	ctx := t.Context()
	b.person("ann", Admin)
	b.person("bob", Viewer)
	check := func(what, cookie string, want error) {
		t.Helper()
		_, err := b.Check(ctx, cookie)
		is(t, what, err, want)
	}
	ann, _ := b.logIn("ann", home)
	var cookies []string
	for i := range 5 {
		b.time = b.time.Add(time.Second)
		cookie, _ := b.logIn("bob", netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
		cookies = append(cookies, cookie)
	}
	for i, cookie := range cookies {
		check(fmt.Sprint("session ", i), cookie, map[bool]error{true: ErrSession}[i < 2])
	}
	is(t, "role", b.SetRole(ctx, "ann", "bob", Vetter), nil)
	s, _ := b.Check(ctx, cookies[2])
	if s.Person.Role != Vetter {
		t.Errorf("%+v", s)
	}
	is(t, "wrong password", b.SetPassword(ctx, "bob", other, "another password", home, s.ID), ErrWrong)
	is(t, "short password", b.SetPassword(ctx, "bob", good, "short", home, s.ID), ErrInput)
	is(t, "password", b.SetPassword(ctx, "bob", good, other, home, s.ID), nil)
	check("the session that changed the password", cookies[2], nil)
	check("another session", cookies[3], ErrSession)
	is(t, "the old password", b.try("bob", good, home), ErrWrong)
	is(t, "remove", b.Remove(ctx, "ann", "bob"), nil)
	check("somebody removed", cookies[2], ErrSession)
	check("somebody else", ann, nil)
	b.person("bob", Viewer)
	check("somebody else of that name", cookies[2], ErrSession)
}

// An account that is removed, or gets another password, while its password is checked is not logged in.
func TestChangedMeanwhile(t *testing.T) {
	b := open(t, Options{})
	b.person("ann", Admin)
	b.person("bob", Viewer)
	for _, change := range []struct {
		what string
		do   func() error
	}{
		{"another password", func() error { return b.SetPassword(t.Context(), "bob", good, other, home, "") }},
		{"removed", func() error { return b.Remove(t.Context(), "ann", "bob") }},
	} {
		password := good
		if change.what == "removed" {
			password = other
		}
		p, hash, err := b.checked(t.Context(), "bob", password, home)
		is(t, change.what, err, nil)
		is(t, change.what, change.do(), nil)
		s := ledger.Session{Person: p, Started: b.time, Used: b.time}
		_, err = b.ledger.StartSession(t.Context(), s, sumOf("x"), "", hash, 3)
		is(t, change.what, err, ErrNotFound)
	}
}

// The limits, attacked first.
func TestBruteForce(t *testing.T) {
	b := open(t, Options{})
	b.person("ann", Admin)
	b.logIn("ann", home)
	attacker := netip.MustParseAddr("203.0.113.9")
	for i := range placeBurst {
		is(t, fmt.Sprint("try ", i), b.try("ann", other, attacker), ErrWrong)
	}
	before := b.hashes.Load()
	for range 100 {
		if retry := limited(b.try("ann", other, attacker)); retry < time.Second || retry > placeEvery+time.Second {
			t.Fatalf("retry %v", retry)
		}
	}
	if limited(b.try("ann", good, attacker)) == 0 || limited(b.try("bob", good, attacker)) == 0 {
		t.Error("a right guess gets through the limit")
	}
	if n := b.hashes.Load() - before; n != 0 {
		t.Errorf("%d hashes were worked out for tries that were refused", n)
	}
	is(t, "a known place", b.try("ann", good, home), nil)
	is(t, "a new place", b.try("ann", good, abroad), nil)
	b.time = b.time.Add(placeEvery + time.Second)
	is(t, "a minute later", b.try("ann", other, attacker), ErrWrong)
	if limited(b.try("ann", other, attacker)) == 0 {
		t.Error("more than one try a minute")
	}
	for i := range placeBurst { // a network of IPv6 is one place
		is(t, "IPv6", b.try("ann", other, netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i))), ErrWrong)
	}
	if limited(b.try("ann", other, netip.MustParseAddr("2001:db8::ffff"))) == 0 {
		t.Error("a network of IPv6 has more tries than a place")
	}
	if n := len(b.audits()); n > 20 {
		t.Errorf("%d lines in the audit", n)
	}
}

// machine is one of the many of an attacker, each in another network.
func machine(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// Many machines attack one name: they get about a thousand guesses a day, and the owner gets in.
func TestManyMachines(t *testing.T) {
	b := open(t, Options{})
	b.person("ann", Admin)
	b.logIn("ann", home)
	guesses, next := 0, 0
	attack := func(machines, each int) { // the guesses that LogIn would look at, which are all wrong
		for range machines {
			next++
			for range each {
				if _, err := b.limits.take("ann", machine(next), false, b.time); err == nil {
					guesses++
				} else if limited(err) == 0 {
					t.Fatal(err)
				}
			}
		}
	}
	attack(50, 5) // the first 20 machines have all their tries, the other 30 one each
	if guesses < 125 || guesses > 135 {
		t.Errorf("%d guesses of 50 machines, which tried 250", guesses)
	}
	hotel := netip.MustParseAddr("198.51.100.77")
	is(t, "the owner at a new place, while 50 machines attack", b.try("ann", good, hotel), nil)
	attack(4000, 2)
	if guesses > nameBurst+1 || guesses < nameBurst-10 {
		t.Errorf("%d guesses of 4,050 machines, want about %d", guesses, nameBurst)
	}
	is(t, "the owner at home, while 4,000 machines attack", b.try("ann", good, home), nil)
	is(t, "the owner at home with a slip", b.try("ann", other, home), ErrWrong)
	is(t, "the owner at home after a slip", b.try("ann", good, home), nil)
	cafe := netip.MustParseAddr("198.51.100.78")
	if limited(b.try("ann", good, cafe)) == 0 {
		t.Error("there is no last bound on guesses")
	}
	token, err := b.Link(t.Context(), "ann") // the way in
	if err == nil {
		_, err = b.Accept(t.Context(), token, "", good, cafe)
	}
	is(t, "a link", err, nil)
	is(t, "after a link", b.try("ann", good, cafe), nil)

	guesses = 0
	for range 24 * 4 {
		b.time = b.time.Add(15 * time.Minute)
		attack(40, 2)
	}
	if guesses > 1010 || guesses < 980 {
		t.Errorf("%d guesses in the day after", guesses)
	}
	b.person("bob", Viewer)
	is(t, "somebody else at a new place", b.try("bob", good, netip.MustParseAddr("192.0.2.99")), nil)
}

// A flood makes few lines in the audit, and all its tries are counted.
func TestWrongs(t *testing.T) {
	var w wrongs
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	lines, counted := 0, 0
	count := func(over string) {
		var more, refused int
		if over == "" {
			return
		}
		if _, err := fmt.Sscanf(over, "%d more from 2026-12-", &more); err != nil {
			t.Fatalf("%q: %v", over, err)
		}
		_, err := fmt.Sscanf(over[strings.Index(over, ";"):], "; %d were refused", &refused)
		if err != nil || refused*2 > more {
			t.Fatalf("%q: %v", over, err)
		}
		counted += more
		lines++
	}
	const tries = 48 * 600
	for i := range tries {
		line, over := w.note(tried{wrongPassword, fmt.Sprint("x", i%77), machine(i)}, i%3 == 0, now)
		if line {
			lines, counted = lines+1, counted+1
		}
		count(over)
		now = now.Add(6 * time.Second)
	}
	count(w.end())
	if counted != tries || lines > 48*(mostLines+1) {
		t.Errorf("%d of %d tries are in %d lines", counted, tries, lines)
	}
	if over := w.end(); over != "" {
		t.Error(over)
	}
}

// Somebody who tries many names to make the limits forget one name does not succeed.
func TestLimitsForgetNoName(t *testing.T) {
	l := newLimits()
	now := time.Now()
	n := 0
	for i := range 2 * mostTried {
		if _, err := l.take("ann", machine(i), false, now); err == nil {
			n++
		}
		_, _ = l.take(fmt.Sprint("x", i), machine(i), false, now)
	}
	if n > nameBurst {
		t.Errorf("%d tries for one name", n)
	}
}

// Tries at the same time do not get past a limit, and right ones take none.
func TestTriesTogether(t *testing.T) {
	b := open(t, Options{})
	b.person("ann", Admin)
	var all sync.WaitGroup
	var mu sync.Mutex
	wrong := 0
	for range 40 {
		all.Go(func() {
			err := b.try("ann", other, abroad)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, ErrWrong):
				wrong++
			case limited(err) == 0:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if wrong > placeBurst || wrong == 0 {
		t.Errorf("%d wrong tries", wrong)
	}
	for range 3 * placeBurst {
		b.logIn("ann", home)
	}
}

// A flood from everywhere neither takes memory nor keeps out those who are known.
func TestFlood(t *testing.T) {
	b := open(t, Options{})
	b.person("ann", Admin)
	b.logIn("ann", home)
	hold := make(chan struct{})
	held := make(chan error)
	go func() { // the strangers' place to work is taken for long
		held <- b.strange.pass(t.Context(), func() { held <- nil; <-hold })
	}()
	<-held
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	const flood = 100
	for i := range flood {
		go func() {
			_, _, err := b.LogIn(ctx, fmt.Sprint("x", i), good, machine(i), "")
			errs <- err
		}()
	}
	for i := range flood - mostWaiting + 1 {
		if err := <-errs; limited(err) == 0 {
			t.Errorf("%d: %v", i, err)
		}
	}
	is(t, "a known place", b.try("ann", good, home), nil)
	cancel()
	for range mostWaiting - 1 {
		is(t, "cancelled", <-errs, context.Canceled)
	}
	close(hold)
	is(t, "held", <-held, nil)
	is(t, "after the flood", b.try("ann", good, abroad), nil)
}

func TestWrongLinks(t *testing.T) {
	b := open(t, Options{})
	ctx := t.Context()
	token, err := b.Invite(ctx, "x", "ann", Admin)
	is(t, "invite", err, nil)
	for range placeBurst {
		_, err := b.Invitation(ctx, "guess", abroad)
		is(t, "a guess", err, ErrLink)
	}
	_, err = b.Accept(ctx, "guess", "eve", good, abroad)
	if limited(err) == 0 {
		t.Errorf("too many guesses: %v", err)
	}
	_, err = b.Accept(ctx, token, "", good, abroad)
	is(t, "the right one", err, nil)
}

// The costs of all names are the same: as many hashes, of the same cost, and about the same time.
func TestTiming(t *testing.T) {
	b := open(t, Options{})
	b.setCost(cost{memory: 8 << 10, passes: 2, lanes: 1}) // less than usual, and still nearly all of the time
	b.person("ann", Admin)
	if _, err := b.Invite(t.Context(), "ann", "bob", Viewer); err != nil {
		t.Fatal(err)
	}
	names := []string{"ann", "bob", "nobody", "no name"}
	least := map[string]time.Duration{}
	alike := func() bool {
		for _, name := range names {
			if ratio := float64(least[name]) / float64(least["ann"]); ratio < .4 || ratio > 2.5 {
				return false
			}
		}
		return true
	}
	for i := 0; i < 3 || !alike() && i < 20; i++ { // more often on a busy machine
		for j := range names {
			name := names[(i+j)%len(names)] // no name is always the one whose hash waits for the garbage collector
			before, start := b.hashes.Load(), time.Now()
			is(t, name, b.try(name, other, machine(i)), ErrWrong)
			took := time.Since(start)
			if n := b.hashes.Load() - before; n != 1 {
				t.Errorf("%s: %d hashes", name, n)
			}
			if old, ok := least[name]; !ok || took < old {
				least[name] = took
			}
		}
	}
	if t.Log(least); !alike() {
		t.Error("the times tell which names there are")
	}
}

// A hash of another cost becomes a new one at the next log-in, and at no wrong one.
func TestUpgrade(t *testing.T) {
	b := open(t, Options{})
	b.person("ann", Admin)
	hash := func() string {
		p, err := b.ledger.Person(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		return p.Hash
	}
	old := hash()
	b.setCost(cost{memory: 16, passes: 2, lanes: 2})
	is(t, "wrong", b.try("ann", other, home), ErrWrong)
	if hash() != old {
		t.Error("a wrong password changes the hash")
	}
	cookie, _ := b.logIn("ann", home)
	upgraded := hash()
	if !strings.HasPrefix(upgraded, "$argon2id$v=19$m=16,t=2,p=2$") {
		t.Errorf("the hash is %s", upgraded)
	}
	b.logIn("ann", home)
	if hash() != upgraded {
		t.Error("the hash changes again")
	}
	_, err := b.Check(t.Context(), cookie)
	is(t, "the session", err, nil)
}

func TestAgent(t *testing.T) {
	for text, want := range map[string]string{"": "", "Mozilla/5.0 (X11)": "Mozilla/5.0 (X11)", "a\x1b[2J\nb\xff": "a[2Jb",
		strings.Repeat("a", 300): strings.Repeat("a", 200)} {
		if got := agentOf(text); len(got) > mostAgent+3 || !strings.HasPrefix(got, want[:min(len(want), 190)]) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// holdsNone checks that no file of the ledger has a secret.
func (b *bench) holdsNone(secrets ...string) {
	b.t.Helper()
	paths, err := filepath.Glob(filepath.Join(b.dir, "*"))
	if err != nil || len(paths) == 0 {
		b.t.Fatal(err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, secret := range secrets {
			if strings.Contains(string(data), secret) {
				b.t.Errorf("%s has the secret %.20s", path, secret)
			}
		}
	}
}
