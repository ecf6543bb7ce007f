package formats

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/printable"
)

func init() { Register(decisionsReader{}) }

// decisionsReader reads what people decided, as degas serve writes it at /v1/decisions.csv, see serve/store/ledger:
//
//	domain,label,source,decided_by,decided_at,scope,score,model,model_version,note,revoked
//	xjpakmdcfuqe.biz,dga,console,ada,2026-12-01T09:30:00Z,name,0.41,degas,3,,
//
// Only decisions in force become records. What is unsure, revoked, superseded or expired is left out. Of two decisions
// about the same pattern the later one counts, so files of several days may be joined. A label "malicious" says that a
// name was blocked and not what it is: it is left out, unless a sidecar says otherwise:
// {"classes": {"malicious": "dga"}}.
type decisionsReader struct{}

func (decisionsReader) Name() string { return "decisions" }

// The columns that are used. The last two may be missing.
var decisionColumns = []string{"domain", "label", "revoked", "decided_at", "scope"}

// Their places in decisionColumns.
const (
	decidedName = iota
	decidedLabel
	decidedRevoked
	decidedAt
	decidedScope
)

const decisionsMust = decidedAt // columns that make a table one of decisions

// decisionPlaces are the columns' places in a header, -1 for one that is not there. ok says that it is of decisions.
func decisionPlaces(header [][]byte) (places []int, ok bool) {
	for i, column := range decisionColumns {
		at := slices.IndexFunc(header, func(h []byte) bool { return string(bytes.TrimSpace(h)) == column })
		if places = append(places, at); at < 0 && i < decisionsMust {
			return nil, false
		}
	}
	return places, true
}

func (decisionsReader) Match(_ string, head []byte) (int, string) {
	first, err := newRowReader(bytes.NewReader(head), ',').next()
	if _, ok := decisionPlaces(first.fields); err != nil || !ok {
		return 0, "its header has not the columns " + strings.Join(decisionColumns[:decisionsMust], ", ")
	}
	return 95, ""
}

// Why a decision is left out.
const (
	leftRevoked    = "decisions that were revoked"
	leftSuperseded = "decisions that a later one took the place of"
	leftExpired    = "decisions that expired"
	leftUnsure     = "decisions that say unsure"
	leftNoClass    = "blocks without a class, which do not say what the name is"
	leftSkipLabel  = "decisions whose label a sidecar skips"
	leftZone       = "tunnels whose names are not in the file, only their domain"
)

const (
	reasonTime    = "decided_at is no time, such as 2026-12-01T09:30:00Z"
	reasonEscaped = "a name with an escape"
)

// mostDecisions bounds the decisions of a file, which are kept in memory until all are read.
const mostDecisions = 4 << 20

// decision is a row.
type decision struct {
	line   int64
	at     int64 // seconds
	name   string
	label  string
	domain bool   // it is about all names below name, too
	left   string // why it is left out
}

// subject is the decision's pattern.
func (d *decision) subject() string {
	if d.domain {
		return "*." + d.name
	}
	return d.name
}

func (decisionsReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	labels := newLabeller(f.Path, false)
	labels.declared = f.declared
	evidence := &datasets.Evidence{Names: "column domain", Class: "format: decisions of people, column label",
		Columns: map[string]string{"name": "domain", "class": "label"}}
	sink.Evidence(evidence)
	all, err := readDecisions(ctx, in, sink)
	if err != nil {
		return err
	}
	for i := range all {
		if err := all[i].record(labels, f, sink); err != nil {
			return err
		}
	}
	evidence.Values = labels.values()
	return labels.err(evidence.Class)
}

// readDecisions reads all rows, and marks those that are not in force, in file order.
func readDecisions(ctx context.Context, in io.Reader, sink Sink) (all []decision, err error) {
	var places []int
	rows := newRowReader(in, ',')
	err = rows.each(ctx, sink, func(r row) error {
		if at, header := decisionPlaces(r.fields); header {
			places = at // again, where files were joined
			return nil
		}
		if places == nil {
			return fmt.Errorf("line %d comes before a header. Try: the file as degas serve wrote it", r.line)
		}
		d, reason := decisionOf(r.fields, places)
		if reason != "" {
			return sink.Refuse(r.line, reason)
		}
		if d.line = r.line; len(all) == mostDecisions {
			return fmt.Errorf("it has more than %d decisions. Try: an export without ?all=true", mostDecisions)
		}
		all = append(all, d)
		return nil
	})
	if err == nil {
		settleDecisions(all)
	}
	return all, err
}

// decisionOf reads a row. reason says why it is none.
func decisionOf(fields [][]byte, places []int) (d decision, reason string) {
	var cells [5]string
	for i, at := range places {
		if at >= len(fields) {
			return d, reasonColumns
		}
		if at >= 0 {
			cells[i] = printable.Uncell(strings.TrimSpace(string(fields[at])))
		}
	}
	below := false
	d.name, below = strings.CutPrefix(cells[decidedName], "*.")
	d.label, d.domain = cells[decidedLabel], below || cells[decidedScope] == "domain"
	switch {
	case d.name == "" || d.label == "":
		return d, reasonEmptyValue
	case strings.Contains(d.name, `\`):
		return d, reasonEscaped
	}
	if cells[decidedAt] != "" {
		at, err := time.Parse(time.RFC3339, cells[decidedAt])
		if err != nil {
			return d, reasonTime
		}
		d.at = at.Unix()
	}
	switch cells[decidedRevoked] {
	case "":
	case "superseded":
		d.left = leftSuperseded
	case "expired":
		d.left = leftExpired
	default:
		d.left = leftRevoked
	}
	return d, ""
}

// settleDecisions marks the decisions that a later one about the same pattern replaces. Of two rows about one decision,
// as joined files have them, the later row knows more.
func settleDecisions(all []decision) {
	type key struct {
		subject, label string
		at             int64
	}
	said, newest := map[key]int{}, map[string]int{}
	for i := range all {
		k := key{all[i].subject(), all[i].label, all[i].at}
		if before, again := said[k]; again && all[before].left == "" {
			all[before].left = leftSuperseded
		}
		said[k] = i
	}
	for i := range all {
		d := &all[i]
		if d.left != "" {
			continue
		}
		before, again := newest[d.subject()]
		switch {
		case again && all[before].at > d.at:
			d.left = leftSuperseded
			continue
		case again:
			all[before].left = leftSuperseded
		}
		newest[d.subject()] = i
	}
}

// record hands a decision to sink.
func (d *decision) record(labels *labeller, f FileInfo, sink Sink) error {
	if d.left != "" {
		sink.LeaveOut(d.line, d.left)
		return nil
	}
	_, told := labels.declared[declaredKey(d.label)]
	if (d.label == "unsure" || d.label == "malicious") && !told {
		sink.LeaveOut(d.line, map[string]string{"unsure": leftUnsure, "malicious": leftNoClass}[d.label])
		return nil
	}
	l := labels.label([]byte(d.label))
	switch {
	case !l.ok:
		labels.note([]byte(d.label), d.line, d.name+" "+d.label)
		return nil // Read makes an error of it
	case l.skip:
		sink.LeaveOut(d.line, leftSkipLabel)
		return nil
	case l.class == tunnel && d.domain:
		sink.LeaveOut(d.line, leftZone)
		return nil
	}
	r := l.record([]byte(d.name))
	if d.at > 0 {
		r.Day = datasets.ParseDay(time.Unix(d.at, 0).UTC().AppendFormat(nil, time.DateOnly))
	}
	if f.Class != nil {
		r = datasets.Record{Name: r.Name, Class: *f.Class, Day: r.Day}
	}
	return sink.Record(d.line, r)
}
