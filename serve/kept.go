package serve

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// What is kept is read by GET: /v1/events, /v1/counts and /v1/top. All take from and to, which are times as RFC 3339
// has them; without them it is the last day.

// keptPage is a page of events, newest first.
type keptPage struct {
	Events []store.EventJSON `json:"events"`
	// Next is the cursor of the page after this one.
	Next string `json:"next,omitempty"`
}

// count is how many events of one kind a slot has.
type count struct {
	Slot    time.Time `json:"slot"`
	Verdict string    `json:"verdict"`
	Action  string    `json:"action"`
	Type    string    `json:"type,omitempty"`
	RCode   string    `json:"rcode,omitempty"`
	N       int64     `json:"n"`
	Score   float64   `json:"mean_score,omitempty"`
}

// topPlace is a place in a top list: the true count is at least N-Error and at most N.
type topPlace struct {
	Key   string `json:"key"`
	N     int64  `json:"n"`
	Error int64  `json:"error"`
}

// topAnswer is a top list, and how many different keys there were, to about 2 %.
type topAnswer struct {
	Top      []topPlace `json:"top"`
	Distinct *int64     `json:"distinct,omitempty"` // left out for flagged ones, of which nobody counts it
}

// mostPage bounds a page and a top list.
const mostPage = 1000

// parameters reads a query, and refuses what cannot be read, what is none of allowed, and what comes twice.
func parameters(r *http.Request, allowed ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, reply.BadRequest("The query cannot be read. Try: escape & ; and %% in values")
	}
	for key, values := range q {
		switch {
		case !slices.Contains(allowed, key):
			return nil, reply.BadRequest("There is no parameter %q here. Try: %s", key, strings.Join(allowed, ", "))
		case len(values) > 1 && key != "name":
			return nil, reply.BadRequest("The parameter %s comes twice", key)
		}
	}
	return q, nil
}

// question reads what questions have in common.
func question(q url.Values) (r store.Range, f store.Filter, n int, err error) {
	now := time.Now()
	r = store.Range{From: now.Add(-24 * time.Hour), To: now.Add(time.Minute)}
	for key, at := range map[string]*time.Time{"from": &r.From, "to": &r.To} {
		if text := q.Get(key); q.Has(key) {
			if *at, err = time.Parse(time.RFC3339, text); err != nil {
				return r, f, 0, reply.BadRequest("%s: %q is no time. Try: %s", key, text, now.UTC().Format(time.RFC3339))
			}
		}
	}
	n = 100
	if text := q.Get("limit"); q.Has("limit") {
		if n, err = strconv.Atoi(text); err != nil || n < 1 || n > mostPage {
			return r, f, 0, reply.BadRequest("limit: %q is no number from 1 to %d", text, mostPage)
		}
	}
	f.Name, f.Domain, f.Client = q.Get("name"), q.Get("domain"), q.Get("client")
	if text := q.Get("flagged"); q.Has("flagged") {
		if f.Flagged, err = strconv.ParseBool(text); err != nil {
			return r, f, 0, reply.BadRequest("flagged: %q is neither true nor false", text)
		}
	}
	if text := q.Get("verdict"); q.Has("verdict") {
		v, ok := detect.ParseVerdict(text)
		if !ok {
			return r, f, 0, reply.BadRequest(
				"verdict: %q is none of benign, unscored, allowed, blocked, malicious and invalid", text)
		}
		f.Verdict = &v
	}
	return r, f, n, nil
}

func (s *Server) eventsOut(_ http.ResponseWriter, r *http.Request, _ *models.Lease) (any, error) {
	q, err := parameters(r, "from", "to", "limit", "name", "domain", "client", "flagged", "verdict", "cursor")
	if err != nil {
		return nil, err
	}
	when, f, n, err := question(q)
	if err != nil {
		return nil, err
	}
	page, err := s.o.Store.Events(r.Context(), when, f, store.Cursor(q.Get("cursor")), n)
	if err != nil {
		return nil, unanswered(err)
	}
	out := keptPage{Events: make([]store.EventJSON, len(page.Events)), Next: string(page.Next)}
	for i := range page.Events {
		out.Events[i] = page.Events[i].JSON()
	}
	return out, nil
}

func (s *Server) counts(_ http.ResponseWriter, r *http.Request, _ *models.Lease) (any, error) {
	q, err := parameters(r, "from", "to", "step", "flagged", "verdict")
	if err != nil {
		return nil, err
	}
	when, f, _, err := question(q)
	if err != nil {
		return nil, err
	}
	if !q.Has("step") {
		q.Set("step", "hour")
	}
	step, ok := map[string]store.Step{"minute": store.Minute, "hour": store.Hour, "day": store.Day}[q.Get("step")]
	if !ok {
		return nil, reply.BadRequest("step: %q is none of minute, hour and day", q.Get("step"))
	}
	all, err := s.o.Store.Counts(r.Context(), when, step, f)
	if err != nil {
		return nil, unanswered(err)
	}
	out := make([]count, len(all))
	for i, c := range all {
		out[i] = count{c.Slot, c.Verdict.String(), c.Action.String(), c.Type.String(), c.RCode.String(), c.N,
			c.ScoreSum / float64(max(c.N, 1))}
	}
	return map[string][]count{"counts": out}, nil
}

func (s *Server) top(_ http.ResponseWriter, r *http.Request, _ *models.Lease) (any, error) {
	q, err := parameters(r, "from", "to", "kind", "limit", "flagged")
	if err != nil {
		return nil, err
	}
	when, f, n, err := question(q)
	if err != nil {
		return nil, err
	}
	kinds := map[string]store.Kind{"names": store.Names, "domains": store.Domains, "clients": store.Clients}
	kind, ok := kinds[q.Get("kind")]
	if !ok {
		return nil, reply.BadRequest("kind: %q is none of names, domains and clients", q.Get("kind"))
	}
	all, err := s.o.Store.Top(r.Context(), when, kind, n, f)
	if err != nil {
		return nil, unanswered(err)
	}
	out := topAnswer{Top: make([]topPlace, len(all))}
	for i, t := range all {
		out.Top[i] = topPlace(t)
	}
	if !f.Flagged {
		n, err := s.o.Store.Distinct(r.Context(), when, kind)
		if err != nil {
			return nil, unanswered(err)
		}
		out.Distinct = &n
	}
	return out, nil
}

// findings answers GET /v1/findings: what the watch found, newest first.
func (s *Server) findings(_ http.ResponseWriter, r *http.Request, _ *models.Lease) (any, error) {
	q, err := parameters(r, "from", "to", "kind", "subject", "open", "before", "limit")
	if err != nil {
		return nil, err
	}
	_, _, n, err := question(q)
	if err != nil {
		return nil, err
	}
	if kind := q.Get("kind"); q.Has("kind") && kind != watch.Tunnel && kind != watch.DGAClient && kind != watch.List {
		return nil, reply.BadRequest("kind: %q is none of tunnel, dga-client and list", kind)
	}
	f := ledger.FindingFilter{Kind: q.Get("kind"), Subject: q.Get("subject")}
	var before int64
	for key, parse := range map[string]func(string) error{
		"open":   func(t string) (err error) { f.Open, err = strconv.ParseBool(t); return err },
		"before": func(t string) (err error) { before, err = strconv.ParseInt(t, 10, 64); return err },
	} {
		if text := q.Get(key); q.Has(key) && parse(text) != nil {
			return nil, reply.BadRequest("%s: %q is not possible", key, text)
		}
	}
	all, err := s.o.Ledger.Findings(r.Context(), f, before, n)
	if err != nil {
		return nil, unanswered(err)
	}
	return map[string][]ledger.Finding{"findings": append([]ledger.Finding{}, all...)}, nil
}

// unanswered maps a store's error.
func unanswered(err error) error {
	if errors.Is(err, store.ErrFilter) || errors.Is(err, store.ErrCursor) {
		return reply.BadRequest("%v", err)
	}
	return &reply.Failure{Status: http.StatusServiceUnavailable, Text: "The store does not answer now", Cause: err,
		Retry: 10 * time.Second}
}
