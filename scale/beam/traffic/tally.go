package traffic

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
)

// Report is what a pipeline writes last, as score.json or watch.json: a folder without it is not complete.
type Report struct {
	// Model is the SHA-256 of the weights that scored.
	Model string `json:"model"`
	// Failed is how many files could not be read, or not to the end; Errors are about some of them.
	Failed int64    `json:"failed"`
	Errors []string `json:"errors,omitempty"`
	// Files, Pieces and Written are how many files were read, in how many pieces, and how many files were written.
	Files   int64 `json:"files"`
	Pieces  int64 `json:"pieces"`
	Written int64 `json:"written"`
	// Units are packets, lines, rows or frames, as the files' formats count; Messages are DNS messages of captures.
	Units    int64 `json:"units"`
	Messages int64 `json:"messages,omitempty"`
	// Events are questions, each counted once; Names are the names of lists.
	Events int64 `json:"events"`
	Names  int64 `json:"names"`
	// First and Last are when the first and the last event were, zero if no event says.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Formats counts files by what they are.
	Formats map[string]int64 `json:"formats"`
	// Skipped and Refused are those of events.Stats.
	Skipped map[string]int64 `json:"skipped,omitempty"`
	Refused map[string]int64 `json:"refused,omitempty"`
	// Verdicts count events, and Labels names and events: the model's label of malicious ones, else the verdict.
	Verdicts map[string]int64 `json:"verdicts,omitempty"`
	Labels   map[string]int64 `json:"labels"`
	// Findings counts those of watch.
	Findings int64 `json:"findings,omitempty"`
}

// tally counts what one piece or one file held.
type tally struct {
	Report
	Path string `json:"path"`
	Unit string `json:"unit"`
}

func newTally(p *Piece) *tally { return &tally{Path: p.Path, Report: Report{Pieces: 1}} }

func (t *tally) fail(err error) {
	if err != nil && t.Errors == nil {
		t.Errors = []string{err.Error()}
	}
}

func (t *tally) skip(reason string) { count(&t.Skipped, reason, 1) }

func count(to *map[string]int64, key string, n int64) {
	if *to == nil {
		*to = map[string]int64{}
	}
	(*to)[key] += n
}

// count counts an event.
func (t *tally) count(e *events.Event, d *detect.Decision) {
	t.Events++
	count(&t.Verdicts, d.Verdict.String(), 1)
	count(&t.Labels, d.Class, 1)
	if e.Time.IsZero() {
		return
	}
	t.widen(e.Time.UTC(), e.Time.UTC())
}

func (r *Report) widen(first, last time.Time) {
	if !first.IsZero() && (r.First.IsZero() || first.Before(r.First)) {
		r.First = first
	}
	if last.After(r.Last) {
		r.Last = last
	}
}

// of takes over what a piece's reader has counted.
func (t *tally) of(p *piece) {
	if p.events == nil {
		t.Unit, t.Formats = "lines", map[string]int64{listFormat: 1}
		return
	}
	s := &p.events.Stats
	t.Unit, t.Formats = p.events.Format.Unit, map[string]int64{p.events.Format.Name: 1}
	t.Units, t.Messages, t.Skipped, t.Refused = s.Units, s.Messages, s.Skipped, s.Refused
}

// mostErrors bounds Report.Errors.
const mostErrors = 100

// merge adds what another Report counts.
func (r *Report) merge(o *Report) {
	r.Failed, r.Files, r.Pieces, r.Written = r.Failed+o.Failed, r.Files+o.Files, r.Pieces+o.Pieces, r.Written+o.Written
	r.Units, r.Messages, r.Events, r.Names = r.Units+o.Units, r.Messages+o.Messages, r.Events+o.Events, r.Names+o.Names
	r.widen(o.First, o.Last)
	for _, m := range []struct{ to, from *map[string]int64 }{
		{&r.Formats, &o.Formats}, {&r.Skipped, &o.Skipped}, {&r.Refused, &o.Refused}, {&r.Verdicts, &o.Verdicts},
		{&r.Labels, &o.Labels},
	} {
		for key, n := range *m.from {
			count(m.to, key, n)
		}
	}
	r.Errors = append(r.Errors, o.Errors...)
	slices.Sort(r.Errors)
	r.Errors = r.Errors[:min(len(r.Errors), mostErrors)]
}

// useless is an error if most of a file could not be read, as degas scan has it.
func (t *tally) useless() error {
	var refused int64
	for _, n := range t.Refused {
		refused += n
	}
	if refused == 0 || 2*refused <= t.Units {
		return nil
	}
	for format := range t.Formats {
		return fmt.Errorf("read %s: %d of %d %s cannot be read as %s. Try: --format", t.Path, refused, t.Units, t.Unit,
			format)
	}
	return nil
}

// fileFn sums up the pieces of a file.
type fileFn struct{}

// ProcessElement implements Beam's DoFn.
func (*fileFn) ProcessElement(_ int64, pieces func(*[]byte) bool, emit func(string, []byte)) error {
	var file tally
	var data []byte
	for pieces(&data) {
		var t tally
		if err := json.Unmarshal(data, &t); err != nil {
			return fmt.Errorf("count: %w", err)
		}
		file.Path, file.Unit = t.Path, t.Unit
		file.merge(&t.Report)
	}
	file.Files = 1
	for format := range file.Formats {
		file.Formats[format] = 1
	}
	file.fail(file.useless())
	if len(file.Errors) > 0 {
		file.Failed, file.Errors = 1, file.Errors[:1]
	}
	data, err := json.Marshal(&file.Report)
	if err != nil {
		return err
	}
	emit("", data)
	return nil
}

// sum sums up the files.
func sum(files func(*[]byte) bool) (*Report, error) {
	r := &Report{Formats: map[string]int64{}, Labels: map[string]int64{}}
	var data []byte
	for files(&data) {
		var one Report
		if err := json.Unmarshal(data, &one); err != nil {
			return nil, fmt.Errorf("count: %w", err)
		}
		r.merge(&one)
	}
	return r, nil
}

// Err is an error if files could not be read, or not to their ends, or if there was nothing to read in them.
func (r *Report) Err() error {
	if r.Failed > 0 {
		return fmt.Errorf("%d of %d files could not be read, or not to the end: the report names them", r.Failed, r.Files)
	}
	if r.Events+r.Names == 0 {
		return fmt.Errorf("the files hold no question about a name, and no names")
	}
	return nil
}
