package sqlite

import (
	"bytes"
	"database/sql"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/events/eventstest"
)

var update = flag.Bool("update", false, "write the golden files of testdata")

// build makes a database of SQL.
func build(t testing.TB, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "a # b?.db")
	db, err := sql.Open("sqlite", strings.NewReplacer("#", "%23", "?", "%3f").Replace("file:"+filepath.ToSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(text); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFixtures(t *testing.T) {
	for name, format := range map[string]string{"pihole.sql": "pihole-ftl", "technitium.sql": "technitium"} {
		path := build(t, read(t, name))
		f, err := events.Open(t.Context(), path, events.Options{Columns: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := eventstest.List(f, &f.Stats)
		if err != io.EOF || f.Format.Name != format {
			t.Errorf("%s: %s, %v", name, f.Format.Name, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		golden := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want := read(t, name+".golden"); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
		beside, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(beside) != 1 {
			t.Errorf("%s: reading left files: %v (%v)", name, beside, err)
		}
	}
}

// A database that its server still writes to is read with what is in the write-ahead log.
func TestDatabaseInUse(t *testing.T) {
	path := build(t, "PRAGMA journal_mode=WAL; "+read(t, "technitium.sql"))
	db, err := sql.Open("sqlite", strings.NewReplacer("#", "%23", "?", "%3f").Replace("file:"+filepath.ToSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.Exec(`INSERT INTO dns_logs SELECT 100, timestamp, client_ip, 0, 1, 0, 'new.example', 1, 1, NULL
		FROM dns_logs LIMIT 1`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	f, err := events.Open(t.Context(), path, events.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := eventstest.List(f, &f.Stats); err != io.EOF || !strings.Contains(got, "new.example") {
		t.Errorf("%s (%v)", got, err)
	}
}

// Databases of strangers end with an error, or are read within bounds.
func TestHostileDatabases(t *testing.T) {
	for _, test := range []struct{ name, sql, format, err string }{
		{"another database", "CREATE TABLE a (b)", "", "no queries"},
		{"wrong format", read(t, "technitium.sql"), "pihole-ftl", "no queries"},
		{"view of nothing", "CREATE VIEW queries AS SELECT * FROM missing", "", "queries"},
		{"other columns", "CREATE TABLE queries (a, b); INSERT INTO queries VALUES (1, 2)", "", ""},
		{"large values", "CREATE TABLE dns_logs (qname); INSERT INTO dns_logs VALUES (zeroblob(2000000))", "", "too big"},
		{"a view that grows", "CREATE VIEW dns_logs AS WITH RECURSIVE a(b) AS (SELECT 'x' UNION ALL SELECT b || b FROM a) " +
			"SELECT b AS qname FROM a", "", "too big"},
		{"a view that sorts without end", "CREATE VIEW dns_logs AS WITH RECURSIVE a(b) AS " +
			"(SELECT 1 UNION SELECT b + 1 FROM a LIMIT 300) SELECT a.b || zeroblob(100000) AS qname FROM a " +
			"ORDER BY random()", "", ""},
	} {
		f, err := events.Open(t.Context(), build(t, test.sql), events.Options{Format: test.format}, nil)
		got := ""
		if err == nil {
			got, err = eventstest.List(f, &f.Stats)
			f.Close()
		}
		if test.err == "" && (err == io.EOF || err != nil) {
			continue
		}
		if err == nil || err == io.EOF || !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %v, want an error with %q; got %.200s", test.name, err, test.err, got)
		}
	}
	data, err := os.ReadFile(build(t, read(t, "pihole.sql")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := events.NewFile(bytes.NewReader(data), "a.db", events.Options{}); err == nil {
		t.Error("a stream is read")
	}
}

func FuzzSQLite(f *testing.F) {
	for _, name := range []string{"pihole.sql", "technitium.sql"} {
		data, err := os.ReadFile(build(f, "PRAGMA page_size=512; "+read(f, name)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	path := filepath.Join(f.TempDir(), "fuzz.db")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := events.Open(t.Context(), path, events.Options{Columns: true}, nil)
		if err != nil {
			return
		}
		defer file.Close()
		for range 1000 {
			var e events.Event
			if file.Next(&e) != nil {
				break
			}
		}
	})
}
