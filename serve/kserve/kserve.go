// Package kserve answers the Open Inference Protocol, version 2, over HTTP. KServe, Triton and MLServer speak it. Where
// the protocol leaves something open, the package does as Triton:
//
//	GET  /v2                                      the server and its extensions
//	GET  /v2/health/live, /v2/health/ready        status 200 without a body
//	GET  /v2/models/NAME[/versions/N]             inputs and outputs
//	GET  /v2/models/NAME[/versions/N]/ready       status 200 without a body
//	POST /v2/models/NAME[/versions/N]/infer       scores
//	POST /v2/repository/index                     all models and versions
//
// A request has one of two inputs:
//
//	name             BYTES, shape [n] or [n, 1]   names as they are
//	<input name>     an integer type, [n, window] codes, as the ONNX file takes them; domain_ids in most models
//
// The outputs are label, BYTES [n]; score, FP32 [n, 1], the probability that a name is not benign; and scores, FP32
// [n, labels], in the order of the labels. A request may choose some of them. Clients of the ONNX file may ask for
// scores by the name that the file has for them, "probabilities".
//
// Names are folded as "degas predict" folds them. What is no name gets the label "invalid" and the score 0.
//
// Tensors may be JSON or binary (Triton's binary_tensor_data extension), and bodies may be compressed with gzip or
// deflate. Shared memory and Triton's classification are refused; other parameters change nothing.
//
// A request may have models.MaxBody bytes after decompression, else the answer has status 413, and models.MaxRows rows,
// else 400. All requests in work share models.Memory. If it is taken, the answer has status 429 and Retry-After.
package kserve

import (
	"net/http"
	"regexp"
	"strconv"

	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// Handler is an http.Handler. It is safe for concurrent use.
type Handler struct {
	// Models answer.
	Models *models.Set
	// Reply writes the answers.
	Reply reply.Writer
	// Version of the server, for its metadata.
	Version string
	// Ready says why the server takes no requests now. nil: it always does.
	Ready func() error
}

// modelPath is a path about a model.
var modelPath = regexp.MustCompile(`^/v2/models/([^/]+)(?:/versions/([0-9]+))?(/ready|/infer)?$`)

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	memory := h.Models.Lease()
	defer memory.Release() // after the answer is written
	answer, err := h.answer(w, r, memory)
	if err != nil {
		h.Reply.Failed(w, r, err)
		return
	}
	switch a := answer.(type) {
	case nil:
		h.Reply.Bytes(w, http.StatusOK, "text/plain", nil)
	case binaryAnswer:
		w.Header().Set(headerLength, strconv.Itoa(a.header))
		h.Reply.Bytes(w, http.StatusOK, "application/octet-stream", a.body)
	default:
		h.Reply.JSON(w, r, answer)
	}
}

// answer is nil for an empty body.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, memory *models.Lease) (any, error) {
	method := http.MethodGet
	var do func() (any, error)
	switch path := r.URL.Path; path {
	case "/v2":
		do = func() (any, error) { return serverMetadata{"degas", h.Version, extensions}, nil }
	case "/v2/health/live":
		do = func() (any, error) { return nil, nil }
	case "/v2/health/ready":
		do = h.ready
	case "/v2/repository/index":
		method = http.MethodPost
		do = func() (any, error) { return h.index(w, r, memory) }
	default:
		m := modelPath.FindStringSubmatch(path)
		if m == nil {
			return nil, &reply.Failure{Status: http.StatusNotFound, Text: "Not Found"}
		}
		if m[3] == "/infer" {
			method = http.MethodPost
		}
		do = func() (any, error) { return h.model(w, r, m, memory) }
	}
	if r.Method != method && (r.Method != http.MethodHead || method != http.MethodGet) {
		w.Header().Set("Allow", method)
		return nil, &reply.Failure{Status: http.StatusMethodNotAllowed, Text: "Method Not Allowed: send " + method}
	}
	return do()
}

// ready answers with 400, the status of the protocol for "no", although 503 would be HTTP's.
func (h *Handler) ready() (any, error) {
	if h.Ready == nil {
		return nil, nil
	}
	if err := h.Ready(); err != nil {
		return nil, &reply.Failure{Status: http.StatusBadRequest, Text: "The server is not ready", Cause: err}
	}
	return nil, nil
}

// model answers what is asked of a model. m is the match of modelPath.
func (h *Handler) model(w http.ResponseWriter, r *http.Request, m []string, memory *models.Lease) (any, error) {
	name, version := m[1], m[2]
	v, ok := h.Models.Find(name, version)
	if !ok {
		text := "Request for unknown model: '" + name + "' is not found"
		if version != "" {
			text = "Request for unknown model: '" + name + "' version " + version + " is not found"
		}
		return nil, &reply.Failure{Status: http.StatusNotFound, Text: text}
	}
	switch m[3] {
	case "/infer":
		return h.infer(w, r, v, memory)
	case "/ready": // a Set holds only versions that work
		return nil, nil
	}
	return metadataOf(v, h.Models.Versions(name)), nil
}
