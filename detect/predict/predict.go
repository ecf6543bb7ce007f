// Package predict says what a model makes of bare names, without lists and rules: what degas predict prints.
package predict

import (
	"context"
	"encoding/json"
	"io"
	"slices"

	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/dnsname"
)

// Batch is how many names are scored together: enough to keep all cores busy.
const Batch = 4096

// MaxLine bounds a line with a name, in bytes.
const MaxLine = 64 << 10

// Scorer scores names. One goroutine uses it.
type Scorer struct {
	classifier *model.Classifier
	p          []float32 // of the batch: [names, labels]
}

// New makes a Scorer.
func New(c *model.Classifier) *Scorer { return &Scorer{classifier: c} }

// Score scores names, best Batch of them, and tells each of them in order. A Verdict is valid during the call. If it
// has Invalid, that says why the text is no name.
func (s *Scorer) Score(ctx context.Context, names []string, each func(name string, v *model.Verdict) error) error {
	width := s.classifier.Width()
	s.p = slices.Grow(s.p[:0], len(names)*width)[:len(names)*width]
	if err := s.classifier.Probabilities(ctx, names, s.p); err != nil {
		return err
	}
	for i, n := range names {
		v := s.classifier.Verdict(s.p[i*width : (i+1)*width])
		if v.Invalid != nil {
			_, v.Invalid = dnsname.Fold(n) // with its reason
		}
		if err := each(n, &v); err != nil {
			return err
		}
	}
	return nil
}

// line is one line of JSON.
type line struct {
	Name          string             `json:"name"`
	Score         float64            `json:"score"`
	Label         string             `json:"label"`
	Invalid       string             `json:"invalid,omitempty"` // why it is no name
	Probabilities map[string]float32 `json:"probabilities"`
}

// WriteJSON writes what the model makes of a name as a line of JSON, with the probabilities of all labels.
func (s *Scorer) WriteJSON(w io.Writer, name string, v *model.Verdict) error {
	out := line{Name: name, Score: v.Score, Label: v.Label, Probabilities: map[string]float32{}}
	if v.Invalid != nil {
		out.Invalid = v.Invalid.Error()
	}
	for i, l := range s.classifier.Model().Spec.Labels {
		out.Probabilities[l] = v.Probabilities[i]
	}
	return json.NewEncoder(printable.JSONWriter(w)).Encode(out)
}
