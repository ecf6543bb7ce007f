// Package sqlite reads the query logs that Pi-hole and Technitium keep in SQLite databases. It registers their formats
// with package events. It is apart from package logs since SQLite makes a program several megabytes larger.
package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	driver "modernc.org/sqlite"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/events/logs"
	"github.com/degas-dns/degas/internal/unpack"
)

// database is a format that keeps events in a table or view.
type database struct {
	name, title string
	table       string
	// marks are texts of the schema; a file with one of them is recognised.
	marks []string
	// query gives the rows, in the order of their ids.
	query string
	// clientNames, if not "", adds a client's name to the query where its table, the first name, is there.
	clientNames [2]string
	// set fills in a column of a row. It reports false for a column that is none of an event's fields.
	set func(e *row, column string, value any) bool
	// end settles what depends on several columns.
	end func(e *row)
}

// row is an event as it is read.
type row struct {
	*events.Event
	name []byte // as the database has it
	buf  []byte
}

// register adds a format.
func register(d *database) {
	events.Register(&events.Format{Name: d.name, Title: d.title, Unit: "rows", Sniff: d.sniff, Open: d.open})
}

// sniff looks for the table's name in the schema, which the first pages of a database have as a rule.
func (d *database) sniff(head []byte) (score int, missing string) {
	if !bytes.HasPrefix(head, []byte("SQLite format 3\x00")) {
		return 0, "no SQLite database"
	}
	for _, mark := range d.marks {
		if bytes.Contains(head, []byte(mark)) {
			return 95, ""
		}
	}
	return 1, "" // large schemas may lie elsewhere
}

// Bounds on what a database of a stranger may cost.
const (
	maxValue = 1 << 20     // bytes of a value
	maxHeap  = 64 << 20    // bytes of SQLite's memory, for all databases together
	maxWait  = time.Minute // for a row: a view may take for ever to give one
)

// open opens the file at in.Path.
func (d *database) open(in *events.Source) (events.Reader, error) {
	if _, plain := in.Reader.(*unpack.Plain); !plain || in.Path == "" {
		return nil, errors.New("an SQLite database must be a file that is not packed. Try: unpack it first")
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &reader{database: d, stats: in.Stats, columns: in.Columns, cancel: cancel}
	if err := r.start(ctx, in.Path); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// reader reads the rows.
type reader struct {
	*database
	stats   *events.Stats
	columns bool
	cancel  context.CancelFunc
	db      *sql.DB
	conn    *sql.Conn
	rows    *sql.Rows
	names   []string // of the columns
	values  []any
	targets []any // pointers to values
	line    int64
	buf     []byte
}

// source is the file's name for SQLite. A database that nobody writes to is opened as one that does not change: then
// SQLite needs no lock, and no file beside it.
func source(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	q := url.Values{"mode": {"ro"}, "_pragma": {"query_only(1)", "trusted_schema(0)", "cell_size_check(1)",
		fmt.Sprintf("hard_heap_limit(%d)", maxHeap), "busy_timeout(5000)"}}
	written := slices.ContainsFunc([]string{"-wal", "-journal"}, func(suffix string) bool {
		_, err := os.Stat(path + suffix)
		return err == nil
	})
	if !written {
		q.Set("immutable", "1")
	}
	if path = filepath.ToSlash(path); !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String(), nil
}

func (r *reader) start(ctx context.Context, path string) error {
	name, err := source(path)
	if err != nil {
		return err
	}
	if r.db, err = sql.Open("sqlite", name); err != nil {
		return err
	}
	defer r.limit()()
	if r.conn, err = r.db.Conn(ctx); err != nil {
		return fmt.Errorf("open the SQLite database: %w", err)
	}
	const lengthLimit, attachedLimit = 0, 7 // SQLITE_LIMIT_LENGTH, SQLITE_LIMIT_ATTACHED
	for id, limit := range map[int]int{lengthLimit: maxValue, attachedLimit: 0} {
		if _, err := driver.Limit(r.conn, id, limit); err != nil {
			return err
		}
	}
	query := r.query
	if table := r.clientNames[0]; table != "" && r.has(ctx, table) {
		query = strings.Replace(query, "*", "*, "+r.clientNames[1], 1)
	}
	if r.rows, err = r.conn.QueryContext(ctx, query); err != nil {
		if !r.has(ctx, r.table) {
			return fmt.Errorf("the SQLite database has no %s (%w). Try: another --format", r.table, err)
		}
		return fmt.Errorf("read %s of the SQLite database: %w", r.table, err)
	}
	if r.names, err = r.rows.Columns(); err != nil {
		return err
	}
	r.values, r.targets = make([]any, len(r.names)), make([]any, len(r.names))
	for i := range r.values {
		r.names[i] = strings.ToLower(r.names[i])
		r.targets[i] = &r.values[i]
	}
	return nil
}

// has reports whether the database has a table or view.
func (r *reader) has(ctx context.Context, table string) bool {
	n := 0
	err := r.conn.QueryRowContext(ctx, "SELECT 1 FROM sqlite_master WHERE name = ?", table).Scan(&n)
	return err == nil
}

// limit cancels the query unless what it returns is called within maxWait.
func (r *reader) limit() (stop func()) {
	t := time.AfterFunc(maxWait, r.cancel)
	return func() { t.Stop() }
}

// Next implements events.Reader.
func (r *reader) Next(e *events.Event) error {
	for {
		stop := r.limit()
		more := r.rows.Next()
		stop()
		if !more {
			if err := r.rows.Err(); err != nil {
				return fmt.Errorf("%s, after row %d: %w", r.table, r.line, err)
			}
			return io.EOF
		}
		r.line++
		r.stats.Units++
		if err := r.rows.Scan(r.targets...); err != nil {
			return fmt.Errorf("%s, row %d: %w", r.table, r.line, err)
		}
		switch err := r.event(e).(type) {
		case nil:
			e.Line = r.line
			r.stats.Events++
			return nil
		case events.Skip:
			r.stats.Skip(string(err))
		case events.Refuse:
			r.stats.Refuse(string(err))
		}
	}
}

// event makes an event of the current row.
func (r *reader) event(e *events.Event) (err error) {
	e.Reset()
	row := row{Event: e, buf: r.buf[:0]}
	for i, column := range r.names {
		if !r.set(&row, column, r.values[i]) && r.columns && r.values[i] != nil {
			e.Columns = append(e.Columns, events.Column{Name: column, Value: string(text(r.values[i]))})
		}
	}
	r.end(&row)
	e.Name, err = logs.Name(row.buf, row.name)
	r.buf = row.buf
	return err
}

// Close implements io.Closer.
func (r *reader) Close() (err error) {
	r.cancel()
	if r.rows != nil {
		err = r.rows.Close()
	}
	if r.conn != nil {
		err = errors.Join(err, r.conn.Close())
	}
	if r.db != nil {
		err = errors.Join(err, r.db.Close())
	}
	return err
}

// text is a value as text, nil for NULL.
func text(value any) []byte {
	switch v := value.(type) {
	case string:
		return []byte(v)
	case []byte:
		return v
	case int64:
		return strconv.AppendInt(nil, v, 10)
	case float64:
		return strconv.AppendFloat(nil, v, 'f', -1, 64)
	case time.Time: // the driver reads columns that are declared as DATETIME
		return v.AppendFormat(nil, time.RFC3339Nano)
	case bool:
		return strconv.AppendBool(nil, v)
	}
	return nil
}

// number is a value as a number from 0 on; ok is false if it is none.
func number(value any) (n uint64, ok bool) {
	n, err := strconv.ParseUint(string(text(value)), 10, 64)
	return n, err == nil
}
