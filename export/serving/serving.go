// Package serving answers TensorFlow Serving's REST API with degas' own inference, so that clients of a TensorFlow Serving
// that serves an exported model need no change:
//
//	GET  /v1/models/NAME[/versions/N]             status
//	GET  /v1/models/NAME[/versions/N]/metadata    signatures
//	POST /v1/models/NAME[/versions/N]:predict     {"instances": […]} or {"inputs": …}, and "signature_name"
//
// Signatures are those of the SavedModel (package savedmodel). Names are folded as "degas predict" does, which includes
// what the graph of the SavedModel cannot: IDNA and a URL around a name. A request may have 64 MiB (else it is answered
// with status 413) and 100,000 rows (else 400).
package serving

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"

	"github.com/degas-dns/degas/export/savedmodel"
	"github.com/degas-dns/degas/model"
)

// Bounds of a request: bytes of its body, and rows, whose answers are larger than themselves.
const (
	maxBody = 64 << 20
	maxRows = 100_000
)

// Version is one version of the served model.
type Version struct {
	Number     int
	Classifier *model.Classifier
}

// Server is an http.Handler. Make it with New.
type Server struct {
	name     string
	versions []served // by number
}

// served is a version with its signatures by key.
type served struct {
	number     int
	classifier *model.Classifier
	signatures map[string]savedmodel.Signature
}

// New serves versions of a model under name; requests that name no version get the highest.
func New(name string, versions []Version) (*Server, error) {
	if len(versions) == 0 {
		return nil, errors.New("nothing to serve")
	}
	s := &Server{name: name}
	for _, v := range versions {
		list, err := savedmodel.Signatures(v.Classifier.Model())
		if err != nil {
			return nil, fmt.Errorf("version %d: %w", v.Number, err)
		}
		one := served{v.Number, v.Classifier, map[string]savedmodel.Signature{}}
		for _, sig := range list {
			one.signatures[sig.Key] = sig
		}
		s.versions = append(s.versions, one)
	}
	slices.SortFunc(s.versions, func(a, b served) int { return a.number - b.number })
	return s, nil
}

// Paths as TensorFlow Serving has them (http_rest_api_util.cc).
var (
	predictPath = regexp.MustCompile(`(?i)^/v1/models/([^/:]+)(?:/versions/(\d+))?:predict$`)
	statusPath  = regexp.MustCompile(`(?i)^/v1/models/([^/:]+)(?:/versions/(\d+))?(/metadata)?$`)
)

// failure is an error with its HTTP status.
type failure struct {
	status int
	text   string
}

func (f failure) Error() string { return f.text }

func badRequest(format string, args ...any) error {
	return failure{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := s.answer(w, r)
	status := http.StatusOK
	if err != nil {
		status = http.StatusInternalServerError
		if f := (failure{}); errors.As(err, &f) {
			status = f.status
		}
		answer = map[string]string{"error": err.Error()}
	}
	data, err := json.Marshal(answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // nobody is left to tell
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) (any, error) {
	if m := predictPath.FindStringSubmatch(r.URL.Path); m != nil && r.Method == http.MethodPost {
		v, err := s.find(m[1], m[2])
		if err != nil {
			return nil, err
		}
		return v.predict(r.Context(), http.MaxBytesReader(w, r.Body, maxBody))
	}
	m := statusPath.FindStringSubmatch(r.URL.Path)
	if m == nil || r.Method != http.MethodGet {
		return nil, badRequest("Malformed request: %s %s", r.Method, r.URL.Path)
	}
	v, err := s.find(m[1], m[2])
	switch {
	case err != nil:
		return nil, err
	case m[3] != "":
		return s.metadata(v), nil
	case m[2] != "":
		return status([]served{v}), nil
	}
	return status(s.versions), nil
}

// find looks up a model's version; the highest for "".
func (s *Server) find(name, version string) (served, error) {
	if name == s.name && version == "" {
		return s.versions[len(s.versions)-1], nil
	}
	for _, v := range s.versions {
		if name == s.name && version == strconv.Itoa(v.number) {
			return v, nil
		}
	}
	wanted := "Latest(" + name + ")"
	if version != "" {
		wanted = "Specific(" + name + ", " + version + ")"
	}
	return served{}, failure{http.StatusNotFound, "Servable not found for request: " + wanted}
}

type object = map[string]any

func status(versions []served) any {
	var list []any
	for _, v := range slices.Backward(versions) {
		list = append(list, object{"version": strconv.Itoa(v.number), "state": "AVAILABLE",
			"status": object{"error_code": "OK", "error_message": ""}})
	}
	return object{"model_version_status": list}
}

// metadata is GetModelMetadataResponse as JSON.
func (s *Server) metadata(v served) any {
	tensors := func(list []savedmodel.TensorInfo) object {
		out := object{}
		for _, t := range list {
			dims := []any{}
			for _, d := range t.Shape {
				dims = append(dims, object{"size": strconv.Itoa(d), "name": ""})
			}
			out[t.Key] = object{"dtype": t.Kind.String(), "name": t.Tensor + ":0",
				"tensor_shape": object{"dim": dims, "unknown_rank": false}}
		}
		return out
	}
	defs := object{}
	for key, sig := range v.signatures {
		defs[key] = object{"inputs": tensors(sig.Inputs), "outputs": tensors(sig.Outputs), "method_name": "tensorflow/serving/predict"}
	}
	return object{
		"model_spec": object{"name": s.name, "signature_name": "", "version": strconv.Itoa(v.number)},
		"metadata":   object{"signature_def": object{"signature_def": defs}},
	}
}
