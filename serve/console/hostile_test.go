package console_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/degas-dns/degas/serve/accounts"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// What people and strangers write is stored, and comes back on every page as text alone.
func TestStoredTexts(t *testing.T) {
	s := newSite(t)
	s.seed()
	s.find()
	for _, pattern := range []string{"xjpakmdcfuqe.biz", "*.example.com"} {
		s.must("/console/decide", "pattern", pattern, "verdict", "block", "note", evil)
	}
	if w := s.form("/console/decide", "pattern", evil, "verdict", "block"); w.Code != 400 {
		t.Errorf("a name that is none: %d", w.Code)
	}
	for _, back := range []string{"https://evil.example/", "//evil.example/", `/\evil.example`, "javascript:alert(1)",
		"/console/../../x", "/v1/decisions"} {
		to := s.must("/console/decide", "pattern", "a.example.org", "verdict", "unsure", "back", back)
		if u, err := url.Parse(to); err != nil || u.Host != "" || !strings.HasPrefix(u.Path, "/console/") {
			t.Errorf("back %q leads to %q", back, to)
		}
	}
	pages := append([]string{"/console/finding?id=1", "/console/finding?id=2", "/console/name?name=xjpakmdcfuqe.biz",
		"/console/lists?q=alert", "/console/lists?made=1-2", "/console/vet?made=1-1&status=all"}, decidingPages...)
	for _, target := range pages {
		clean(t, s.page(target))
	}
}

// An import is read from a stranger's file. Its preview shows it as text, and keeps what a list can hold.
func TestImport(t *testing.T) {
	s := newSite(t)
	s.must("/console/decide", "pattern", "known.example.com", "verdict", "block")
	list := "# comment\n0.0.0.0 ads.example.com\n0.0.0.0 known.example.com\n0.0.0.0 localhost\n192.0.2.1 real.example\n" +
		"0.0.0.0 <script>alert(1)</script>\n0.0.0.0 ads.example.com\n0.0.0.0 \x1b[2j.example\n0.0.0.0 ok.example.org\n"
	w := s.upload(list, "block")
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	body := w.Body.String()
	clean(t, body)
	has(t, body, "2 entries to block", "1 more are in force already", "ads.example.com", "ok.example.org",
		"a name of this host", "not a name", "an address that leads somewhere")
	if all := s.decisions(ledger.Filter{}); len(all) != 1 {
		t.Fatalf("the preview kept %d decisions", len(all)-1)
	}
	key := regexp.MustCompile(`name="key" value="([^"]+)"`).FindStringSubmatch(body)[1]
	if w := s.form("/console/lists/keep", "key", key, "note", strings.Repeat("x", 1001)); w.Code != 400 {
		t.Errorf("a note that is too long: %d", w.Code)
	}
	to := s.must("/console/lists/keep", "key", key, "label", "malicious", "note", evil, "expires", "24h")
	page := s.page(to)
	clean(t, page)
	has(t, page, "ads.example.com", "and 2 in all")
	if s.verdict("ads.example.com") != "blocked" {
		t.Error("the import is not in force")
	}
	if w := s.form("/console/lists/keep", "key", key); w.Code != http.StatusConflict {
		t.Errorf("kept twice: %d", w.Code)
	}
	// The hosts file that comes out can be read again; everything in it is known then.
	has(t, s.upload(s.page("/console/lists.txt?verdict=block&as=hosts"), "block").Body.String(), "0 entries to block")
	has(t, s.upload("[Adblock Plus]\n||a.example^\n@@||b.example^\n||*.c.example^\n", "block").Body.String(),
		"2 entries to block", "exceptions", "names below a domain, without the domain")
	for name, text := range map[string]string{"html": "<html>", "binary": "\x00\x01\x02", "empty": " \n",
		"words": "no list\nat all\n",
		"many":  strings.Repeat("x", 1) + manyNames(10_001),
		"large": strings.Repeat("# "+strings.Repeat("x", 1022)+"\n", 6000)} {
		if w := s.upload(text, "block"); w.Code < 400 || w.Code >= 500 {
			t.Errorf("%s: %d %.200s", name, w.Code, w.Body)
		}
	}
	if w := s.upload("a.example\n", evil); w.Code != 400 {
		t.Errorf("an unknown verdict: %d", w.Code)
	}
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "n%d.example.com\n", i)
	}
	return b.String()
}

// No text of a filter is part of a statement.
func TestFilterTexts(t *testing.T) {
	s := newSite(t)
	s.seed()
	s.must("/console/decide", "pattern", "keep.example.com", "verdict", "block", "note", "it's 100% sure_ly")
	for _, text := range []string{`%_\'"`, `'; DROP TABLE decision; --`, `' OR '1'='1`, "a\x00b", "\xff\xfe\u202e",
		strings.Repeat("'", 1<<20), strings.Repeat("%", 1000)} {
		for _, page := range []string{"/console/lists?state=all&q=", "/console/lists?by=", "/console/lists?verdict=",
			"/console/lists?state=", "/console/lists?before=", "/console/lists?made=", "/console/findings?subject=",
			"/console/findings?kind=", "/console/findings?state=", "/console/finding?id=", "/console/vet?q=",
			"/console/vet?status=", "/console/name?name=", "/console/client?client=", "/console/find?q=",
			"/console/name?name=a.example&from=", "/console/lists.txt?verdict="} {
			w := s.do("GET", page+url.QueryEscape(text), nil)
			if w.Code >= 500 {
				t.Errorf("%s%.40q: %d", page, text, w.Code)
			}
			clean(t, w.Body.String())
		}
		if w := s.form("/console/revoke", "id", text); w.Code != 400 && w.Code != 413 {
			t.Errorf("revoke %.40q: %d", text, w.Code)
		}
	}
	count := func(q string) int {
		return strings.Count(s.page("/console/lists?q="+url.QueryEscape(q)), `name="id" value="`)
	}
	for q, want := range map[string]int{"%": 1, "_": 1, "'": 1, "100% SURE_": 1, "%a": 0, "keep_example": 0,
		"' OR '1'='1": 0} {
		if got := count(q); got != want {
			t.Errorf("%q finds %d decisions and not %d", q, got, want)
		}
	}
	if len(s.decisions(ledger.Filter{})) != 1 || s.verdict("keep.example.com") != "blocked" {
		t.Error("the decision is gone")
	}
	if w := s.form("/console/revoke", "id", "1-99999999"); w.Code != 400 {
		t.Errorf("a range without end: %d", w.Code)
	}
}

// No cell of an export is a formula for a spreadsheet, or a sequence for a terminal.
func TestExportCells(t *testing.T) {
	s := newSite(t)
	for i, note := range []string{`=HYPERLINK("http://evil.example")`, "+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\t=1",
		"a\n=1", "plain", "\x1b[2J"} {
		w := s.form("/console/decide", "pattern", fmt.Sprintf("n%d.example.com", i), "verdict", "block", "note", note)
		if w.Code != 303 && note != "\x1b[2J" {
			t.Fatalf("%q: %d", note, w.Code)
		}
	}
	for _, target := range []string{"/console/lists.csv", "/console/lists.csv?all=1"} {
		w := s.do("GET", target, nil)
		rows, err := csv.NewReader(w.Body).ReadAll()
		if err != nil || len(rows) != 8 {
			t.Fatalf("%s: %d rows, %v", target, len(rows), err)
		}
		for _, row := range rows {
			for _, cell := range row {
				if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\n") || strings.Contains(cell, "\x1b") {
					t.Errorf("a cell is %q", cell)
				}
			}
		}
		if d := w.Header().Get("Content-Disposition"); !strings.HasPrefix(d, "attachment") ||
			w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s is no attachment: %v", target, w.Header())
		}
	}
}

// Who may only read can change nothing.
func TestViewer(t *testing.T) {
	s := newSite(t)
	s.seed()
	s.find()
	ctx, from := t.Context(), netip.MustParseAddr("127.0.0.1")
	token, err := s.people.Invite(ctx, "ann", "eve", accounts.Viewer)
	if err == nil {
		_, err = s.people.Accept(ctx, token, "eve", "correct horse battery", from)
	}
	if err == nil {
		s.cookie, _, err = s.people.LogIn(ctx, "eve", "correct horse battery", from, "test")
	}
	if err != nil {
		t.Fatal(err)
	}
	if who, err := s.people.Check(ctx, s.cookie); err != nil || who.Person.Role != accounts.Viewer {
		t.Skip("the accounts are a stub")
	}
	for _, target := range []string{"/console/decide", "/console/revoke", "/console/finding/close", "/console/mute",
		"/console/unmute", "/console/lists/keep"} {
		w := s.form(target, "pattern", "a.example", "verdict", "block", "id", "1", "domain", "a.example", "reason", "x",
			"until", "2099-01-01")
		if w.Code != http.StatusForbidden {
			t.Errorf("POST %s: %d", target, w.Code)
		}
	}
	if w := s.upload("a.example\n", "block"); w.Code != http.StatusForbidden {
		t.Errorf("import: %d", w.Code)
	}
	for _, target := range []string{"/console/name?name=xjpakmdcfuqe.biz", "/console/vet", "/console/lists",
		"/console/findings", "/console/finding?id=2", "/console/client?client=192.0.2.7"} {
		if body := s.page(target); strings.Contains(body, `action="/console/decide"`) || strings.Contains(body, "Unmute") {
			t.Errorf("%s has a button for vetters", target)
		}
	}
	if len(s.decisions(ledger.Filter{})) != 0 {
		t.Error("a viewer decided")
	}
}
