package kserve

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"strconv"

	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// Outputs of every model. outputProbabilities is what the ONNX file calls the scores.
const (
	outputLabel         = "label"
	outputScore         = "score"
	outputScores        = "scores"
	outputProbabilities = "probabilities"
)

type response struct {
	ID      string         `json:"id,omitempty"`
	Model   string         `json:"model_name"`
	Version string         `json:"model_version"`
	Outputs []outputTensor `json:"outputs"`
}

type outputTensor struct {
	Name       string      `json:"name"`
	Datatype   string      `json:"datatype"`
	Shape      []int       `json:"shape"`
	Parameters *binarySize `json:"parameters,omitempty"`
	Data       any         `json:"data,omitempty"` // []string or []float32, nil if it is binary
}

type binarySize struct {
	Size int `json:"binary_data_size"`
}

// binaryAnswer is a response with binary tensors.
type binaryAnswer struct {
	body   []byte
	header int // how many bytes of it are JSON
}

// infer answers a request for scores.
func (h *Handler) infer(
	w http.ResponseWriter,
	r *http.Request,
	v *models.Version,
	memory *models.Lease,
) (any, error) {
	body, err := readBody(w, r, memory)
	if err != nil {
		return nil, err
	}
	header, rest, err := split(body, r.Header.Get(headerLength))
	if err != nil {
		return nil, err
	}
	req, err := parse(header)
	if err != nil {
		return nil, err
	}
	outputs, err := req.wanted(v)
	if err != nil {
		return nil, err
	}
	p, err := req.probabilities(r.Context(), v, rest, memory)
	if err != nil {
		return nil, err
	}
	return req.answer(v, outputs, p)
}

// wanted are the outputs that a request asks for, all if it names none. Who asks twice gets one answer, as from Triton.
func (r *request) wanted(v *models.Version) ([]output, error) {
	if len(r.outputs) == 0 {
		return []output{{outputLabel, nil}, {outputScore, nil}, {outputScores, nil}}, nil
	}
	var out []output
	seen := map[string]bool{}
	for _, o := range r.outputs {
		switch o.name {
		case outputLabel, outputScore, outputScores, outputProbabilities:
		default:
			return nil, reply.BadRequest("unexpected inference output '%s' for model '%s': it has '%s', '%s' and '%s'",
				o.name, v.Model, outputLabel, outputScore, outputScores)
		}
		if !seen[o.name] {
			out = append(out, o)
		}
		seen[o.name] = true
	}
	if seen[outputScores] && seen[outputProbabilities] { // which models.Version.CostOfRow does not count
		return nil, reply.BadRequest("The outputs '%s' and '%s' are the same: ask for one of them",
			outputScores, outputProbabilities)
	}
	return out, nil
}

// probabilities scores the rows of a request: [rows, labels].
func (r *request) probabilities(
	ctx context.Context,
	v *models.Version,
	binaryData []byte,
	memory *models.Lease,
) ([]float32, error) {
	t, err := r.only(v)
	if err != nil {
		return nil, err
	}
	if t.isNames(v) {
		names, err := t.names(v, binaryData)
		if err == nil {
			err = memory.Take(int64(len(names)) * v.CostOfRow())
		}
		if err != nil {
			return nil, err
		}
		return v.Names(ctx, names)
	}
	codes, err := t.codes(v, binaryData)
	if err == nil {
		err = memory.Take(t.shape[0] * v.CostOfRow())
	}
	if err != nil {
		return nil, err
	}
	return v.Codes(ctx, codes)
}

// answer makes a response of probabilities, [n, labels].
func (r *request) answer(v *models.Version, outputs []output, p []float32) (any, error) {
	a := response{ID: r.id, Model: v.Model, Version: strconv.Itoa(v.Number)}
	var raw []byte
	isBinary := false
	for _, o := range outputs {
		t := column(v, o.name, p)
		if o.binary != nil && *o.binary || o.binary == nil && r.binary {
			isBinary = true
			before := len(raw)
			raw = appendBinary(raw, t.Data)
			t.Data, t.Parameters = nil, &binarySize{len(raw) - before}
		}
		a.Outputs = append(a.Outputs, t)
	}
	if !isBinary {
		return a, nil
	}
	header, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	header = printable.JSON(header)
	return binaryAnswer{append(header, raw...), len(header)}, nil
}

// column is one output.
func column(v *models.Version, name string, p []float32) outputTensor {
	width := v.Classifier.Width()
	n := len(p) / width
	switch name {
	case outputLabel:
		labels := make([]string, n)
		for i := range labels {
			labels[i] = v.Classifier.Verdict(p[i*width : (i+1)*width]).Label
		}
		return outputTensor{Name: name, Datatype: typeBytes, Shape: []int{n}, Data: labels}
	case outputScore:
		scores := make([]float32, n)
		for i := range scores {
			scores[i] = float32(model.ScoreOf(p[i*width : (i+1)*width]))
		}
		return outputTensor{Name: name, Datatype: typeFloat, Shape: []int{n, 1}, Data: scores}
	}
	return outputTensor{Name: name, Datatype: typeFloat, Shape: []int{n, width}, Data: p}
}

// appendBinary appends data as the binary_tensor_data extension has it: little endian, and texts behind their length in
// four bytes.
func appendBinary(dst []byte, data any) []byte {
	switch data := data.(type) {
	case []string:
		for _, s := range data {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(len(s)))
			dst = append(dst, s...)
		}
	case []float32:
		for _, x := range data {
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(x))
		}
	}
	return dst
}
