// Package tensorflow answers TensorFlow Serving's REST API with degas' own inference, so that clients of a TensorFlow
// Serving that serves an exported model need no change:
//
//	GET  /v1/models/NAME[/versions/N]             status
//	GET  /v1/models/NAME[/versions/N]/metadata    signatures
//	POST /v1/models/NAME[/versions/N]:predict     {"instances": […]} or {"inputs": …}, and "signature_name"
//
// Package tfserving describes the signatures. Names are folded as "degas predict" folds them, which includes two things
// that the graph of a SavedModel cannot do: IDNA, and URLs around a name. What is no name gets the label "invalid" and
// the score 0. A request may have models.MaxBody bytes, else the answer has status 413, and models.MaxRows rows, else
// 400. All requests in work share models.Memory. If it is taken, the answer has status 429 and Retry-After.
package tensorflow

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// Handler is an http.Handler. It is safe for concurrent use.
type Handler struct {
	// Models answer.
	Models *models.Set
	// Reply writes the answers.
	Reply reply.Writer
}

// modelPath is a path as TensorFlow Serving has it (http_rest_api_util.cc).
var modelPath = regexp.MustCompile(`(?i)^/v1/models/([^/:]+)(?:/versions/(\d+))?(:predict|/metadata)?$`)

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	memory := h.Models.Lease()
	defer memory.Release() // after the answer is written
	answer, err := h.answer(w, r, memory)
	if err != nil {
		h.Reply.Failed(w, r, err)
		return
	}
	h.Reply.JSON(w, r, answer)
}

func (h *Handler) answer(w http.ResponseWriter, r *http.Request, memory *models.Lease) (any, error) {
	m := modelPath.FindStringSubmatch(r.URL.Path)
	predict := m != nil && strings.EqualFold(m[3], ":predict")
	method := http.MethodGet
	if predict {
		method = http.MethodPost
	}
	if m == nil || r.Method != method {
		return nil, reply.BadRequest("Malformed request: %s %s", r.Method, r.URL.Path)
	}
	v, err := h.find(m[1], m[2])
	switch {
	case err != nil:
		return nil, err
	case predict:
		return h.predict(r.Context(), v, http.MaxBytesReader(w, r.Body, models.MaxBody), memory)
	case m[3] != "":
		return metadata(v), nil
	case m[2] != "":
		return statusOf(v), nil
	}
	return statusOf(h.Models.Versions(v.Model)...), nil
}

// find looks up a version of a model, the highest for "".
func (h *Handler) find(name, version string) (*models.Version, error) {
	if v, ok := h.Models.Find(name, version); ok {
		return v, nil
	}
	wanted := "Latest(" + name + ")"
	if version != "" {
		wanted = "Specific(" + name + ", " + version + ")"
	}
	return nil, &reply.Failure{Status: http.StatusNotFound, Text: "Servable not found for request: " + wanted}
}
