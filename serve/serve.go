// Package serve is degas' HTTP server. It puts together:
//
//	/v1/names                    names in; verdicts, scores and reasons out
//	/v1/models/…                 TensorFlow Serving's REST API (package tensorflow)
//	/tensorflow.serving.…        the same over gRPC (package grpc)
//	/v2/…                        KServe's Open Inference Protocol (package kserve)
//	/v1/events                   events in, which are decided about, watched and kept; and out again
//	/v1/counts, /v1/top          what was kept, counted; /v1/findings has what the watch found
//	/v1/decisions, /v1/lists/…   what people decide, and the lists of it (package decisions)
//	/console/…                   pages for people (package console)
//	/metrics, /livez, /readyz, /openapi.yaml
//
// Every request passes the same guards: a bound on connections and on requests in work, the Host header, requests from
// web pages of others, and tokens.
package serve

import (
	_ "embed"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/degas-dns/degas/detect/metrics"
	"github.com/degas-dns/degas/serve/console"
	"github.com/degas-dns/degas/serve/decisions"
	"github.com/degas-dns/degas/serve/grpc"
	"github.com/degas-dns/degas/serve/kserve"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/shadow"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/ledger"
	"github.com/degas-dns/degas/serve/tensorflow"
	"github.com/degas-dns/degas/serve/token"
)

// Limits bound what clients can make the server do. Zero fields are the defaults.
type Limits struct {
	Connections int           // open at once: default 4096. The one that was idle longest gives way to a new one
	Requests    int           // in work at once: default 1024. Further ones get status 429
	Header      time.Duration // for a request's header to arrive: default 10 s
	Body        time.Duration // for a whole request to arrive: default 1 min
	Answer      time.Duration // for an answer to be worked out: default 30 s. Then its status is 503
	Read        time.Duration // for a client to read its answer: default 1 min
	Shutdown    time.Duration // for requests in work when the server stops: default 10 s
}

func (l Limits) orDefault() Limits {
	or := func(d *time.Duration, usual time.Duration) {
		if *d == 0 {
			*d = usual
		}
	}
	if l.Connections == 0 {
		l.Connections = 4096
	}
	if l.Requests == 0 {
		l.Requests = 1024
	}
	or(&l.Header, 10*time.Second)
	or(&l.Body, time.Minute)
	or(&l.Answer, 30*time.Second)
	or(&l.Read, time.Minute)
	or(&l.Shutdown, 10*time.Second)
	return l
}

// Options are what a Server is made of.
type Options struct {
	Version string // of the program, for metrics
	Models  *models.Set
	Engine  *Engine
	// Tokens says who may do what; nil lets everybody do everything.
	Tokens *token.Set
	// Hosts are the names and addresses, without ports, that a Host header may have; nil allows all. A web page can make
	// a browser send requests to any address, under a name of its own: the header tells.
	Hosts []string
	// Intake takes events, Store keeps them, and Watching counts what becomes of them. Without an Intake there is no
	// /v1/events.
	Intake   *Intake
	Store    store.Store
	Ledger   *ledger.Ledger // has findings and decisions
	Shadow   *shadow.Shadow // compares candidates with the version in force, over what is kept; nil for none
	Watching *metrics.Metrics
	// Console has the pages for people; nil for none. Who is logged in there needs no token.
	Console *console.Console
	// OwnMetrics says that the metrics are served elsewhere, by MetricsHandler.
	OwnMetrics bool
	Limits     Limits
	Log        *slog.Logger // nil discards
}

// Server is the server. Make it with New.
type Server struct {
	o         Options
	log       *slog.Logger
	reply     reply.Writer
	metrics   *numbers
	handler   http.Handler
	places    *places
	scopes    map[string]token.Scope // by pattern: what a token needs
	pages     map[string]bool        // by pattern: those of the console; true goes on for as long as somebody reads it
	decisions *decisions.API         // nil without a ledger
	stopping  atomic.Bool
}

// New makes a Server.
func New(o Options) (*Server, error) {
	if o.Models == nil || o.Engine == nil {
		return nil, errors.New("serve: Models and Engine have to be there")
	}
	o.Limits = o.Limits.orDefault()
	s := &Server{o: o, log: o.Log, places: newPlaces(o.Limits.Requests)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.reply = reply.Writer{Log: s.log, Timeout: o.Limits.Read}
	s.metrics = newNumbers(&s.o)
	o.Models.Scored = s.metrics.scored
	if o.Ledger != nil {
		s.decisions = decisions.New(o.Ledger, s.log)
	}
	if o.Console != nil {
		o.Console.SetReady(s.ready)
	}
	s.handler = s.guarded(s.routes())
	return s, nil
}

// Handler answers requests, behind all guards.
func (s *Server) Handler() http.Handler { return s.handler }

// MetricsHandler answers /metrics, TensorFlow Serving's path of it, /livez and /readyz, for a listener of its own.
func (s *Server) MetricsHandler() http.Handler {
	mux := http.NewServeMux()
	s.health(mux)
	for pattern, h := range s.metricsRoutes() {
		mux.Handle(pattern, h)
	}
	return mux
}

func (s *Server) metricsRoutes() map[string]http.Handler {
	return map[string]http.Handler{"GET /metrics": s.metricsPage(),
		"GET /monitoring/prometheus/metrics": promhttp.HandlerFor(s.metrics.tensorflow, promhttp.HandlerOpts{})}
}

// call is a handler that returns its answer, or an error.
type call func(w http.ResponseWriter, r *http.Request, memory *models.Lease) (any, error)

// json makes an http.Handler of a call.
func (s *Server) json(f call) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		memory := s.o.Models.Lease()
		defer memory.Release() // after the answer is written
		answer, err := f(w, r, memory)
		if err != nil {
			s.reply.Failed(w, r, err)
			return
		}
		s.reply.JSON(w, r, answer)
	})
}

//go:embed openapi.yaml
var openAPI []byte

// routes are all that the server answers. scopes has what a token needs for each pattern; one that is not there is for
// everybody.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	s.scopes = map[string]token.Scope{}
	handle := func(scope token.Scope, pattern string, h http.Handler) {
		mux.Handle(pattern, h)
		s.scopes[pattern] = scope
	}
	s.health(mux)
	if !s.o.OwnMetrics {
		for pattern, h := range s.metricsRoutes() {
			handle(token.Metrics, pattern, h)
		}
	}
	mux.HandleFunc("GET /openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		s.reply.Bytes(w, http.StatusOK, "application/yaml", openAPI)
	})
	handle(token.Score, "GET /v1/names", s.json(s.names))
	handle(token.Score, "POST /v1/names", s.json(s.names))
	if s.o.Intake != nil {
		handle(token.Events, "POST /v1/events", s.json(s.eventsIn))
	}
	if s.o.Store != nil {
		handle(token.Decide, "GET /v1/events", s.json(s.eventsOut))
		handle(token.Decide, "GET /v1/counts", s.json(s.counts))
		handle(token.Decide, "GET /v1/top", s.json(s.top))
	}
	if s.o.Ledger != nil {
		handle(token.Decide, "GET /v1/findings", s.json(s.findings))
		for _, r := range s.decisions.Routes() {
			handle(r.Scope, r.Pattern, r.Handler)
		}
	}
	s.pages = map[string]bool{}
	if s.o.Console != nil {
		for _, r := range s.o.Console.Routes() {
			mux.HandleFunc(r.Pattern, r.Handler)
			s.pages[r.Pattern] = r.Stream
		}
	}
	s.absent(handle)
	s.otherMethods(mux)
	v2 := &kserve.Handler{Models: s.o.Models, Reply: s.reply, Version: s.o.Version, Ready: s.ready}
	handle(token.Score, "/v2", v2)
	handle(token.Score, "/v2/", v2)
	calls := &grpc.Handler{Models: s.o.Models, Log: s.log, Methods: tensorflow.Methods(s.o.Models)}
	handle(token.Score, "POST /tensorflow.serving.PredictionService/", calls)
	handle(token.Score, "POST /tensorflow.serving.ModelService/", calls)
	handle(token.Score, "/", s.asTensorFlow(&tensorflow.Handler{Models: s.o.Models, Reply: s.reply}))
	return mux
}

// absent says why a route of degas is not there: "/" would take the request for TensorFlow Serving's.
func (s *Server) absent(handle func(token.Scope, string, http.Handler)) {
	say := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			s.reply.Failed(w, r, &reply.Failure{Status: http.StatusNotFound, Text: text})
		}
	}
	if s.o.OwnMetrics {
		handle(token.Metrics, "GET /metrics", say("The metrics have an address of their own: see --metrics"))
	}
	for path, there := range map[string]bool{
		"/v1/events": s.o.Intake != nil || s.o.Store != nil, "/v1/counts": s.o.Store != nil,
		"/v1/top": s.o.Store != nil, "/v1/findings": s.o.Ledger != nil, "/v1/decisions": s.o.Ledger != nil,
		"/v1/decisions.csv": s.o.Ledger != nil, "/v1/lists/": s.o.Ledger != nil} {
		if !there {
			handle(token.Decide, path, say("Nothing is kept here. Try: degas serve --data DIR"))
		}
	}
}

// otherMethods answers 405 where a path of ours is asked with another method. "/" would take the request for
// TensorFlow Serving's.
func (s *Server) otherMethods(mux *http.ServeMux) {
	methods := map[string][]string{}
	for pattern := range s.scopes {
		if method, path, ok := strings.Cut(pattern, " "); ok {
			methods[path] = append(methods[path], method)
		}
	}
	for path, allowed := range methods {
		allow := strings.Join(slices.Sorted(slices.Values(allowed)), ", ")
		s.scopes[path] = token.Score
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", allow)
			s.reply.Failed(w, r, &reply.Failure{Status: http.StatusMethodNotAllowed,
				Text: "There is no " + r.Method + " here. Try: " + allow})
		})
	}
}

// health adds /livez, /healthz and /readyz.
func (s *Server) health(mux *http.ServeMux) {
	alive := func(w http.ResponseWriter, _ *http.Request) {
		s.reply.Bytes(w, http.StatusOK, "text/plain; charset=utf-8", []byte("ok\n"))
	}
	mux.HandleFunc("GET /livez", alive)
	mux.HandleFunc("GET /healthz", alive)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		status, text := http.StatusOK, "ok"
		if err := s.ready(); err != nil {
			status, text = http.StatusServiceUnavailable, err.Error()
		}
		s.reply.Bytes(w, status, "text/plain; charset=utf-8", []byte(text+"\n"))
	})
}

// ready says what keeps the server from its work: nil if nothing does. Models are loaded before it starts.
func (s *Server) ready() error {
	if s.stopping.Load() {
		return errors.New("stopping")
	}
	if s.o.Store != nil && s.o.Store.Stats().Unwritable {
		return errors.New("the store cannot be written to; the log says why")
	}
	return nil
}
