package serve

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// namesRequest is the body of POST /v1/names.
type namesRequest struct {
	Names []*string `json:"names"` // a null is no name
}

// namesAnswer answers /v1/names, in the order of the request.
type namesAnswer struct {
	Model     string       `json:"model"`
	Version   int          `json:"version"`
	Threshold float64      `json:"threshold"`
	Names     []nameAnswer `json:"names"`
}

// nameAnswer is what is decided about a name.
type nameAnswer struct {
	Name    string `json:"name"`
	Verdict string `json:"verdict"`
	Action  string `json:"action"`
	// Score is left out for a name that no model was asked about.
	Score *float64 `json:"score,omitempty"`
	Class string   `json:"class"`
	// Family is the label of a malicious name where the model tells families.
	Family string `json:"family,omitempty"`
	Rule   string `json:"rule"`
	Reason string `json:"reason,omitempty"`
	Entry  string `json:"entry,omitempty"`
	List   string `json:"list,omitempty"`
	Domain string `json:"registered_domain,omitempty"`
}

// names answers GET /v1/names?name=a&name=b and POST /v1/names.
func (s *Server) names(w http.ResponseWriter, r *http.Request, memory *models.Lease) (any, error) {
	q, err := parameters(r, "name")
	if err != nil {
		return nil, err
	}
	names := q["name"]
	if r.Method == http.MethodPost {
		var in namesRequest
		body, err := reply.Body(w, r, models.MaxBody)
		if err != nil {
			return nil, err
		}
		if err := readJSON(memory.Charged(body), &in); err != nil {
			return nil, err
		}
		for i, n := range in.Names {
			if n == nil {
				return nil, reply.BadRequest("name %d is null", i)
			}
			names = append(names, *n)
		}
	}
	switch {
	case len(names) == 0:
		return nil, reply.BadRequest(`No names. Try: {"names": ["example.com"]}, or ?name=example.com`)
	case len(names) > models.MaxRows:
		return nil, reply.BadRequest("A request may have %d names, this one has %d", models.MaxRows, len(names))
	}
	if err := memory.Take(int64(len(names)) * nameCost); err != nil {
		return nil, err
	}
	j := s.o.Engine.current.Load()
	all := make([]detect.Decision, len(names))
	bytes := make([][]byte, len(names))
	for i, n := range names {
		bytes[i] = []byte(n)
	}
	if err := j.cache.DecideAll(r.Context(), bytes, all); err != nil {
		return nil, err
	}
	answer := namesAnswer{j.version.Model, j.version.Number, j.policy.Threshold(), make([]nameAnswer, len(names))}
	for i := range all {
		answer.Names[i] = nameOf(names[i], &all[i])
		s.metrics.decided(j.version, &all[i])
	}
	return answer, nil
}

// nameCost is what an answer for a name takes in bytes, besides its text.
const nameCost = 1024

func nameOf(name string, d *detect.Decision) nameAnswer {
	a := nameAnswer{Name: name, Verdict: d.Verdict.String(), Action: d.Action.String(), Class: d.Class,
		Rule: d.Rule.String(), Reason: d.Reason, Entry: d.Entry, List: d.List, Domain: detect.Domain(name)}
	if d.Scored() {
		a.Score = &d.Score
	}
	if d.Verdict == detect.Malicious && d.Class != "dga" && d.Class != "tunnel" && d.Class != "malicious" {
		a.Class, a.Family = "dga", d.Class
	}
	return a
}

// readJSON reads one value without unknown fields.
func readJSON(body io.Reader, into any) error {
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return reply.Unreadable(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		if err == nil || errors.As(err, new(*json.SyntaxError)) {
			return reply.BadRequest("JSON Parse error: more than one value")
		}
		return reply.Unreadable(err)
	}
	return nil
}
