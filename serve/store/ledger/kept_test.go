package ledger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect/notify"
	"github.com/degas-dns/degas/detect/watch"
)

func TestFindings(t *testing.T) {
	l := open(t, t.TempDir(), Options{MostFindings: 3})
	at := time.Date(2026, 11, 30, 1, 2, 3, 0, time.UTC)
	sink := l.Sink()
	send := func(f watch.Finding) {
		t.Helper()
		if err := sink.Send(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	tunnel := watch.Finding{Kind: watch.Tunnel, Domain: "evil.example", First: at, Last: at.Add(time.Minute), Evidence: 5,
		Examples: []string{"<script>\u202e"}, Reason: "first"}
	send(tunnel)
	tunnel.First, tunnel.Last = at.Add(time.Hour), at.Add(2*time.Hour)
	tunnel.Evidence, tunnel.Reason = math.Inf(1), "second"
	send(tunnel)
	send(watch.Finding{Kind: watch.List, Domain: "*.bad.example"}) // no time
	all, err := l.Findings(t.Context(), FindingFilter{}, 0, 0)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	f := all[1]
	if f.Times != 2 || f.Reason != "second" || !f.First.Equal(at) || !f.Last.Equal(at.Add(2*time.Hour)) ||
		f.Subject != "evil.example" || f.Evidence != math.MaxFloat64 || f.Examples[0] != "<script>\u202e" ||
		time.Since(f.Told) > time.Minute || !f.ClosedAt.IsZero() || !all[0].First.IsZero() {
		t.Errorf("%+v", f)
	}
	if err := l.CloseFinding(t.Context(), f.ID, "ann", "a mail filter"); err != nil {
		t.Fatal(err)
	}
	if err := l.CloseFinding(t.Context(), f.ID, "ann", ""); !errors.Is(err, ErrOver) {
		t.Errorf("closed twice: %v", err)
	}
	if err := l.CloseFinding(t.Context(), 99, "ann", ""); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	send(tunnel) // again
	all, err = l.Findings(t.Context(), FindingFilter{Kind: watch.Tunnel, Subject: "evil.example"}, 0, 0)
	if err != nil || len(all) != 2 || all[0].Times != 1 || all[1].ClosedBy != "ann" || all[1].Note != "a mail filter" {
		t.Errorf("%+v, %v", all, err)
	}
	for i := range 3 { // the closed one goes first, then the oldest
		send(watch.Finding{Kind: watch.DGAClient, Client: fmt.Sprint("192.0.2.", i)})
	}
	all, err = l.Findings(t.Context(), FindingFilter{Open: true}, 0, 0)
	if err != nil || len(all) != 3 || all[2].Client != "192.0.2.0" {
		t.Errorf("%+v, %v", all, err)
	}
	if all, err = l.Findings(t.Context(), FindingFilter{}, all[0].ID, 1); err != nil || len(all) != 1 ||
		all[0].Client != "192.0.2.1" {
		t.Errorf("%+v, %v", all, err)
	}
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
	send(tunnel)
}

func TestMutes(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	m := notify.Mute{Domain: "*.münchen.example", Reason: "ours", Until: time.Now().AddDate(0, 1, 0).Format(time.DateOnly)}
	f := watch.Finding{Kind: watch.Tunnel, Domain: "a.xn--mnchen-3ya.example"}
	muted := func(want bool) {
		t.Helper()
		if reason, ok := l.Mutes().Muted(&f, time.Now()); ok != want || ok && reason != "ours" {
			t.Errorf("muted %t, %q, want %t", ok, reason, want)
		}
	}
	muted(false)
	id, err := l.Mute(t.Context(), "ann", m)
	if err != nil {
		t.Fatal(err)
	}
	muted(true)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, Options{})
	muted(true)
	if err := l.Unmute(t.Context(), id, "bob"); err != nil {
		t.Fatal(err)
	}
	muted(false)
	if err := l.Unmute(t.Context(), id, "bob"); !errors.Is(err, ErrOver) {
		t.Error(err)
	}
	all, err := l.AllMutes(t.Context(), 0, 0)
	if err != nil || len(all) != 1 || all[0].Mute != m || all[0].By != "ann" || all[0].EndedBy != "bob" {
		t.Errorf("%+v, %v", all, err)
	}
	for part, change := range map[string]func(m *notify.Mute){
		"no reason":      func(m *notify.Mute) { m.Reason = "" },
		"neither":        func(m *notify.Mute) { m.Domain = "" },
		"is over":        func(m *notify.Mute) { m.Until = "2020-01-01" },
		"a year ahead":   func(m *notify.Mute) { m.Until = "2999-01-01" },
		"is no domain":   func(m *notify.Mute) { m.Domain = "*x" },
		"control charac": func(m *notify.Mute) { m.Client = "a\x1b" },
	} {
		bad := m
		change(&bad)
		if _, err := l.Mute(t.Context(), "ann", bad); err == nil || !strings.Contains(err.Error(), part) ||
			!errors.Is(err, ErrInput) {
			t.Errorf("error %v, want one with %q", err, part)
		}
	}
}

func TestBaseline(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	if b, err := l.Baseline(t.Context()); b != nil || err != nil {
		t.Errorf("%+v, %v", b, err)
	}
	b := &watch.Baseline{Version: 1, Events: 7, Domains: []string{"example.com"}}
	for range 2 {
		if err := l.KeepBaseline(t.Context(), "ann", b); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := l.Baseline(t.Context()); err != nil || got.Events != 7 || got.Domains[0] != "example.com" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := l.KeepBaseline(t.Context(), "ann", &watch.Baseline{Version: 2}); !errors.Is(err, ErrInput) {
		t.Error(err)
	}
}

func TestAudit(t *testing.T) {
	l := open(t, t.TempDir(), Options{AuditFor: 100 * 24 * time.Hour})
	decide(t, l, "block evil.example")
	if _, _, err := l.Revoke(t.Context(), 1, "bob"); err != nil {
		t.Fatal(err)
	}
	if err := l.Audit(t.Context(), "ann", "log in", "192.0.2.7"); err != nil {
		t.Fatal(err)
	}
	var got []string
	all, err := l.Audits(t.Context(), "", 0, 0)
	for _, a := range all {
		got = append(got, a.Who+" "+a.What+" "+a.About)
	}
	const want = "ann log in 192.0.2.7; bob revoke 1: block evil.example; ann decide 1: block evil.example"
	if strings.Join(got, "; ") != want || err != nil {
		t.Errorf("%q, want %q (%v)", got, want, err)
	}
	if all, err := l.Audits(t.Context(), "bob", 0, 0); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	for days, want := range map[int]int{99: 3, 101: 0} {
		if err := l.Tidy(t.Context(), time.Now().AddDate(0, 0, days)); err != nil {
			t.Fatal(err)
		}
		if all, err := l.Audits(t.Context(), "", 0, 0); err != nil || len(all) != want && days == 101 {
			t.Errorf("after %d days: %+v, %v", days, all, err)
		}
	}
}

func TestBackup(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	decide(t, l, "block evil.example", "allow good.example")
	dir := t.TempDir()
	path := filepath.Join(dir, File)
	if err := l.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if err := l.Backup(t.Context(), path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a backup over another: %v", err)
	}
	decide(t, l, "block later.example")
	if got := inForce(open(t, dir, Options{}), time.Now()); got != "good.example | evil.example" {
		t.Errorf("in force in the backup: %s", got)
	}
}

// All methods at the same time: for the race detector, and for what is lost between them.
func TestTogether(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	var all sync.WaitGroup
	const workers, each = 3, 3
	for w := range workers {
		all.Go(func() {
			for i := range each {
				ids := decide(t, l, fmt.Sprintf("block n%d.w%d.example", i, w), fmt.Sprintf("allow n%d.w%d.example", i, w))
				if _, again, err := l.Revoke(t.Context(), ids[1], "bob"); err != nil || again == nil || again.ID != ids[0] {
					t.Errorf("%+v, %v", again, err)
				}
			}
		})
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for _, f := range []func() error{
		func() error { return l.WriteCSV(t.Context(), io.Discard, "test", true) },
		func() error { _, err := l.Decisions(t.Context(), Filter{State: InForce}, 0, 0); return err },
		func() error { _ = l.InForce(time.Now()); return l.Tidy(t.Context(), time.Now()) },
		func() error {
			return l.Sink().Send(t.Context(), watch.Finding{Kind: watch.List, Domain: "evil.example"})
		},
	} {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				if err := f(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	close(stop)
	readers.Wait()
	s := l.InForce(time.Now())
	if len(s.Block) != workers*each || len(s.Allow) != 0 {
		t.Errorf("%d entries block and %d allow", len(s.Block), len(s.Allow))
	}
}
