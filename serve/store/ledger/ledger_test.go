package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/degas-dns/degas/internal/dirlock"
)

// open opens a ledger that the test closes.
func open(t testing.TB, dir string, o Options) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// decide adds decisions "VERDICT PATTERN [LIFETIME]", and returns their IDs.
func decide(t testing.TB, l *Ledger, texts ...string) (ids []int64) {
	t.Helper()
	for _, text := range texts {
		f := strings.Fields(text)
		d := Decision{Verdict: Verdict(f[0]), Pattern: f[1], By: "ann"}
		if len(f) > 2 {
			life, err := time.ParseDuration(f[2])
			if err != nil {
				t.Fatal(err)
			}
			d.Expires = time.Now().Add(life)
		}
		id, err := l.Decide(t.Context(), d)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		ids = append(ids, id)
	}
	return ids
}

func inForce(l *Ledger, now time.Time) string {
	s := l.InForce(now)
	return strings.Join(s.Allow, " ") + " | " + strings.Join(s.Block, " ")
}

func TestInForce(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	now := time.Now()
	later := now.Add(2 * time.Hour)
	ids := decide(t, l, "block evil.example", "block *.bad.example", "allow evil.example 1h", "allow good.example",
		"block timed.example 1h", "unsure bad.example")
	reopened := false
	check := func(want, wantLater string) {
		t.Helper()
		if got := inForce(l, now); got != want {
			t.Errorf("in force: %q, want %q", got, want)
		}
		if got := inForce(l, later); got != wantLater {
			t.Errorf("two hours later: %q, want %q", got, wantLater)
		}
		if got := inForce(l, now); got != want {
			t.Errorf("once the clock is set back: %q, want %q", got, want)
		}
		if !reopened {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = open(t, dir, Options{})
			if got := inForce(l, now); got != want {
				t.Errorf("opened again: %q, want %q", got, want)
			}
		}
	}
	check("evil.example good.example | *.bad.example timed.example", "good.example | *.bad.example evil.example")
	decide(t, l, "unsure *.bad.example")
	check("evil.example good.example | timed.example", "good.example | evil.example")
	revoked, again, err := l.Revoke(t.Context(), ids[2], "bob")
	if err != nil || revoked.RevokedBy != "bob" || revoked.State != Revoked || again == nil || again.ID != ids[0] {
		t.Errorf("revoked %+v, in force again %+v, error %v", revoked, again, err)
	}
	check("good.example | evil.example timed.example", "good.example | evil.example")
	if _, again, err := l.Revoke(t.Context(), ids[0], "bob"); err != nil || again != nil {
		t.Errorf("in force again %+v, error %v", again, err)
	}
	check("good.example | timed.example", "good.example | ")
	if _, _, err := l.Revoke(t.Context(), ids[0], "bob"); !errors.Is(err, ErrOver) {
		t.Errorf("revoked twice: %v", err)
	}
	if _, _, err := l.Revoke(t.Context(), 1<<40, "bob"); !errors.Is(err, ErrNotFound) {
		t.Errorf("revoked what is not there: %v", err)
	}
}

func TestAllowedBy(t *testing.T) {
	s := Snapshot{Allow: []string{"*.good.example", "a.example"}}
	for pattern, want := range map[string]string{"a.example": "a.example", "b.a.example": "", "*.a.example": "",
		"good.example": "*.good.example", "*.x.good.example": "*.good.example", "verygood.example": "", "*.example": ""} {
		if got := s.AllowedBy(pattern); got != want {
			t.Errorf("%s is allowed by %q, want %q", pattern, got, want)
		}
	}
}

func TestPattern(t *testing.T) {
	for _, test := range []struct {
		text  string
		scope Scope
		want  string // or a part of the error, after "!"
	}{
		{"Example.COM.", "", "example.com"},
		{"münchen.example", "", "xn--mnchen-3ya.example"},
		{"*.münchen.example", Domain, "*.xn--mnchen-3ya.example"},
		{".example.com", "", "*.example.com"},
		{"www.shop.example.co.uk", Domain, "*.example.co.uk"},
		{"a.b.duckdns.org", Domain, "*.b.duckdns.org"},
		{"https://evil.example/path?x", Name, "evil.example"},
		{"com", Name, "com"},
		{"*.duckdns.org", "", "*.duckdns.org"},
		{"*.com", "", "!public suffix"},
		{"co.uk", Domain, "!public suffix"},
		{"*.co.uk", "", "!public suffix"},
		{"*", "", "!whole labels"},
		{"", "", "!is no name"},
		{".", "", "!is no name"},
		{"ex*mple.com", "", "!is no name"},
		{"*example.com", "", "!whole labels"},
		{"*.example.com", Name, "!more names than one"},
		{"example.com", "zone", "!neither name nor domain"},
		{"192.0.2.1", "", "!address"},
		{"2001:db8::1", "", "!address"},
		{"ab+cd.example.com", "", "!no list can hold"},
		{"ab+cd.example.com", Domain, "*.example.com"},
		{"\xff\xfe.example.com", "", "!no name"},
		{"a b.example", "", "!no name"},
		{strings.Repeat("a", 64) + ".example", "", "!no name"},
		{"a\n*.example", "", "!no name"},
	} {
		got, err := Pattern(test.text, test.scope)
		if part, bad := strings.CutPrefix(test.want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), part) || !errors.Is(err, ErrInput) {
				t.Errorf("%q, %q: %q, error %v, want one with %q", test.text, test.scope, got, err, part)
			}
		} else if got != test.want || err != nil {
			t.Errorf("%q, %q: %q, want %q (%v)", test.text, test.scope, got, test.want, err)
		}
	}
}

func TestDecideRefuses(t *testing.T) {
	l := open(t, t.TempDir(), Options{MostInForce: 2})
	good := Decision{Pattern: "evil.example", Verdict: Block, By: "ann"}
	for part, change := range map[string]func(d *Decision){
		"none of allow":        func(d *Decision) { d.Verdict = "deny" },
		"who decided":          func(d *Decision) { d.By = "" },
		"is over":              func(d *Decision) { d.Expires = time.Now().Add(-time.Second) },
		"too far":              func(d *Decision) { d.Expires = time.Date(10001, 1, 1, 0, 0, 0, 0, time.UTC) },
		"between 0 and 1":      func(d *Decision) { x := 1.5; d.Score = &x },
		"label: it has contro": func(d *Decision) { d.Label = "a\nb" },
		"note: it has more":    func(d *Decision) { d.Note = strings.Repeat("a", mostNote+1) },
		"note: it has control": func(d *Decision) { d.Note = "\x1b[2J" },
		"model: it is not UTF": func(d *Decision) { d.Model = "\xff" },
	} {
		d := good
		change(&d)
		if _, err := l.DecideAll(t.Context(), []Decision{good, d}); err == nil || !strings.Contains(err.Error(), part) ||
			!strings.Contains(err.Error(), "decision 2") || !errors.Is(err, ErrInput) {
			t.Errorf("error %v, want one with %q", err, part)
		}
	}
	if got := inForce(l, time.Now()); got != " | " {
		t.Errorf("a refused decision has left %q", got)
	}
	if _, err := l.DecideAll(t.Context(), []Decision{good, good, good}); !errors.Is(err, ErrFull) {
		t.Errorf("error %v, want ErrFull", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Decide(cancelled, good); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v of a call that was cancelled", err)
	}
	if _, err := l.DecideAll(t.Context(), []Decision{good, good}); err != nil {
		t.Error(err)
	}
}

// The database itself keeps decisions from being changed, whatever a later version of this package does.
func TestAppendOnly(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	ids := decide(t, l, "block evil.example", "block b.example")
	if _, _, err := l.Revoke(t.Context(), ids[0], "ann"); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"DELETE FROM decision",
		"UPDATE decision SET verdict = 'allow' WHERE id = 2",
		"UPDATE decision SET verdict = 'allow', revoked_at = 1, revoked_by = 'x' WHERE id = 2",
		"UPDATE decision SET revoked_at = NULL WHERE id = 1",
		"UPDATE decision SET revoked_by = 'x' WHERE id = 1",
	} {
		if _, err := l.write.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s succeeds", statement)
		}
	}
	const insert = "INSERT INTO audit (at, who, what, about) VALUES (1, '', '', '')"
	if _, err := l.read.ExecContext(t.Context(), insert); err == nil {
		t.Error("the connection for reading writes")
	}
	var mode string
	var synchronous int
	err := errors.Join(l.write.QueryRow("PRAGMA journal_mode").Scan(&mode),
		l.write.QueryRow("PRAGMA synchronous").Scan(&synchronous))
	if err != nil || mode != "wal" || synchronous != 2 {
		t.Errorf("journal %s, synchronous %d, want wal and 2 (FULL): %v", mode, synchronous, err)
	}
}

func TestDecisions(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	score := .75
	_, err := l.Decide(t.Context(), Decision{Pattern: "www.evil.example", Scope: Domain, Verdict: Block, Label: "dga",
		By: "bob", Note: "100% 'evil'", Score: &score, Model: "builtin", Version: "3"})
	if err != nil {
		t.Fatal(err)
	}
	decide(t, l, "allow a.evil.example", "block a.evil.example", "block c.example", "unsure d.example",
		"block e.example 1ms")
	if _, _, err := l.Revoke(t.Context(), 4, "ann"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond)
	for _, test := range []struct {
		f    Filter
		want []int64
	}{
		{Filter{}, []int64{6, 5, 4, 3, 2, 1}},
		{Filter{Verdict: Block}, []int64{6, 4, 3, 1}},
		{Filter{State: InForce}, []int64{5, 3, 1}},
		{Filter{State: Superseded}, []int64{2}},
		{Filter{State: Revoked}, []int64{4}},
		{Filter{State: Expired}, []int64{6}},
		{Filter{By: "bob"}, []int64{1}},
		{Filter{Pattern: ".Evil.example"}, []int64{1}},
		{Filter{About: "a.evil.example"}, []int64{3, 2, 1}},
		{Filter{About: "evil.example", Verdict: Block}, []int64{1}},
		{Filter{Text: "EVIL"}, []int64{3, 2, 1}},
		{Filter{Text: "100% '"}, []int64{1}},
		{Filter{Text: "%"}, []int64{1}},
		{Filter{Text: "' OR 1=1 --"}, nil},
		{Filter{By: "' OR 1=1 --"}, nil},
	} {
		var got []int64
		p, err := l.Decisions(t.Context(), test.f, 0, 0)
		for _, d := range p.Decisions {
			got = append(got, d.ID)
		}
		if !slices.Equal(got, test.want) || err != nil || p.Next != 0 {
			t.Errorf("%+v: %v, next %d, want %v (%v)", test.f, got, p.Next, test.want, err)
		}
	}
	for _, f := range []Filter{{Verdict: "x"}, {State: "x"}, {Pattern: "*"}, {About: ".."}} {
		if _, err := l.Decisions(t.Context(), f, 0, 0); !errors.Is(err, ErrInput) {
			t.Errorf("%+v: error %v", f, err)
		}
	}
	var got []int64
	for before := int64(0); ; {
		p, err := l.Decisions(t.Context(), Filter{}, before, 4)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range p.Decisions {
			got = append(got, d.ID)
		}
		if before = p.Next; before == 0 {
			break
		}
	}
	if !slices.Equal(got, []int64{6, 5, 4, 3, 2, 1}) {
		t.Errorf("page by page: %v", got)
	}
	p, err := l.Decisions(t.Context(), Filter{}, 2, 1)
	d := p.Decisions[0]
	if err != nil || d.Pattern != "*.evil.example" || d.Scope != Domain || *d.Score != score || d.Model != "builtin" ||
		d.Version != "3" || d.Label != "dga" || d.State != InForce || time.Since(d.At) > time.Minute {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestWait(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	s, err := l.Wait(t.Context(), 0)
	if err != nil || len(s.Block) > 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if s, err := l.Wait(t.Context(), s.Version); err != nil || !slices.Equal(s.Block, []string{"evil.example"}) {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
	decide(t, l, "unsure other.example", "block evil.example 300ms")
	all.Wait()
	old := l.InForce(time.Now())
	if s, err := l.Wait(t.Context(), old.Version); err != nil || len(s.Block) > 0 { // it expires
		t.Errorf("%+v, %v", s, err)
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	s = l.InForce(time.Now())
	if _, err := l.Wait(short, s.Version); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	ended := make(chan error)
	go func() {
		_, err := l.Wait(t.Context(), s.Version)
		ended <- err
	}()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	_, err = l.Decide(t.Context(), Decision{Pattern: "a.example", Verdict: Block, By: "a"})
	if !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// A ledger that cannot be used is refused, with what to do about it, and left as it is.
func TestOpenRefuses(t *testing.T) {
	whole := t.TempDir()
	l := open(t, whole, Options{})
	decide(t, l, "block evil.example", "block b.example")
	if _, err := Open(t.Context(), whole, Options{}); !errors.Is(err, dirlock.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(whole, File)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	data, err := os.ReadFile(filepath.Join(whole, File))
	if err != nil {
		t.Fatal(err)
	}
	statement := func(text string) func(path string) {
		return func(path string) {
			db, err := sql.Open("sqlite", path)
			if err == nil {
				_, err = db.Exec(text)
			}
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name, part string
		data       []byte
		change     func(path string)
	}{
		{"text", "no SQLite database", []byte("hello, I am no database at all\n"), nil},
		{"newer", "schema is version 99", data, statement("PRAGMA user_version = 99")},
		{"other program", "another program", nil, statement("CREATE TABLE t (x)")},
		{"half", "malformed", data[:len(data)/2], nil},
		{"zeros", "damaged", append(slices.Clone(data[:4096]), make([]byte, len(data)-4096)...), nil},
		{"empty with a journal", "journal", []byte{}, func(path string) {
			if err := os.WriteFile(path+"-wal", []byte("pages"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, File)
		if test.data != nil {
			if err := os.WriteFile(path, test.data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if test.change != nil {
			test.change(path)
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		l, err := Open(t.Context(), dir, Options{})
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.part) || !strings.Contains(err.Error(), "Try: ") {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.part)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s: the file was changed (%v)", test.name, err)
		}
		if test.name == "empty with a journal" {
			if _, err := os.Stat(path + "-wal"); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestCSV(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	score := .5
	add := func(d Decision) {
		t.Helper()
		d.By, d.At = "=ann", time.Date(2026, 11, 30, 1, 2, 3, 0, time.UTC)
		if _, err := l.Decide(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	add(Decision{Pattern: "*.evil.example", Verdict: Block, Label: "dga", Score: &score, Model: "@m", Version: "-1",
		Note: "=HYPERLINK(\"x\"),\n\u202e"})
	add(Decision{Pattern: "a.example", Verdict: Block})
	add(Decision{Pattern: "a.example", Verdict: Allow, Expires: time.Date(2026, 11, 30, 1, 2, 4, 0, time.UTC)})
	add(Decision{Pattern: "b.example", Verdict: Allow})
	add(Decision{Pattern: "b.example", Verdict: Unsure})
	add(Decision{Pattern: "c.example", Verdict: Block})
	add(Decision{Pattern: "d.example", Verdict: Block, Expires: time.Date(2026, 11, 30, 1, 2, 4, 0, time.UTC)})
	if _, _, err := l.Revoke(t.Context(), 6, "ann"); err != nil {
		t.Fatal(err)
	}
	const head = `domain,label,source,decided_by,decided_at,scope,score,model,model_version,note,revoked
evil.example,dga,console,'=ann,2026-11-30T01:02:03Z,domain,0.500000,'@m,'-1,"'=HYPERLINK(""x""),\n\u202e",
a.example,malicious,console,'=ann,2026-11-30T01:02:03Z,name,,,,,
`
	for all, want := range map[bool]string{false: head, true: head +
		`a.example,benign,console,'=ann,2026-11-30T01:02:03Z,name,,,,,expired
b.example,benign,console,'=ann,2026-11-30T01:02:03Z,name,,,,,superseded
b.example,unsure,console,'=ann,2026-11-30T01:02:03Z,name,,,,,
c.example,malicious,console,'=ann,2026-11-30T01:02:03Z,name,,,,,revoked
d.example,malicious,console,'=ann,2026-11-30T01:02:03Z,name,,,,,expired
`} {
		var b bytes.Buffer
		if err := l.WriteCSV(t.Context(), &b, "console", all); err != nil {
			t.Fatal(err)
		}
		if b.String() != want {
			t.Errorf("got\n%swant\n%s", b.String(), want)
		}
	}
}
