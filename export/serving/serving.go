// Package serving answers TensorFlow Serving's REST API with degas' own inference, so that clients of a TensorFlow
// Serving that serves an exported model need no change:
//
//	GET  /v1/models/NAME[/versions/N]             status
//	GET  /v1/models/NAME[/versions/N]/metadata    signatures
//	POST /v1/models/NAME[/versions/N]:predict     {"instances": […]} or {"inputs": …}, and "signature_name"
//
// Package tfserving describes the signatures. Names are folded as "degas predict" folds them, which includes two things
// that the graph of a SavedModel cannot do: IDNA, and URLs around a name. What is no name gets the label "invalid" and
// the score 0. A request may have 64 MiB, else the answer has status 413, and 100,000 rows, else 400. All requests in
// work share Memory. If it is taken, the answer has status 503 and Retry-After.
package serving

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/degas-dns/degas/export/tfserving"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model"
)

// Bounds of a request: the bytes of its body, and its rows, because an answer is larger than its request. The text of
// an error may quote the request.
const (
	maxBody = 64 << 20
	maxRows = 100_000
	maxText = 1000
)

// Version is one version of the served model.
type Version struct {
	Number     int
	Classifier *model.Classifier

	stamp string // of its files when Load read them, "" for another
}

// Server is an http.Handler. Make it with New. It is safe for concurrent use.
type Server struct {
	// WriteTimeout is the time for a client to read its answer. New sets one minute.
	WriteTimeout time.Duration

	name     string
	versions atomic.Pointer[[]servedVersion] // by number
	log      *slog.Logger
	memory   budget
	scorers  int64 // goroutines that may score at once: each has the activations of many names
	scoring  *semaphore.Weighted
}

// servedVersion is a version with its signatures by key.
type servedVersion struct {
	Version
	signatures map[string]tfserving.Signature
}

// New serves versions of a model under name. A request that names no version gets the highest. log receives the causes
// of errors, which clients are not told; nil discards them.
func New(name string, versions []Version, log *slog.Logger) (*Server, error) {
	if !servedName.MatchString(name) || strings.Trim(name, ".") == "" {
		return nil, fmt.Errorf("the model's name %q cannot stand in a URL's path: it must not be empty, dots alone, or have "+
			"a slash or a colon. Try: --name", name)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{WriteTimeout: time.Minute, name: name, log: log, memory: newBudget(),
		scorers: int64(runtime.GOMAXPROCS(0))}
	s.scoring = semaphore.NewWeighted(s.scorers)
	if err := s.serve(versions); err != nil {
		return nil, err
	}
	return s, nil
}

// serve answers with versions from now on. A request in work goes on with the version that it began with.
func (s *Server) serve(versions []Version) error {
	if len(versions) == 0 {
		return errors.New("nothing to serve")
	}
	var served []servedVersion
	for _, v := range versions {
		list, err := tfserving.Signatures(v.Classifier.Model())
		if err != nil {
			return fmt.Errorf("version %d: %w", v.Number, err)
		}
		byKey := map[string]tfserving.Signature{}
		for _, sig := range list {
			byKey[sig.Key] = sig
		}
		served = append(served, servedVersion{v, byKey})
	}
	slices.SortFunc(served, func(a, b servedVersion) int { return a.Number - b.Number })
	s.versions.Store(&served)
	return nil
}

// modelPath is a path as TensorFlow Serving has it (http_rest_api_util.cc).
var modelPath = regexp.MustCompile(`(?i)^/v1/models/([^/:]+)(?:/versions/(\d+))?(:predict|/metadata)?$`)

// servedName is a name that modelPath finds in a path.
var servedName = regexp.MustCompile(`^[^/:]+$`)

// ServeHTTP implements http.Handler. A client sees the text of a failure and the log its cause. Any other error is an
// "internal error" to the client. A request whose client went away gets no answer.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var data []byte
	memory := s.memory.lease()
	defer memory.release() // after the answer is written
	answer, err := s.answer(w, r, memory)
	if err == nil {
		data, err = json.Marshal(answer)
	}
	status := http.StatusOK
	if err != nil {
		f := failure{http.StatusInternalServerError, "internal error", err}
		switch errors.As(err, &f); {
		case r.Context().Err() != nil && f.status != http.StatusRequestTimeout: // which ends the context too
			f.status, f.cause = statusClientClosed, err
		case f.cause == nil:
			f.cause = err
		}
		s.logFailure(r, f)
		if f.status == statusClientClosed {
			return
		}
		status = f.status
		data, _ = json.Marshal(errorBody{f.text[:min(len(f.text), maxText)]}) // a string cannot fail
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	data = append(printable.JSON(data), '\n')
	// Without the deadline a client that does not read would keep the memory. A writer without deadlines is a test's.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.WriteTimeout))
	_, _ = w.Write(data) // nobody is left to tell
}

// statusClientClosed is the status that logs give a request whose client went away, as nginx does.
const statusClientClosed = 499

// logFailure logs failures of this server as errors. Mistakes and too many requests are for debugging: a line for each
// would fill the log.
func (s *Server) logFailure(r *http.Request, f failure) {
	level := slog.LevelDebug
	if f.status == http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.log.Log(r.Context(), level, "request failed",
		"method", r.Method, "path", r.URL.Path, "status", f.status, "cause", f.cause)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, memory *lease) (any, error) {
	m := modelPath.FindStringSubmatch(r.URL.Path)
	predict := m != nil && strings.EqualFold(m[3], ":predict")
	method := http.MethodGet
	if predict {
		method = http.MethodPost
	}
	if m == nil || r.Method != method {
		return nil, badRequest("Malformed request: %s %s", r.Method, r.URL.Path)
	}
	v, err := s.find(m[1], m[2])
	switch {
	case err != nil:
		return nil, err
	case predict:
		return s.predict(r.Context(), v, http.MaxBytesReader(w, r.Body, maxBody), memory)
	case m[3] != "":
		return s.metadata(v), nil
	case m[2] != "":
		return statusOf(v), nil
	}
	return statusOf(*s.versions.Load()...), nil
}

// find looks up a version of the model, the highest for "".
func (s *Server) find(name, version string) (servedVersion, error) {
	for _, v := range slices.Backward(*s.versions.Load()) {
		if name == s.name && (version == "" || version == strconv.Itoa(v.Number)) {
			return v, nil
		}
	}
	wanted := "Latest(" + name + ")"
	if version != "" {
		wanted = "Specific(" + name + ", " + version + ")"
	}
	return servedVersion{}, failure{status: http.StatusNotFound, text: "Servable not found for request: " + wanted}
}
