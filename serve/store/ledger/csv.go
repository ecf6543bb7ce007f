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

// stateInCSV is a decision's state for training. Of those about a pattern, one at most is not superseded: the one in
// force, or the newest if all have expired.
var stateInCSV = `CASE WHEN d.revoked_at IS NOT NULL THEN 'revoked' WHEN ` + laterIs(active("n")) + ` THEN 'superseded'
	WHEN ` + active("d") + ` THEN 'in force' WHEN EXISTS (SELECT 1 FROM decision n WHERE n.pattern = d.pattern AND
	n.id <> d.id AND n.revoked_at IS NULL AND (n.id > d.id OR ` + active("n") + `)) THEN 'superseded' ELSE 'expired' END`

// columns of the CSV.
var columns = strings.Fields("domain label source decided_by decided_at scope score model model_version note revoked")

// WriteCSV writes all decisions, oldest first, for process-data to train on.
//
// The label is that of the decision. Without one, what was allowed is "benign", what was blocked "malicious", and the
// rest "unsure", which is no class. revoked is empty for rows to train on, at most one for each pattern. The others
// have "revoked" or "superseded" there. An expired decision still says what the names are, unless another one about
// the pattern is in force. source is the same in every row. A cell that a spreadsheet
// would take for a formula has a quotation mark before it, and what a terminal would obey is escaped.
func (l *Ledger) WriteCSV(ctx context.Context, w io.Writer, source string) error {
	out := csv.NewWriter(w)
	err := out.Write(columns)
	if err != nil {
		return err
	}
	rows, err := l.read.QueryContext(ctx, decisionsWith(stateInCSV)+" ORDER BY d.id", milli(time.Now()))
	err = each(rows, err, func() error {
		var d Decision
		if err := d.scan(rows); err != nil {
			return err
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
	switch d.State {
	case Revoked:
		mark = "revoked"
	case Superseded:
		mark = "superseded"
	}
	cells := []string{strings.TrimPrefix(d.Pattern, "*."), label, source, d.By, d.At.Format(time.RFC3339), string(d.Scope),
		score, d.Model, d.Version, d.Note, mark}
	for i, cell := range cells {
		cells[i] = printable.Cell(cell)
	}
	return cells
}
