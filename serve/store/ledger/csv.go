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
	rows, err := l.read.QueryContext(ctx, selectDecisions+" ORDER BY d.id", milli(time.Now()))
	err = each(rows, err, func() error {
		var d Decision
		if err := d.scan(rows); err != nil {
			return err
		}
		if !all && (d.State != InForce || d.Verdict == Unsure) {
			return nil
		}
		return out.Write(d.row(source))
	})
	if err == nil {
		out.Flush()
		err = out.Error()
	}
	if err != nil {
		return fmt.Errorf("write decisions as CSV: %w", err)
	}
	return nil
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
