package ledger

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/degas-dns/degas/internal/printable"
)

// columns of the CSV.
var columns = strings.Fields("domain label source decided_by decided_at scope score model model_version note revoked")

// WriteCSV writes decisions, oldest first, for process-data to train on: those in force that say what the names are.
// With all, it writes every decision; then revoked says what became of it: "revoked", "superseded" or "expired".
//
// The label is that of the decision. Without one, what was allowed is "benign", what was blocked "malicious", and the
// rest "unsure", which is no class. source is the same in every row. A cell that a spreadsheet would take for a formula
// has a quotation mark before it, and what a terminal would obey is escaped.
func (l *Ledger) WriteCSV(ctx context.Context, w io.Writer, source string, all bool) error {
	out := csv.NewWriter(w)
	err := out.Write(columns)
	if err != nil {
		return err
	}
	now := milli(time.Now())
	for last := int64(0); err == nil; {
		var page []Decision
		if page, err = l.after(ctx, last, now); err != nil || len(page) == 0 {
			break
		}
		last = page[len(page)-1].ID
		for i := range page {
			d := &page[i]
			if all || d.State == InForce && d.Verdict != Unsure {
				_ = out.Write(d.row(source)) // its error is kept for Error
			}
		}
		out.Flush()
		err = out.Error()
	}
	if err == nil {
		out.Flush()
		err = out.Error()
	}
	if err != nil {
		return fmt.Errorf("write decisions as CSV: %w", err)
	}
	return nil
}

// after is a page of decisions, oldest first. Nothing stays open while w is written to: a client that reads slowly
// would keep the few connections to the database, which everybody's log-in needs.
func (l *Ledger) after(ctx context.Context, id, now int64) (page []Decision, err error) {
	rows, err := l.read.QueryContext(ctx, selectDecisions+" WHERE d.id > ?2 ORDER BY d.id LIMIT ?3", now, id, MostPage)
	err = each(rows, err, func() error {
		var d Decision
		err := d.scan(rows)
		page = append(page, d)
		return err
	})
	return page, err
}

// row is a decision as a row of the CSV.
func (d *Decision) row(source string) []string {
	label, score, mark := d.Label, "", ""
	switch {
	case d.Verdict == Unsure:
		label = string(Unsure)
	case label != "":
	case d.Verdict == Allow:
		label = "benign"
	default:
		label = "malicious"
	}
	if d.Score != nil {
		score = strconv.FormatFloat(*d.Score, 'f', 6, 64)
	}
	if d.State != InForce {
		mark = string(d.State)
	}
	cells := []string{strings.TrimPrefix(d.Pattern, "*."), label, source, d.By, d.At.Format(time.RFC3339), string(d.Scope),
		score, d.Model, d.Version, d.Note, mark}
	for i, cell := range cells {
		cells[i] = printable.Cell(cell)
	}
	return cells
}
