package kserve

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// The messages about the server and its models, fields in the order in which they are written.

// extensions are those of Triton that this package has.
var extensions = []string{"binary_tensor_data", "model_repository"}

type serverMetadata struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Extensions []string `json:"extensions"`
}

type modelMetadata struct {
	Name     string           `json:"name"`
	Versions []string         `json:"versions"`
	Platform string           `json:"platform"`
	Inputs   []tensorMetadata `json:"inputs"`
	Outputs  []tensorMetadata `json:"outputs"`
}

type tensorMetadata struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Shape    []int  `json:"shape"` // -1 is the batch
}

// metadataOf describes v, which is one of all.
func metadataOf(v *models.Version, all []*models.Version) modelMetadata {
	spec := &v.Classifier.Model().Spec
	m := modelMetadata{
		Name: v.Model, Platform: "degas",
		Inputs: []tensorMetadata{
			{inputName, typeBytes, []int{-1}}, {spec.Input(), "INT64", []int{-1, spec.Encoder.Window}}},
		Outputs: []tensorMetadata{{outputLabel, typeBytes, []int{-1}}, {outputScore, typeFloat, []int{-1, 1}},
			{outputScores, typeFloat, []int{-1, len(spec.Labels)}}},
	}
	for _, one := range all {
		m.Versions = append(m.Versions, strconv.Itoa(one.Number))
	}
	return m
}

type indexEntry struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	State   string `json:"state"`
}

// index lists the models. All of them are ready, so the only wish that a request may have, {"ready": true}, changes
// nothing.
func (h *Handler) index(w http.ResponseWriter, r *http.Request, memory *models.Lease) (any, error) {
	body, err := readBody(w, r, memory)
	if err != nil {
		return nil, err
	}
	if len(body) > 0 && !json.Valid(body) {
		return nil, syntaxError(body)
	}
	list := []indexEntry{}
	for _, name := range h.Models.Names() {
		for _, v := range h.Models.Versions(name) {
			list = append(list, indexEntry{name, strconv.Itoa(v.Number), "READY"})
		}
	}
	return list, nil
}

// syntaxError is the answer to a body that is no JSON.
func syntaxError(body []byte) error {
	return reply.BadRequest("failed to parse the request JSON buffer: %v", json.Unmarshal(body, new(json.RawMessage)))
}
