// Package ledger keeps what people decide: decisions about names, findings that wait for somebody, mutes, a baseline,
// and who did what. It also has the accounts of those people, for package accounts. A ledger is one small SQLite
// database in a folder of its own. It is what to back up: everything else that degas keeps can be counted or learned
// again.
//
// # What is promised
//
// A method that changes something returns once the change is on the disk (synchronous=FULL). A decision is never
// changed and never deleted: the database itself refuses that. It can be revoked once, and a later decision about the
// same pattern takes its place.
//
// # What is in force
//
// Of the decisions about one pattern, the newest one that is neither revoked nor expired is in force. So revoking a
// decision brings back the one before it, as an undo does, and a block comes back when an allow for an hour is over. A
// decision "unsure" takes the pattern off both lists.
//
// # Secrets
//
// Of passwords there are only argon2id hashes, of cookies and links only SHA-256 hashes. A backup has them too, so only
// its owner should read it.
//
// # What is not here
//
// The state of a watch stays in the file of detect/stream. It has megabytes, is written twice a minute, and half a
// minute of evidence is all that is lost with it. Here it would make the file grow that has to be backed up, and a
// decision would wait for its disk.
package ledger

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/degas-dns/degas/detect/notify"
	"github.com/degas-dns/degas/internal/dirlock"
	"github.com/degas-dns/degas/internal/userfile"
)

// Options of Open.
type Options struct {
	// MostInForce bounds the decisions that are kept in memory: those that are neither revoked nor expired. 0 is a
	// million, which takes some 150 MB.
	MostInForce int
	// MostFindings bounds findings. Beyond them, the oldest closed one goes, then the oldest. 0 is 10,000.
	MostFindings int
	// AuditFor is how long lines of the audit are kept. 0 is two years.
	AuditFor time.Duration
	// Log gets what is wrong with old entries. nil discards it.
	Log *slog.Logger
}

// Ledger is an open ledger. Its methods are safe for concurrent use.
type Ledger struct {
	o      Options
	path   string
	write  *sql.DB // one connection
	read   *sql.DB // cannot write
	unlock func()

	// writing is held from the beginning of a change until memory has it too.
	writing sync.Mutex
	closed  bool // guarded by writing
	force   force
	mutes   *notify.Mutes
}

// Errors of methods.
var (
	ErrClosed   = errors.New("the ledger is closed")
	ErrNotFound = errors.New("there is no such entry")
	ErrOver     = errors.New("it is over already") // a decision revoked, a mute ended, a finding closed
	ErrFull     = errors.New("too many decisions are in force")
	ErrDisk     = errors.New("the ledger cannot be written to. Try: look for room on its disk")
	// ErrInput is in the error of everything that a caller has to write differently.
	ErrInput = errors.New("not possible")
)

// File is the name of the database in its folder.
const File = "ledger.db"

// Bounds of a page.
const (
	DefaultPage = 100
	MostPage    = 1000
)

// Open opens the ledger in the folder dir, and makes both if they are not there. The error wraps dirlock.ErrLocked if
// another process has it. A file that is damaged, or of a newer degas, is an error, and stays as it is.
func Open(ctx context.Context, dir string, o Options) (*Ledger, error) {
	o.MostInForce, o.MostFindings = cmp.Or(o.MostInForce, 1_000_000), cmp.Or(o.MostFindings, 10_000)
	o.AuditFor = cmp.Or(o.AuditFor, 2*365*24*time.Hour)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Ledger{o: o, path: filepath.Join(dir, File), mutes: notify.NewMutes()}
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		l.unlock, err = dirlock.LockInside(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	if err := l.open(ctx); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("open the ledger %s: %w", l.path, err)
	}
	return l, nil
}

func (l *Ledger) open(ctx context.Context) error {
	if err := l.prepare(); err != nil {
		return err
	}
	var err error
	var version int
	if l.read, err = l.connect("ro", 4, "query_only(1)"); err == nil {
		version, err = l.check(ctx)
	}
	if err == nil { // only now, since it writes
		l.write, err = l.connect("rw", 1, "journal_mode(WAL)", "synchronous(FULL)", "journal_size_limit(4194304)",
			"foreign_keys(1)")
	}
	if err == nil {
		err = l.migrate(ctx, version)
	}
	if err != nil {
		return err
	}
	if err := l.load(ctx); err != nil {
		return fmt.Errorf("read the decisions: %w", err)
	}
	if err := l.loadMutes(ctx); err != nil {
		return fmt.Errorf("read the mutes: %w", err)
	}
	return nil
}

// restore is what to do about a file that is damaged.
const restore = "Nothing was changed. Try: move the folder away, and put a backup in its place"

// prepare makes the file, which only its owner may read, and refuses one that SQLite would take for a new database.
func (l *Ledger) prepare() error {
	const magic = "SQLite format 3\x00"
	head, err := l.head(len(magic))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(head) == 0 { // SQLite would remove the journal of an empty database
		if info, err := os.Stat(l.path + "-wal"); err == nil && info.Size() > 0 {
			return fmt.Errorf("it is empty or gone, but its journal %s-wal is there. %s", File, restore)
		}
		f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		return f.Close()
	}
	if !bytes.Equal(head, []byte(magic)) {
		return fmt.Errorf("it is no SQLite database. %s", restore)
	}
	return nil
}

func (l *Ledger) head(n int) ([]byte, error) {
	f, err := userfile.Open(l.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(n)))
}

func (l *Ledger) connect(mode string, most int, pragmas ...string) (*sql.DB, error) {
	path, err := filepath.Abs(l.path)
	if err != nil {
		return nil, err
	}
	if path = filepath.ToSlash(path); !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	q := url.Values{"mode": {mode}, "_txlock": {"immediate"}, "_defensive": {"1"},
		"_pragma": append([]string{"busy_timeout(5000)", "trusted_schema(0)", "cell_size_check(1)"}, pragmas...)}
	if mode == "ro" {
		q.Del("_txlock")
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db, nil
}

//go:embed migrations/*.sql
var migrations embed.FS

const steps = "migrations/*.sql" // in their order

// application marks the file as a ledger: "degL", as SQLite's application_id.
const application = 0x6465674c

// check is an error if the file is no ledger, of a newer version, or damaged. It reads all of the file, which is small,
// before somebody relies on it. The version is the number of migrations that were done.
func (l *Ledger) check(ctx context.Context) (version int, err error) {
	var owner, tables int
	err = l.read.QueryRowContext(ctx, `SELECT user_version, application_id, (SELECT count(*) FROM sqlite_master)
		FROM pragma_user_version, pragma_application_id`).Scan(&version, &owner, &tables)
	var said string
	if err == nil {
		err = l.read.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&said)
	}
	if err == nil && said != "ok" {
		err = errors.New(said)
	}
	known, globErr := fs.Glob(migrations, steps)
	switch {
	case err != nil:
		return 0, fmt.Errorf("it is damaged (%w). %s", err, restore)
	case owner != application && (owner != 0 || version != 0 || tables > 0):
		return 0, errors.New("it is a database of another program. Nothing was changed. Try: another folder")
	case version > len(known):
		return 0, fmt.Errorf("its schema is version %d, and this degas knows %d. Nothing was changed. Try: the newer degas "+
			"that wrote it", version, len(known))
	}
	return version, globErr
}

// migrate brings the schema from a version to the newest one, each step in a transaction of its own.
func (l *Ledger) migrate(ctx context.Context, version int) error {
	names, err := fs.Glob(migrations, steps)
	if err != nil {
		return err
	}
	for i, name := range names[version:] {
		to := version + i + 1
		step, err := migrations.ReadFile(name)
		if err == nil {
			err = l.change(ctx, func(tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, fmt.Sprintf("%s;\nPRAGMA user_version = %d;\nPRAGMA application_id = %d", step, to,
					application))
				return err
			})
		}
		if err != nil {
			return fmt.Errorf("bring its schema to version %d: %w", to, err)
		}
	}
	return nil
}

// change runs a transaction. Once it returns nil, the change is on the disk.
func (l *Ledger) change(ctx context.Context, f func(tx *sql.Tx) error) error {
	if l.closed {
		return ErrClosed
	}
	tx, err := l.write.BeginTx(ctx, nil)
	if err != nil {
		return onDisk(err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if err := f(tx); err != nil {
		return onDisk(err)
	}
	return onDisk(tx.Commit())
}

// onDisk makes an ErrDisk of an error of SQLite that says that the disk is full or fails.
func onDisk(err error) error {
	var failed *sqlite.Error
	if errors.As(err, &failed) {
		switch failed.Code() & 0xff {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
			return fmt.Errorf("%w: %w", ErrDisk, err)
		}
	}
	return err
}

// Tidy forgets lines of the audit that are too old, and shortens the journal. Call it once an hour or so.
func (l *Ledger) Tidy(ctx context.Context, now time.Time) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	err := l.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM audit WHERE at < ?", milli(now.Add(-l.o.AuditFor)))
		return err
	})
	if err == nil {
		_, err = l.write.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	}
	if err != nil {
		return fmt.Errorf("tidy the ledger: %w", err)
	}
	return nil
}

// Backup writes a copy to a new file at path, while others go on. Put it into an empty folder as File to open it. A
// copy of the open ledger's file alone would lack what is in its journal.
func (l *Ledger) Backup(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fmt.Errorf("back up the ledger: %w", err)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if err = ErrClosed; !l.closed {
		_, err = l.write.ExecContext(ctx, "VACUUM INTO ?", path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("back up the ledger to %s: %w", path, err), os.Remove(path))
	}
	return nil
}

// Close ends all calls of Wait, and frees the folder.
func (l *Ledger) Close() (err error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	l.force.end()
	for _, db := range []*sql.DB{l.read, l.write} { // the last one to close empties the journal
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	if l.unlock != nil {
		l.unlock()
	}
	return err
}

func milli(t time.Time) int64 { return t.UnixMilli() }

// orNull is a time for the database: NULL, with an Int64 of 0, for the zero time.
func orNull(t time.Time) (ms sql.NullInt64) {
	if !t.IsZero() {
		ms = sql.NullInt64{Int64: t.UnixMilli(), Valid: true}
	}
	return ms
}

// when is a time of the database.
func when(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

// page is how many rows a caller gets.
func page(n int) int {
	if n <= 0 {
		return DefaultPage
	}
	return min(n, MostPage)
}
