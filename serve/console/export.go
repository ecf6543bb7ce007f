package console

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/store"
)

// Bounds of exports.
const (
	mostExported = 100_000 // rows
	exportTime   = 5 * time.Minute
	mostExports  = 2 // at once
	writeTime    = 30 * time.Second
)

var exportColumns = []string{"time", "name", "registered_domain", "client", "type", "rcode", "transport", "verdict",
	"action", "rule", "score", "class", "reason", "entry", "model", "sample"}

// cells are an event for a spreadsheet: no cell is a formula.
func cells(e *store.Event) []string {
	x, score := e.JSON(), ""
	if x.Score != nil {
		score = strconv.FormatFloat(*x.Score, 'g', 6, 64)
	}
	all := []string{x.Time.Format("2006-01-02T15:04:05.000Z"), x.Name, x.Domain, x.Client, x.Type, x.RCode, x.Transport,
		x.Verdict, x.Action, x.Rule, score,
		x.Class, x.Reason, x.Entry, x.Model, strconv.Itoa(max(1, x.Sample))}
	for i := range all {
		all[i] = printable.Cell(all[i])
	}
	return all
}

// exportNote is the last line of an export that is not all.
var exportNote = fmt.Sprintf("There are more events than the %s that a file may have. Choose a shorter time.",
	printable.Grouped(mostExported))

// exportCSV answers GET /console/history.csv.
func (c *Console) exportCSV(v *visit) (*view, error) {
	start := func(w io.Writer) (func(*store.Event), func(note string) error) {
		out := csv.NewWriter(w)
		_ = out.Write(exportColumns) // its error is kept for Error
		return func(e *store.Event) { _ = out.Write(cells(e)) }, func(note string) error {
			if note != "" {
				_ = out.Write(append([]string{note}, make([]string, len(exportColumns)-1)...))
			}
			out.Flush()
			return out.Error()
		}
	}
	return nil, c.export(v, "csv", "text/csv; charset=utf-8", start)
}

// exportJSON answers GET /console/history.jsonl.
func (c *Console) exportJSON(v *visit) (*view, error) {
	return nil, c.export(v, "jsonl", "application/jsonl", func(w io.Writer) (func(*store.Event), func(note string) error) {
		out := json.NewEncoder(printable.JSONWriter(w))
		var failed error
		put := func(value any) {
			if failed == nil {
				failed = out.Encode(value)
			}
		}
		return func(e *store.Event) { put(e.JSON()) }, func(note string) error {
			if note != "" {
				put(map[string]string{"note": note})
			}
			return failed
		}
	})
}

// export sends the events of a filter, newest first. An answer that is cut off is no file: the connection breaks.
func (c *Console) export(v *visit, kind, contentType string,
	open func(io.Writer) (put func(*store.Event), flush func(note string) error)) error {
	p, err := readPeriod(v.q, time.Now())
	if err != nil {
		return err
	}
	f, err := readFilter(v.q)
	if err != nil {
		return err
	}
	select {
	case c.exports <- struct{}{}:
		defer func() { <-c.exports }()
	default:
		return reply.Busy("Others are exporting: try again in a minute")
	}
	if v.r.Method == http.MethodHead {
		return nil
	}
	ctx, cancel := context.WithTimeout(v.ctx(), exportTime)
	defer cancel()
	about := historyLink("events."+kind, v.q, "range", "", "from", p.FromText(), "to", p.ToText())
	if err := c.o.Ledger.Audit(ctx, v.by(), "export", about); err != nil {
		return err
	}
	var page store.Page
	if page, err = c.o.Store.Events(ctx, p.of(), f.Filter, "", chunk); err != nil { // before anything is sent
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", `attachment; filename="degas-events-`+p.From.Format("20060102T1504")+"-"+
		p.To.Format("20060102T1504")+"."+kind+`"`)
	control := http.NewResponseController(v.w)
	put, flush := open(v.w)
	for sent := 0; ; {
		_ = control.SetWriteDeadline(time.Now().Add(writeTime)) // a writer without deadlines is a test's
		for i := range page.Events {
			if !f.keeps(&page.Events[i]) {
				continue
			}
			if sent++; sent > mostExported {
				return cutOff(flush(exportNote))
			}
			put(&page.Events[i])
		}
		if err := flush(""); err != nil || page.Next == "" {
			return cutOff(err)
		}
		if page, err = c.o.Store.Events(ctx, p.of(), f.Filter, page.Next, chunk); err != nil {
			c.log.Error("console: an export was cut off", "error", err)
			return cutOff(err)
		}
	}
}

// cutOff breaks the connection after an error, so that nobody takes a half for all.
func cutOff(err error) error {
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}
