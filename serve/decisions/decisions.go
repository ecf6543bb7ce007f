// Package decisions is the HTTP API of a ledger's decisions: to make, to read and to revoke them, and to read what is
// in force as lists.
//
//	POST   /v1/decisions       one decision as JSON, or an array of them
//	GET    /v1/decisions       pages of decisions, newest first
//	DELETE /v1/decisions/{id}  revokes a decision
//	GET    /v1/decisions.csv   those in force, for process-data; all with ?all=true
//	GET    /v1/lists/allow     what is in force, as detect/lists and other programs read lists
//	GET    /v1/lists/block
//
// A list has an ETag. With ?wait=30s and If-None-Match, the answer comes when the list changes, or 304 after that time.
//
// Handlers take what guards have let through: a token or a session, and no page of another origin (net/http's
// CrossOriginProtection), since the Content-Type of a body does not matter. Who it is comes with the request's context,
// by WithWho. Errors are {"error": "…"}.
package decisions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/store/ledger"
	"github.com/degas-dns/degas/serve/token"
)

// Bounds of a request.
const (
	mostBody      = 1 << 20 // bytes
	mostDecisions = 1000
)

// API has the handlers. Make it with New.
type API struct {
	ledger  *ledger.Ledger
	log     *slog.Logger
	reply   reply.Writer
	waiting chan struct{} // has an element for each request that waits
	lists   made

	released context.Context // ends when no request is to wait any more
	release  context.CancelFunc
}

// New makes handlers for a ledger. log gets errors that are not the client's; nil discards them.
func New(l *ledger.Ledger, log *slog.Logger) *API {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	a := &API{ledger: l, log: log, reply: reply.Writer{Log: log}, waiting: make(chan struct{}, mostWaiting)}
	a.released, a.release = context.WithCancel(context.Background())
	return a
}

// Route is a handler with the pattern of http.ServeMux, and the scope that a token needs for it.
type Route struct {
	Pattern string
	Scope   token.Scope
	Handler http.HandlerFunc
}

// Routes are all of them.
func (a *API) Routes() []Route {
	return []Route{
		{"POST /v1/decisions", token.Decide, a.decide},
		{"GET /v1/decisions", token.Decide, a.list},
		{"DELETE /v1/decisions/{id}", token.Decide, a.revoke},
		{"GET /v1/decisions.csv", token.Decide, a.csv},
		{"GET /v1/lists/allow", token.Lists, a.text(ledger.Allow)},
		{"GET /v1/lists/block", token.Lists, a.text(ledger.Block)},
	}
}

type whoKey struct{}

// WithWho says who makes a request: the name of a token or of a person.
func WithWho(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, whoKey{}, name)
}

// who is what WithWho said.
func who(r *http.Request) (string, error) {
	name, _ := r.Context().Value(whoKey{}).(string)
	if name == "" {
		return "", errors.New("nobody said who makes the request: the handler is mounted without WithWho")
	}
	return name, nil
}

// statuses are of the ledger's errors.
var statuses = map[error]int{
	ledger.ErrInput:    http.StatusBadRequest,
	ledger.ErrNotFound: http.StatusNotFound,
	ledger.ErrOver:     http.StatusConflict,
	ledger.ErrFull:     http.StatusInsufficientStorage,
	ledger.ErrDisk:     http.StatusInsufficientStorage,
	ledger.ErrClosed:   http.StatusServiceUnavailable,
}

// refuse answers with an error.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	for known, status := range statuses {
		if errors.Is(err, known) {
			err = &reply.Failure{Status: status, Text: err.Error()}
		}
	}
	header(w, "application/json")
	a.reply.Failed(w, r, err)
}

func header(w http.ResponseWriter, kind string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
}

// request is a decision as a client sends it. Who decided and when is not the client's to say.
type request struct {
	Pattern string         `json:"pattern"`
	Verdict ledger.Verdict `json:"verdict"`
	Label   string         `json:"label"`
	Scope   ledger.Scope   `json:"scope"`
	Note    string         `json:"note"`
	Score   *float64       `json:"score"`
	Model   string         `json:"model"`
	Version string         `json:"version"`
	Expires *time.Time     `json:"expires"`
}

// decided is a decision in an answer.
type decided struct {
	ledger.Decision
	// AllowedBy is the allow entry in force that keeps a block from having an effect, "" if there is none.
	AllowedBy string `json:"allowed_by,omitempty"`
}

func (a *API) decide(w http.ResponseWriter, r *http.Request) {
	by, err := who(r)
	var all []request
	if err == nil {
		all, err = readDecisions(w, r)
	}
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	in := make([]ledger.Decision, len(all))
	for i, q := range all {
		in[i] = ledger.Decision{Pattern: q.Pattern, Verdict: q.Verdict, Label: q.Label, Scope: q.Scope, By: by, Note: q.Note,
			Score: q.Score, Model: q.Model, Version: q.Version}
		if q.Expires != nil {
			if in[i].Expires = *q.Expires; in[i].Expires.IsZero() { // which stands for never
				in[i].Expires = time.Unix(0, 0)
			}
		}
	}
	kept, err := a.ledger.DecideAll(r.Context(), in)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	s := a.ledger.InForce(time.Now())
	out := make([]decided, len(kept))
	for i, d := range kept {
		out[i].Decision = d
		if d.Verdict == ledger.Block {
			out[i].AllowedBy = s.AllowedBy(d.Pattern)
		}
	}
	header(w, "application/json")
	a.reply.JSON(w, r, struct {
		Decisions []decided `json:"decisions"`
	}{out})
}

// readDecisions reads the body: one object, or an array of them, and nothing else.
func readDecisions(w http.ResponseWriter, r *http.Request) (all []request, err error) {
	in, err := reply.Body(w, r, mostBody)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(in)
	}
	if err != nil {
		return nil, reply.Unreadable(err)
	}
	body = bytes.TrimSpace(body)
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if len(body) > 0 && body[0] == '[' {
		err = d.Decode(&all)
	} else {
		all = make([]request, 1)
		err = d.Decode(&all[0])
	}
	switch {
	case err != nil: // a time that is none is an error of package time
		return nil, reply.BadRequest("the body is no decision, and no array of decisions: %v", err)
	case d.InputOffset() != int64(len(body)):
		return nil, reply.BadRequest("there is something behind the body's JSON value")
	case len(all) == 0 || len(all) > mostDecisions:
		return nil, reply.BadRequest("the body has %d decisions. Try: 1 to %d", len(all), mostDecisions)
	}
	return all, nil
}

// parameters are those that a request may have.
func parameters(r *http.Request, known ...string) (url.Values, error) {
	all, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, reply.BadRequest("the query cannot be read: %v", err)
	}
	for name, values := range all {
		switch {
		case !slices.Contains(known, name):
			return nil, reply.BadRequest("%q is no parameter. Known: %q", name, known)
		case len(values) > 1:
			return nil, reply.BadRequest("the parameter %s comes twice", name)
		}
	}
	return all, nil
}

// number is a parameter's number above 0, or 0 without the parameter.
func number(q url.Values, name string) (n int64, err error) {
	if !q.Has(name) {
		return 0, nil
	}
	if n, err = strconv.ParseInt(q.Get(name), 10, 64); err != nil || n < 1 {
		return 0, reply.BadRequest("%s: %q is no number from 1 on", name, q.Get(name))
	}
	return n, nil
}

func (a *API) list(w http.ResponseWriter, r *http.Request) {
	q, err := parameters(r, "verdict", "state", "by", "pattern", "about", "text", "before", "limit")
	var before, limit int64
	if err == nil {
		before, err = number(q, "before")
	}
	if err == nil {
		limit, err = number(q, "limit")
	}
	var page ledger.Page
	if err == nil {
		page, err = a.ledger.Decisions(r.Context(), ledger.Filter{Verdict: ledger.Verdict(q.Get("verdict")),
			State: ledger.State(q.Get("state")), By: q.Get("by"), Pattern: q.Get("pattern"), About: q.Get("about"),
			Text: q.Get("text")}, before, int(min(limit, ledger.MostPage)))
	}
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	header(w, "application/json")
	a.reply.JSON(w, r, page)
}

func (a *API) revoke(w http.ResponseWriter, r *http.Request) {
	by, err := who(r)
	id, idErr := strconv.ParseInt(r.PathValue("id"), 10, 64)
	var out struct {
		Revoked ledger.Decision  `json:"revoked"`
		Again   *ledger.Decision `json:"in_force_again"` // about the same pattern, null if there is none
	}
	switch {
	case err != nil:
	case idErr != nil:
		err = &reply.Failure{Status: http.StatusNotFound, Text: fmt.Sprintf("%q is no decision's number", r.PathValue("id"))}
	default:
		out.Revoked, out.Again, err = a.ledger.Revoke(r.Context(), id, by)
	}
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	header(w, "application/json")
	a.reply.JSON(w, r, out)
}

func (a *API) csv(w http.ResponseWriter, r *http.Request) {
	q, err := parameters(r, "all")
	all := false
	if err == nil && q.Has("all") {
		if all, err = strconv.ParseBool(q.Get("all")); err != nil {
			err = reply.BadRequest("all: %q is neither true nor false", q.Get("all"))
		}
	}
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	header(w, "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="decisions.csv"`)
	if err := a.ledger.WriteCSV(r.Context(), w, "console", all); err != nil {
		if r.Context().Err() == nil {
			a.log.Error("decisions as CSV: the answer was cut off", "error", err)
		}
		panic(http.ErrAbortHandler) // the client must not take the half for all
	}
}
