package formats

import (
	"context"
	"errors"
	"fmt"

	"github.com/degas-dns/degas/datasets"
)

// Reading says how an input will be read, from a look at its first rows.
type Reading struct {
	Path   string `json:"path"`
	Reader string `json:"reader"`
	datasets.Evidence
	// Rows counts the rows looked at, by class, and refused ones.
	Rows map[string]int64 `json:"first_rows"`
	// Examples are rows as "name class family".
	Examples []string `json:"examples"`
	// Error is why it cannot be read, "" if it can.
	Error string `json:"error,omitempty"`
}

// SurveyRows is how many rows Survey looks at.
const SurveyRows = 1000

const surveyExamples = 3

// Survey looks at the input's first rows. The error is ctx's.
func (in *Input) Survey(ctx context.Context, tempDir string) (Reading, error) {
	s := &surveySink{in: in, source: in.Source()}
	s.r = Reading{Path: in.Label(), Reader: in.Format(), Rows: map[string]int64{}}
	err := in.Read(ctx, tempDir, nil, s)
	if ctx.Err() != nil {
		return s.r, ctx.Err()
	}
	if s.evidence != nil {
		s.r.Evidence = *s.evidence
	}
	if err != nil && !errors.Is(err, errSampled) {
		s.r.Error = err.Error()
	}
	return s.r, nil
}

// surveySink is Survey's Sink.
type surveySink struct {
	in       *Input
	source   string
	r        Reading
	evidence *datasets.Evidence
	rows     int
}

// Evidence implements Sink.
func (s *surveySink) Evidence(e *datasets.Evidence) { s.evidence = e }

// Record implements Sink.
func (s *surveySink) Record(_ int64, rec datasets.Record) error {
	s.in.ApplySidecar(&rec, s.source)
	class := rec.Class.String()
	if s.r.Rows[class]++; s.r.Rows[class] <= surveyExamples && len(s.r.Examples) < 2*surveyExamples {
		example := fmt.Sprintf("%.60s %s", rec.Name, class)
		if family := datasets.NormalizeFamily(rec.Family); family != "" {
			example += " " + family
		}
		s.r.Examples = append(s.r.Examples, example)
	}
	return s.next()
}

// Refuse implements Sink.
func (s *surveySink) Refuse(int64, string) error {
	s.r.Rows["refused"]++
	return s.next()
}

// LeaveOut implements Sink.
func (s *surveySink) LeaveOut(_ int64, reason string) {
	if reason == leftSkipped {
		s.r.Rows["skipped"]++
		s.rows++
	}
}

func (s *surveySink) next() error {
	if s.rows++; s.rows >= SurveyRows {
		return errSampled
	}
	return nil
}
