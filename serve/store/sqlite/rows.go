package sqlite

import (
	"database/sql"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/serve/store"
)

const (
	numColumns = 16
	// many rows go into one statement, which halves the work for each.
	many = 100
	list = `id, name, domain, client, type, rcode, transport, verdict, action, rule, score, class, reason, entry, model,
	sample`
)

// firstID is the least id of a time; rows of a time have ids up to the next millisecond's.
func firstID(t time.Time) int64 {
	const last = 1 << (62 - idBits)
	ms := t.Add(time.Millisecond - time.Nanosecond).UnixMilli()
	return max(0, min(ms, last)) << idBits
}

// idOf is the id of an event. Rows of one table with one time need different numbers.
func idOf(e *store.Event, number int64) int64 {
	return e.Time.UnixMilli()<<idBits | number&(1<<idBits-1)
}

// values appends a row's values to args.
func values(args []any, id int64, e *store.Event) []any {
	var class any
	if e.Class != e.Verdict.String() {
		class = e.Class
	}
	return append(args, id, e.Name, e.Domain, e.Client, int64(e.Type), int64(e.RCode), int64(e.Transport),
		int64(e.Verdict), int64(e.Action), int64(e.Rule), e.Score, class, orNull(e.Reason), orNull(e.Entry),
		orNull(e.Model), int64(e.Sample))
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// inserts is a statement that inserts n rows.
func inserts(n int) string {
	row := "(" + strings.Repeat("?,", numColumns-1) + "?)"
	return "INSERT INTO event (" + list + ") VALUES " + strings.Repeat(row+",", n-1) + row
}

// scan reads a row of the columns of list.
func scan(rows *sql.Rows) (id int64, e store.Event, err error) {
	var class, reason, entry, model sql.NullString
	var typ, rcode, transport, verdict, action, rule int64
	err = rows.Scan(&id, &e.Name, &e.Domain, &e.Client, &typ, &rcode, &transport, &verdict, &action, &rule, &e.Score,
		&class, &reason, &entry, &model, &e.Sample)
	e.Time = time.UnixMilli(id >> idBits).UTC()
	e.Type, e.RCode, e.Transport = events.Type(typ), events.RCode(rcode), events.Transport(transport)
	e.Verdict, e.Action, e.Rule = detect.Verdict(verdict), detect.Action(action), detect.Rule(rule)
	e.Reason, e.Entry, e.Model = reason.String, entry.String, model.String
	if e.Class = class.String; !class.Valid {
		e.Class = e.Verdict.String()
	}
	return id, e, err
}
