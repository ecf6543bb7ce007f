package scan

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/axiomhq/hyperloglog"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/rules"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/printable"
)

// Report is what a scan found.
type Report struct {
	Files []FileReport `json:"files"`
	// Events, Names and Clients are of all files. The latter two are different ones, estimated by HyperLogLog (Flajolet et
	// al. 2007) with an error of about 1 %.
	Events  int64  `json:"events"`
	Names   uint64 `json:"names"`
	Clients uint64 `json:"clients"`
	// First and Last are when the first and the last event of all files were, zero if no event says.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Verdicts counts events.
	Verdicts map[string]int64 `json:"verdicts"`
	// Findings are what the Watch found, the worst first.
	Findings []watch.Finding `json:"findings"`
	// Rules and Windows are what the rules of other detectors say, if they were asked.
	Rules   []RuleReport   `json:"rules,omitempty"`
	Windows []WindowReport `json:"rule_windows,omitempty"`
	// Repeats is the share of names that were decided before.
	Repeats float64 `json:"repeats"`
}

// FileReport is what one file held.
type FileReport struct {
	Path   string `json:"path"`
	Format string `json:"format,omitempty"`
	// Unit is what Units counts.
	Unit string `json:"unit,omitempty"`
	// Units, Messages, Skipped and Refused are those of events.Stats.
	Units    int64            `json:"units"`
	Messages int64            `json:"messages,omitempty"`
	Skipped  map[string]int64 `json:"skipped,omitempty"`
	Refused  map[string]int64 `json:"refused,omitempty"`
	// Events are questions, each counted once; Kinds tells queries, responses, and queries with their response apart.
	Events int64            `json:"events"`
	Kinds  map[string]int64 `json:"kinds,omitempty"`
	// Names and Clients are different ones, estimated with an error of about 1 %.
	Names   uint64 `json:"names"`
	Clients uint64 `json:"clients"`
	// First and Last are when the first and the last event were, zero if no event says.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Verdicts counts events.
	Verdicts map[string]int64 `json:"verdicts,omitempty"`
	// Error is why the file could not be read, or not to its end.
	Error string `json:"error,omitempty"`
}

// tally counts a file's events.
type tally struct {
	kinds          [events.Both + 1]int64
	verdicts       [detect.Invalid + 1]int64
	names, clients *hyperloglog.Sketch
	windows        *rules.Windows
	first, last    time.Time
}

// widen makes a period from first to last contain a time, unless that is not known.
func widen(first, last *time.Time, t time.Time) {
	if t.IsZero() {
		return
	}
	if first.IsZero() || t.Before(*first) {
		*first = t.UTC()
	}
	if t.After(*last) {
		*last = t.UTC()
	}
}

// finish fills in what was counted.
func (f *FileReport) finish(t *tally, s *events.Stats) {
	f.Units, f.Messages, f.Skipped, f.Refused = s.Units, s.Messages, s.Skipped, s.Refused
	f.First, f.Last = t.first, t.last
	f.Kinds, f.Verdicts = map[string]int64{}, map[string]int64{}
	for k, n := range t.kinds {
		if n > 0 {
			f.Kinds[events.Kind(k).String()] = n
			f.Events += n
		}
	}
	for v, n := range t.verdicts {
		if n > 0 {
			f.Verdicts[detect.Verdict(v).String()] = n
		}
	}
}

// useless is an error if most of the file could not be read: it is broken, or of another format.
func (f *FileReport) useless() error {
	var refused int64
	for _, n := range f.Refused {
		refused += n
	}
	switch {
	case refused == 0 || 2*refused <= f.Units:
		return nil
	case f.Events == 0:
		return fmt.Errorf("read %s: nothing in it can be read as %s. Try: --format", f.Path, f.Format)
	}
	return fmt.Errorf("read %s: %d of %d %s cannot be read as %s. Try: --format", f.Path, refused, f.Units, f.Unit,
		f.Format)
}

// report sums up.
func (s *scanner) report(files []FileReport) *Report {
	r := &Report{Files: files, Names: s.names.Estimate(), Clients: s.clients.Estimate(), Verdicts: map[string]int64{}}
	for i := range files {
		r.Events += files[i].Events
		widen(&r.First, &r.Last, files[i].First)
		widen(&r.First, &r.Last, files[i].Last)
		for v, n := range files[i].Verdicts {
			r.Verdicts[v] += n
		}
	}
	r.Findings = s.Watch.Findings()
	r.Rules, r.Windows = s.ruled.report(), s.ruled.windows
	hits, misses := s.decider.Load().cache.Stats()
	hits, misses = hits+s.before[0].Load(), misses+s.before[1].Load()
	if hits+misses > 0 {
		r.Repeats = float64(hits) / float64(hits+misses)
	}
	return r
}

// Revise drops the findings about what p allows. It is for lists that changed during the scan.
func (r *Report) Revise(p *detect.Policy) {
	r.Findings = slices.DeleteFunc(r.Findings, func(f watch.Finding) bool { return f.Allows(p) })
}

// Err is an error if files could not be read, or not to their ends, or if there was nothing to read in them.
func (r *Report) Err() error {
	failed := 0
	for _, f := range r.Files {
		if f.Error != "" {
			failed++
		}
	}
	if failed == 0 && r.Events == 0 {
		return fmt.Errorf("nothing was found because nothing was read: the files hold no question about a name. " +
			"Encrypted DNS cannot be read. Try: --port, if DNS has other ports than 53, or your resolver's log")
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d files could not be read, or not to the end: the report names them", failed, len(r.Files))
}

// WriteFindings writes a finding a line, as JSON.
func WriteFindings(out io.Writer, found []watch.Finding) error {
	e := json.NewEncoder(printable.JSONWriter(out))
	for i := range found {
		if err := e.Encode(&found[i]); err != nil {
			return err
		}
	}
	return nil
}
