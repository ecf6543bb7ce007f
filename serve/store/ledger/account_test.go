package ledger

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// A ledger of each earlier version is brought to the newest one, and keeps what it has.
func TestMigrate(t *testing.T) {
	names, err := migrations.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	for version := 1; version < len(names); version++ {
		dir := t.TempDir()
		db, err := sql.Open("sqlite", filepath.Join(dir, File))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names[:version] {
			step, err := migrations.ReadFile("migrations/" + name.Name())
			if err == nil {
				_, err = db.Exec(string(step))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		_, err = db.Exec(fmt.Sprintf(`PRAGMA user_version = %d; PRAGMA application_id = %d;
			INSERT INTO decision (pattern, verdict, label, by, at, note, model, version)
				VALUES ('evil.example', 'block', 'dga', 'ann', 1, '', '', '');
			INSERT INTO audit (at, who, what, about) VALUES (1, 'ann', 'decide', '1: block evil.example')`, version,
			application))
		if err = errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time there is nothing to do
			l, err := Open(t.Context(), dir, Options{})
			if err != nil {
				t.Fatalf("version %d: %v", version, err)
			}
			if got := inForce(l, time.Now()); got != " | evil.example" {
				t.Errorf("version %d: in force: %s", version, got)
			}
			if all, err := l.Audits(t.Context(), "ann", 0, 0); err != nil || len(all) != 1 {
				t.Errorf("version %d: %+v, %v", version, all, err)
			}
			if all, err := l.People(t.Context()); err != nil || len(all) != 0 {
				t.Errorf("version %d: %+v, %v", version, all, err)
			}
			now := 0
			if err := l.read.QueryRow("PRAGMA user_version").Scan(&now); err != nil || now != len(names) {
				t.Errorf("version %d became %d, %v", version, now, err)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// count is how many rows a table has.
func count(t *testing.T, l *Ledger, table string) (n int) {
	t.Helper()
	if err := l.read.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// With a person goes all that is the person's, and nothing else.
func TestRemovePerson(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	ctx, now := t.Context(), time.Now()
	decide(t, l, "block evil.example")
	for i, name := range []string{"ann", "bob"} {
		p := Person{Key: name, Name: name, Role: "admin"}
		err := l.Invite(ctx, now, "x", p, Sum{byte(i)}, now.Add(time.Hour), 5)
		if err == nil {
			p, err = l.Accept(ctx, now, Sum{byte(i)}, "hash", "192.0.2.7")
		}
		if err == nil {
			_, err = l.StartSession(ctx, Session{Person: p, Started: now}, Sum{byte(i)}, "192.0.2.8", "hash", 3)
		}
		if err == nil {
			err = l.Invite(ctx, now, "x", p, Sum{byte(10 + i)}, now.Add(time.Hour), 5)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, people, invitations, sessions, places int) {
		t.Helper()
		for table, want := range map[string]int{"person": people, "invitation": invitations, "session": sessions,
			"place": places, "decision": 1} {
			if n := count(t, l, table); n != want {
				t.Errorf("%s: %d rows of table %s, want %d", what, n, table, want)
			}
		}
	}
	check("at first", 2, 2, 2, 4)
	if err := l.RemovePerson(ctx, now, "bob", "ann"); err != nil {
		t.Fatal(err)
	}
	check("without ann", 1, 1, 1, 2)
	if err := l.RemovePerson(ctx, now, "bob", "bob"); !errors.Is(err, ErrLastAdmin) {
		t.Error(err)
	}
	early, late := now.Add(-time.Minute), now.Add(time.Hour)
	if err := l.TidyAccounts(ctx, early, early, now, now); err != nil {
		t.Fatal(err)
	}
	check("tidied too early", 1, 1, 1, 2)
	if err := l.TidyAccounts(ctx, late, early, late, late); err != nil {
		t.Fatal(err)
	}
	check("tidied", 1, 0, 0, 0)
	carl := Person{Key: "carl", Name: "carl", Role: "viewer"}
	if err := l.Invite(ctx, now, "x", carl, Sum{19}, late, 5); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(ctx, late, Sum{19}, "hash", ""); !errors.Is(err, ErrOver) {
		t.Errorf("a link that expired while the password was hashed: %v", err)
	}
	if err := l.RemovePerson(ctx, now, "bob", "carl"); err != nil {
		t.Fatal(err)
	}
	p := Person{Key: "carl", Name: "carl", Role: "root"}
	if err := l.Invite(ctx, now, "x", p, Sum{20}, late, 5); err == nil {
		t.Error("the database takes a role that is none")
	}
	check("a role that is none", 1, 0, 0, 0)
}

// Places and sessions of one person are bounded: the last ones stay.
func TestAccountBounds(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	ctx, now := t.Context(), time.Now()
	p, err := l.FirstPerson(ctx, now, Person{Key: "ann", Name: "Ann", Role: "admin", Hash: "hash"}, "first")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.FirstPerson(ctx, now, Person{Key: "eve", Name: "eve", Role: "admin", Hash: "x"}, ""); !errors.Is(err,
		ErrOver) {
		t.Error(err)
	}
	for i := range mostPlaces + 5 {
		at := now.Add(time.Duration(i+1) * time.Second)
		s := Session{Person: p, Started: at}
		if _, err := l.StartSession(ctx, s, Sum{byte(i)}, fmt.Sprint("network ", i), "hash", 3); err != nil {
			t.Fatal(err)
		}
	}
	all, err := l.Sessions(ctx)
	if err != nil || len(all) != 3 || all[0].ID != mostPlaces+5 || all[2].ID != mostPlaces+3 {
		t.Errorf("%+v, %v", all, err)
	}
	for network, want := range map[string]bool{"first": false, "network 4": false, "network 5": true, "network 24": true} {
		if known, err := l.Knows(ctx, p.ID, network, now); known != want || err != nil {
			t.Errorf("%s is known: %v, %v", network, known, err)
		}
	}
	if known, err := l.Knows(ctx, p.ID, "network 24", now.Add(time.Hour)); known || err != nil {
		t.Errorf("a place of long ago is known: %v", err)
	}
	later := all[0].Used.Add(time.Hour)
	for _, at := range []time.Time{later, later.Add(time.Second)} { // two requests that read the same row
		if err := l.UseSession(ctx, at, all[0]); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := l.Session(ctx, Sum{mostPlaces + 4}); err != nil || s.Used.UnixMilli() != later.UnixMilli() ||
		s.Person.Seen.UnixMilli() != later.UnixMilli() {
		t.Errorf("%+v, %v", s, err)
	}
}
