// Package tensorflow answers TensorFlow Serving's REST API with degas' own inference, so that clients of a TensorFlow
// Serving that serves an exported model need no change:
//
//	GET  /v1/models/NAME[/versions/N|/labels/L]             status
//	GET  /v1/models/NAME[/versions/N|/labels/L]/metadata    signatures
//	POST /v1/models/NAME[/versions/N|/labels/L]:predict     {"instances": […]} or {"inputs": …}, and "signature_name"
//	POST /v1/models/NAME[/versions/N|/labels/L]:classify    {"examples": [{"domain": …}, …]}, and "context"
//	POST /v1/models/NAME[/versions/N|/labels/L]:regress     the same; the answer has scores
//
// Paths, codes and texts of errors, and numbers are those of TensorFlow Serving's source. Errors that it has not have
// texts of our own.
//
// Package tfserving describes the signatures. The default signature takes names and codes alike: strings are names,
// lists of numbers are codes. So the clients of the original degas may send either. Names are folded as "degas predict"
// folds them, which includes two things that the graph of a SavedModel cannot do: IDNA, and URLs around a name. What is
// no name gets the label "invalid" and the score 0.
//
// A request may have models.MaxBody bytes, else the answer has status 413, and models.MaxRows rows, else 400. All
// requests in work share models.Memory. If it is taken, the answer has status 429 and Retry-After.
package tensorflow

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// Handler is an http.Handler. It is safe for concurrent use.
type Handler struct {
	// Models answer.
	Models *models.Set
	// Reply writes the answers. Its Indent does not count.
	Reply reply.Writer
	// CORS lets scripts of any web page use the models, as TensorFlow Serving's --rest_api_enable_cors_support does.
	CORS bool
}

// Paths as TensorFlow Serving has them (http_rest_api_util.cc), before their escapes are decoded.
var (
	predictionPath = regexp.MustCompile(
		`(?i)^/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?:(classify|regress|predict)$`)
	modelPath = regexp.MustCompile(
		`(?i)^/v1/models(?:/([^/:]+))?(?:/versions/(\d+)|/labels/([^/:]+))?(?:/(metadata))?$`)
)

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	errorWriter, valueWriter := h.Reply, h.Reply
	errorWriter.Indent, valueWriter.Indent = "    ", " "
	if h.CORS {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Methods", "POST, GET")
		w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
	}
	memory := h.Models.Lease()
	defer memory.Release() // after the answer is written
	answer, err := h.answer(w, r, memory)
	if f, ok := errors.AsType[*reply.Failure](err); ok && errors.Is(r.Context().Err(), context.DeadlineExceeded) {
		err = &reply.Failure{Status: http.StatusGatewayTimeout, Text: f.Text, Cause: f.Cause, Retry: f.Retry}
	}
	switch data, written := answer.([]byte); {
	case err != nil:
		errorWriter.Failed(w, r, err)
	case written:
		h.Reply.Bytes(w, http.StatusOK, "application/json", data)
	default:
		valueWriter.JSON(w, r, answer)
	}
}

// answer gives a value, or its JSON.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, memory *models.Lease) (any, error) {
	path := r.URL.EscapedPath()
	if len(path) < 4 || !strings.EqualFold(path[:4], "/v1/") {
		return nil, &reply.Failure{Status: http.StatusNotFound, Text: "Not Found"}
	}
	var pattern *regexp.Regexp
	switch r.Method {
	case http.MethodOptions:
		if r.Header.Get("Origin") == "" {
			return nil, reply.BadRequest("The Origin header is missing")
		}
		return []byte{}, nil
	case http.MethodPost:
		pattern = predictionPath
	case http.MethodGet:
		pattern = modelPath
	}
	var m []string
	if pattern != nil {
		m = pattern.FindStringSubmatch(path)
	}
	if m == nil {
		return nil, reply.BadRequest("Malformed request: %s %s", r.Method, path)
	}
	which, err := h.model(m[1], m[2], m[3])
	switch {
	case err != nil:
		return nil, err
	case r.Method == http.MethodGet && m[4] == "":
		status, err := h.status(which)
		return status, err
	}
	v, err := h.find(which)
	if err != nil {
		return nil, err
	}
	if r.Method == http.MethodGet {
		return metadata(v), nil
	}
	body, err := readBody(w, r, memory)
	if err != nil {
		return nil, err
	}
	req, err := parse(body)
	switch {
	case err != nil:
		return nil, err
	case strings.EqualFold(m[4], "predict"):
		return predict(r.Context(), v, req, memory)
	}
	return classify(r.Context(), v, req, memory, strings.EqualFold(m[4], "regress"))
}

// modelSpec is a model as a path names it.
type modelSpec struct {
	name    string
	version int64 // -1 for the highest
}

// model reads the parts of a path.
func (h *Handler) model(name, version, label string) (modelSpec, error) {
	spec := modelSpec{version: -1}
	var errs [2]error
	spec.name, errs[0] = url.PathUnescape(name)
	label, errs[1] = url.PathUnescape(label)
	if err := errors.Join(errs[:]...); err != nil {
		return spec, reply.BadRequest("%v", err)
	}
	switch {
	case name == "":
		return spec, reply.BadRequest("Missing model name in request.")
	case version != "":
		number, err := strconv.ParseInt(version, 10, 64)
		if err != nil {
			return spec, reply.BadRequest("Failed to convert version: %s to numeric.", version)
		}
		spec.version = number
	case label != "":
		number, ok := h.Models.Labelled(spec.name, label)
		if !ok {
			return spec, reply.BadRequest("Unrecognized servable version label: %s", label)
		}
		spec.version = int64(number)
	}
	return spec, nil
}

// find looks up a version that is served.
func (h *Handler) find(m modelSpec) (*models.Version, error) {
	version, wanted := "", fmt.Sprintf("Latest(%s)", m.name)
	if m.version >= 0 {
		version = strconv.FormatInt(m.version, 10)
		wanted = fmt.Sprintf("Specific(%s, %s)", m.name, version)
	}
	if v, ok := h.Models.Find(m.name, version); ok {
		return v, nil
	}
	return nil, &reply.Failure{Status: http.StatusNotFound, Text: "Servable not found for request: " + wanted}
}
