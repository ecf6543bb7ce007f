package accounts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/serve/store/ledger"
)

// inviter is the variable of a process that invites and logs in until it is killed: the folder of its ledger.
const inviter = "DEGAS_TEST_ACCOUNTS"

func TestMain(m *testing.M) {
	if dir := os.Getenv(inviter); dir != "" {
		fmt.Fprintln(os.Stderr, inviteForEver(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// inviteForEver says each link, password and cookie once it has it.
func inviteForEver(dir string) error {
	ctx, from := context.Background(), netip.MustParseAddr("192.0.2.7")
	l, err := ledger.Open(ctx, dir, ledger.Options{})
	if err != nil {
		return err
	}
	a, err := New(ctx, l, Options{MostPeople: 10_000})
	if err != nil {
		return err
	}
	a.cost = cheap
	for n := 0; ; n++ {
		name := fmt.Sprintf("p%d-%d", os.Getpid(), n)
		token, err := a.Invite(ctx, "x", name, Admin)
		if err != nil {
			return err
		}
		fmt.Println("link", name, token)
		if _, err := a.Accept(ctx, token, "", good, from); err != nil {
			return err
		}
		fmt.Println("accepted", name, token)
		cookie, s, err := a.LogIn(ctx, name, good, from, "")
		if err != nil {
			return err
		}
		fmt.Println("cookie", name, cookie)
		if n%2 == 0 {
			if err := a.Revoke(ctx, "x", s.ID); err != nil {
				return err
			}
			fmt.Println("ended", name, cookie)
		}
	}
}

// What a process has said still holds after it was killed: links, passwords, sessions, and the ends of sessions.
func TestKill(t *testing.T) {
	b := open(t, Options{})
	said := map[string][][2]string{} // name and secret
	const rounds = 3
	for round := range rounds {
		if err := b.ledger.Close(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		c := exec.CommandContext(ctx, os.Args[0])
		c.Env = append(os.Environ(), inviter+"="+b.dir)
		c.Stderr = os.Stderr
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 1; lines.Scan(); n++ {
			f := strings.Fields(lines.Text())
			if len(f) != 3 {
				t.Fatalf("%q", lines.Text())
			}
			said[f[0]] = append(said[f[0]], [2]string{f[1], f[2]})
			if n == 20+7*round { // what it says before it is dead counts too
				if err := c.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = c.Wait()
		cancel()
		b.start(Options{})
	}
	ctx := t.Context()
	b.time = time.Now()
	if n := len(said["cookie"]); n < rounds*4 {
		t.Errorf("only %d cookies", n)
	}
	accepted, ended := map[string]bool{}, map[string]bool{}
	for _, s := range said["accepted"] {
		accepted[s[0]] = true
		_, err := b.Accept(ctx, s[1], "", other, home)
		if !errors.Is(err, ErrLink) && limited(err) == 0 {
			t.Errorf("%s: a link that was used: %v", s[0], err)
		}
		is(t, s[0], b.try(s[0], good, home), nil)
	}
	for _, s := range said["ended"] {
		ended[s[0]] = true
	}
	last := len(said["cookie"]) / 2 // of those that were not ended, how many at least were seen
	for _, s := range said["cookie"] {
		_, err := b.Check(ctx, s[1])
		switch {
		case ended[s[0]]:
			is(t, s[0]+": a session that was ended", err, ErrSession)
		case err == nil:
			last--
		case !errors.Is(err, ErrSession): // it may have been ended, and not said so
			t.Error(err)
		}
	}
	if last > rounds {
		t.Errorf("%d sessions are lost", last)
	}
	for _, s := range said["link"] {
		if _, err := b.Invitation(ctx, s[1], home); err != nil && !errors.Is(err, ErrLink) && limited(err) == 0 {
			t.Errorf("%s: a link: %v", s[0], err)
		}
	}
	t.Logf("%d links, %d used, %d sessions, %d ended", len(said["link"]), len(accepted), len(said["cookie"]), len(ended))
}
