package tensorflow

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/degas-dns/degas/export/tfserving"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// request is the body of a predict request: by rows (Instances) or by columns (Inputs).
type request struct {
	Signature string          `json:"signature_name"`
	Instances json.RawMessage `json:"instances"`
	Inputs    json.RawMessage `json:"inputs"`
}

// predict answers a request as TensorFlow Serving would.
func (h *Handler) predict(ctx context.Context, v *models.Version, body io.Reader, memory *models.Lease) (any, error) {
	var req request
	d := json.NewDecoder(memory.Charged(body))
	if err := d.Decode(&req); err != nil {
		return nil, bodyError(err)
	}
	if _, err := d.Token(); err == nil {
		return nil, reply.BadRequest("JSON Parse error: more than one value")
	} else if err != io.EOF {
		return nil, bodyError(err)
	}
	key := cmp.Or(req.Signature, tfserving.DefaultSignature)
	sig, ok := v.Signatures[key]
	if !ok {
		return nil, reply.BadRequest("Serving signature name: %q not found in signature def", key)
	}
	inputs, err := req.inputRows(sig.Input.Key)
	if err != nil {
		return nil, err
	}
	if err := memory.Take(int64(len(inputs)) * v.CostOfRow()); err != nil {
		return nil, err
	}
	p, err := probabilities(ctx, v, sig.Input, inputs)
	if err != nil {
		return nil, err
	}
	answer := answerOf(v, sig, p, req.Instances != nil)
	if req.Instances != nil {
		return predictResponse{Predictions: answer}, nil
	}
	return predictResponse{Outputs: answer}, nil
}

// bodyError maps a read error to 413, 429, 408 or 400. Only a parse error is told in detail.
func bodyError(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var tooLarge *http.MaxBytesError
	var full *reply.Failure
	switch {
	case errors.As(err, &full):
		return full
	case errors.As(err, &tooLarge):
		text := fmt.Sprintf("The request's body has more than %d bytes", tooLarge.Limit)
		return &reply.Failure{Status: http.StatusRequestEntityTooLarge, Text: text}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &reply.Failure{Status: http.StatusRequestTimeout, Text: "The request's body took too long", Cause: err}
	case errors.As(err, &syntax), errors.As(err, &kind), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return reply.BadRequest("JSON Parse error: %v", err)
	}
	return &reply.Failure{Status: http.StatusBadRequest, Text: "The request's body could not be read", Cause: err}
}

// splitArray splits a JSON array into at most models.MaxRows elements. notArray is the error's text if raw is no array.
func splitArray(raw json.RawMessage, notArray string) (out []json.RawMessage, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if start, err := d.Token(); err != nil || start != json.Delim('[') {
		return nil, reply.BadRequest("%s", notArray)
	}
	for d.More() {
		if len(out) == models.MaxRows {
			return nil, reply.BadRequest("A request may have %d rows, this one has more", models.MaxRows)
		}
		var row json.RawMessage
		if err := d.Decode(&row); err != nil {
			return nil, reply.BadRequest("JSON Parse error: %v", err)
		}
		out = append(out, row)
	}
	return out, nil
}

// inputRows splits the request into rows for the one input, key.
func (r *request) inputRows(key string) ([]json.RawMessage, error) {
	if (r.Instances == nil) == (r.Inputs == nil) {
		return nil, reply.BadRequest("Missing 'inputs' or 'instances' key, or both are there")
	}
	if r.Inputs != nil {
		column, err := namedInput(r.Inputs, key)
		if err != nil {
			return nil, err
		}
		return splitArray(column, fmt.Sprintf("Value for %q is no list", key))
	}
	out, err := splitArray(r.Instances, "Request data of 'instances' must be a list")
	for i := 0; i < len(out) && err == nil; i++ {
		out[i], err = namedInput(out[i], key)
	}
	return out, err
}

// namedInput returns the value under key if raw is an object of inputs, else raw. An object {"b64": …} is a value.
func namedInput(raw json.RawMessage, key string) (json.RawMessage, error) {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || raw[0] != '{' {
		return raw, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw)) // no map, because a stranger may send millions of keys
	_, _ = d.Token()
	name, _ := d.Token()
	var value json.RawMessage
	if err := d.Decode(&value); err != nil || d.More() || name != key && name != "b64" {
		return nil, reply.BadRequest("The input is called %q, and there is no other", key)
	}
	if name == "b64" {
		return raw, nil
	}
	return value, nil
}

// probabilities scores rows of names or codes, whichever the input takes: [len(rows), labels].
func probabilities(
	ctx context.Context,
	v *models.Version,
	in tfserving.Tensor,
	rows []json.RawMessage,
) ([]float32, error) {
	if in.Kind == tfserving.String {
		names, err := decodeNames(rows)
		if err != nil {
			return nil, err
		}
		return v.Names(ctx, names)
	}
	codes, err := decodeCodes(in, rows, v.Classifier.Model().Spec.Codes())
	if err != nil {
		return nil, err
	}
	return v.Codes(ctx, codes)
}

// decodeNames reads rows of names.
func decodeNames(rows []json.RawMessage) ([]string, error) {
	names := make([]string, len(rows))
	for i, raw := range rows {
		name, err := decodeName(raw)
		if err != nil {
			return nil, reply.BadRequest("row %d: %v", i, err)
		}
		names[i] = name
	}
	return names, nil
}

var comma, null = []byte(","), []byte("null")

// decodeCodes reads rows of codes below known: [len(rows), window].
func decodeCodes(in tfserving.Tensor, rows []json.RawMessage, known int) ([]uint16, error) {
	window := in.Shape[1]
	codes := make([]uint16, 0, len(rows)*window)
	var row []int
	for i, raw := range rows {
		if bytes.Count(raw, comma) >= window {
			return nil, reply.BadRequest("row %d: more than the %d codes that the input %q takes", i, window, in.Key)
		}
		row = row[:0]
		// A null would keep the code of the row before.
		if err := json.Unmarshal(raw, &row); err != nil || bytes.Contains(raw, null) {
			return nil, reply.BadRequest("row %d: it must be a list of %d codes; for names, add \"signature_name\": %q",
				i, window, tfserving.NamesSignature)
		}
		if len(row) != window {
			return nil, reply.BadRequest("row %d: %d codes, the input %q takes %d", i, len(row), in.Key, window)
		}
		for _, c := range row {
			if c < 0 || c >= known {
				return nil, reply.BadRequest("row %d: code %d is none of the model's", i, c)
			}
			codes = append(codes, uint16(c))
		}
	}
	return codes, nil
}

// decodeName reads a string, or one in base64: {"b64": "…"}.
func decodeName(raw json.RawMessage) (string, error) {
	var s string
	if json.Unmarshal(raw, &s) == nil && !bytes.Equal(raw, null) {
		return s, nil
	}
	var coded struct {
		B64 *string `json:"b64"`
	}
	if json.Unmarshal(raw, &coded) != nil || coded.B64 == nil {
		return "", errors.New("it must be a string")
	}
	data, err := base64.StdEncoding.DecodeString(*coded.B64)
	if err != nil {
		return "", fmt.Errorf("b64: %w", err)
	}
	return string(data), nil
}

// answerOf turns probabilities, [n, labels], into a signature's answer by rows or by columns. If the signature has one
// output, the two are the same: the head's values, [n, units].
func answerOf(v *models.Version, sig tfserving.Signature, p []float32, byRows bool) any {
	width := v.Classifier.Width()
	n := len(p) / width
	columns := answerColumns{make([]string, n), make([][]float32, n), make([][]float32, n)}
	for i := range n {
		verdict := v.Classifier.Verdict(p[i*width : (i+1)*width])
		columns.Label[i], columns.Scores[i] = verdict.Label, verdict.Probabilities
		columns.Score[i] = []float32{float32(verdict.Score)}
	}
	switch first := sig.Outputs[0]; {
	case len(sig.Outputs) == 1 && first.Shape[1] == width:
		return columns.Scores
	case len(sig.Outputs) == 1:
		return columns.Score
	case !byRows:
		return columns
	}
	rows := make([]answerRow, n)
	for i := range rows {
		rows[i] = answerRow{columns.Label[i], columns.Score[i], columns.Scores[i]}
	}
	return rows
}
