package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect/watch"
)

func TestRevokeAll(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	ids := decide(t, l, "allow a.example", "block a.example", "block b.example", "unsure c.example")
	if _, _, err := l.Revoke(t.Context(), ids[2], "ann"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.RevokeAll(t.Context(), append(ids, 99), "bob"); !errors.Is(err, ErrNotFound) {
		t.Errorf("an ID that is not there: %v", err)
	}
	if got := inForce(l, time.Now()); got != " | a.example" {
		t.Errorf("after an error %q is in force", got)
	}
	revoked, err := l.RevokeAll(t.Context(), ids[1:], "bob")
	if err != nil || len(revoked) != 2 || revoked[0].RevokedBy != "bob" || revoked[0].State != Revoked {
		t.Errorf("%+v, %v", revoked, err)
	}
	if got := inForce(l, time.Now()); got != "a.example | " {
		t.Errorf("%q is in force", got)
	}
	if revoked, err = l.RevokeAll(t.Context(), ids[1:], "bob"); err != nil || len(revoked) != 0 {
		t.Errorf("again: %+v, %v", revoked, err)
	}
	if _, err := l.RevokeAll(t.Context(), ids, ""); !errors.Is(err, ErrInput) {
		t.Errorf("by nobody: %v", err)
	}
	lines, err := l.Audits(t.Context(), "bob", 0, 0)
	if err != nil || len(lines) != 1 || lines[0].What != "revoke" {
		t.Errorf("the audit has %+v, %v", lines, err)
	}
}

func TestRuling(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	decide(t, l, "block *.example.com", "unsure x.example.com", "allow y.example.com 1h", "block *.deep.example.org",
		"allow gone.example", "block gone.example")
	if _, err := l.RevokeAll(t.Context(), []int64{5, 6}, "ann"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"x.example.com": "x.example.com unsure",
		"example.com":   "*.example.com block",
		"z.example.com": "*.example.com block", "a.b.example.com": "*.example.com block",
		"y.example.com":        "y.example.com allow",
		"a.b.deep.example.org": "*.deep.example.org block", "example.org": "", "com": "", "": "", "gone.example": "",
		"notexample.com": ""} {
		pattern, verdict, ok := l.Ruling(name, time.Now())
		got := ""
		if ok {
			got = pattern + " " + string(verdict)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if pattern, _, _ := l.Ruling("y.example.com", time.Now().Add(2*time.Hour)); pattern != "*.example.com" {
		t.Errorf("after it expired: %q", pattern)
	}
}

func TestClosedFindings(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	for _, domain := range []string{"a.example", "b.example"} {
		if err := l.Sink().Send(t.Context(), watch.Finding{Kind: watch.Tunnel, Domain: domain}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.CloseFinding(t.Context(), 1, "ann", "known"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		f    FindingFilter
		want int
	}{{FindingFilter{}, 2}, {FindingFilter{Open: true}, 1}, {FindingFilter{Closed: true}, 1},
		{FindingFilter{Closed: true, Subject: "b.example"}, 0}} {
		if all, err := l.Findings(t.Context(), c.f, 0, 0); err != nil || len(all) != c.want {
			t.Errorf("%+v: %d findings, %v", c.f, len(all), err)
		}
	}
}
