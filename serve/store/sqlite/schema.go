package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	driver "modernc.org/sqlite"
)

const (
	mainFile = "degas.db"
	// schemaVersion is that of degas.db and of the segments.
	schemaVersion = 1
)

// columns are those of a row of an event. An id is the time in milliseconds shifted by idBits, and a number that makes
// it unique: so rows stand in order of time without an index.
const columns = `id INTEGER PRIMARY KEY, name TEXT NOT NULL, domain TEXT NOT NULL, client TEXT NOT NULL,
	type INTEGER NOT NULL, rcode INTEGER NOT NULL, transport INTEGER NOT NULL, verdict INTEGER NOT NULL,
	action INTEGER NOT NULL, rule INTEGER NOT NULL, score REAL NOT NULL, class TEXT, reason TEXT, entry TEXT,
	model TEXT, sample INTEGER NOT NULL`

const idBits = 20

// mainSchema: step is a store.Step, slot its start in Unix seconds, kind a store.Kind. Lists and sketches are as
// package tally writes them; open has the running minutes, which are in no other table yet. level says how a flagged
// row was collapsed: 0 not at all, 1 to domain, client and verdict, 2 to client and verdict, 3 to the verdict.
const mainSchema = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE count (step INTEGER, slot INTEGER, verdict INTEGER, action INTEGER, type INTEGER, rcode INTEGER,
	n INTEGER NOT NULL, score REAL NOT NULL, PRIMARY KEY (step, slot, verdict, action, type, rcode)) WITHOUT ROWID;
CREATE TABLE top (step INTEGER, kind INTEGER, flagged INTEGER, slot INTEGER, list BLOB NOT NULL,
	PRIMARY KEY (step, kind, flagged, slot));
CREATE TABLE sketch (step INTEGER, kind INTEGER, slot INTEGER, sketch BLOB NOT NULL, PRIMARY KEY (step, kind, slot));
CREATE TABLE open (slot INTEGER PRIMARY KEY, part BLOB NOT NULL);
CREATE TABLE flagged (` + columns + `, level INTEGER NOT NULL);
CREATE INDEX flagged_domain ON flagged (domain);
INSERT INTO meta VALUES ('schema_version', 1), ('flagged_rows_made', 0);`

const segmentSchema = `CREATE TABLE IF NOT EXISTS event (` + columns + `); PRAGMA user_version = 1;`

// connect opens a database file. A reader's may not write.
func connect(path string, write bool) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	pragmas := []string{"busy_timeout(5000)", "trusted_schema(0)", "cell_size_check(1)"}
	mode, connections := "rw", 4
	if write {
		pragmas = append(pragmas, "journal_mode(WAL)", "synchronous(NORMAL)", "journal_size_limit(4194304)")
		mode, connections = "rwc", 1
	} else {
		pragmas = append(pragmas, "query_only(1)")
	}
	if path = filepath.ToSlash(path); !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive of Windows
	}
	name := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"mode": {mode}, "_pragma": pragmas}.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(1)
	return db, nil
}

// openMain opens degas.db for the writer and for readers.
func openMain(dir string) (write, read *sql.DB, err error) {
	path := filepath.Join(dir, mainFile)
	if write, err = connect(path, true); err != nil {
		return nil, nil, err
	}
	if err = prepareMain(write); err == nil {
		read, err = connect(path, false)
	}
	if err != nil {
		return nil, nil, errors.Join(explain(path, err), write.Close())
	}
	return write, read, nil
}

// prepareMain checks the schema, or makes it in a new file.
func prepareMain(db *sql.DB) error {
	var tables int
	if err := db.QueryRow(`SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return err
	}
	if tables == 0 {
		return transact(db, func(tx *sql.Tx) error {
			_, err := tx.Exec(mainSchema)
			return err
		})
	}
	var version int
	err := db.QueryRow(`SELECT value FROM meta WHERE key = 'schema_version'`).Scan(&version)
	if corrupt(err) {
		return err
	} else if err != nil {
		return errForeign
	}
	return checkVersion(version)
}

var errForeign = errors.New("a database of another program. Try: another folder")

func checkVersion(version int) error {
	if version > schemaVersion {
		return fmt.Errorf("made by a newer degas: its schema has version %d, this degas knows %d. Try: a newer degas, "+
			"or another folder", version, schemaVersion)
	}
	return nil
}

// transact runs do in a transaction, which is undone after an error.
func transact(db *sql.DB, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		tx.Rollback() //nolint:errcheck // the first error is the one to tell
		return err
	}
	return tx.Commit()
}

// Result codes of SQLite.
const (
	codeBusy, codeReadonly, codeFull, codeCorrupt, codeCantOpen, codeNotADB = 5, 8, 13, 11, 14, 26
)

func code(err error) int {
	var e *driver.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

func corrupt(err error) bool { return code(err) == codeCorrupt || code(err) == codeNotADB }

// explain says which file an error is about, and what to do next.
func explain(path string, err error) error {
	next := ""
	switch code(err) {
	case codeCorrupt, codeNotADB:
		next = ". The file is damaged; nothing was changed. Try: move it away, or copy it back from a backup. " +
			"Other files of the folder stay good"
	case codeFull:
		next = ". Try: make room on the disk; degas goes on by itself"
	case codeReadonly, codeCantOpen:
		next = ". Try: let the user that degas runs as write to the folder"
	case codeBusy:
		next = ". Try: end the program that works on the file"
	}
	return fmt.Errorf("event store %s: %w%s", path, err, next)
}

// size is how many bytes the file at path takes, with what SQLite keeps beside it.
func size(path string) (sum int64, err error) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err == nil {
			sum += info.Size()
		} else if !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	return sum, nil
}
