package serving

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
)

// request is the body of a predict request: by rows (Instances) or by columns (Inputs).
type request struct {
	Signature string          `json:"signature_name"`
	Instances json.RawMessage `json:"instances"`
	Inputs    json.RawMessage `json:"inputs"`
}

// predict answers a request as TensorFlow Serving would.
func (s *Server) predict(ctx context.Context, v servedVersion, body io.Reader, memory *lease) (any, error) {
	var req request
	d := json.NewDecoder(charged{body, memory})
	if err := d.Decode(&req); err != nil {
		return nil, bodyError(err)
	}
	if _, err := d.Token(); err == nil {
		return nil, badRequest("JSON Parse error: more than one value")
	} else if err != io.EOF {
		return nil, bodyError(err)
	}
	key := cmp.Or(req.Signature, tfserving.DefaultSignature)
	sig, ok := v.signatures[key]
	if !ok {
		return nil, badRequest("Serving signature name: %q not found in signature def", key)
	}
	inputs, err := req.inputRows(sig.Input.Key)
	if err != nil {
		return nil, err
	}
	if err := memory.take(int64(len(inputs)) * v.costOfRow()); err != nil {
		return nil, err
	}
	p, err := s.probabilities(ctx, v, sig.Input, inputs)
	if err != nil {
		return nil, err
	}
	answer := v.answerOf(sig, p, req.Instances != nil)
	if req.Instances != nil {
		return predictResponse{Predictions: answer}, nil
	}
	return predictResponse{Outputs: answer}, nil
}

// bodyError maps a read error to 413, 503, 408 or 400. Only a parse error is told in detail.
func bodyError(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var tooLarge *http.MaxBytesError
	var full failure
	switch {
	case errors.As(err, &full):
		return full
	case errors.As(err, &tooLarge):
		text := fmt.Sprintf("The request's body has more than %d bytes", tooLarge.Limit)
		return failure{status: http.StatusRequestEntityTooLarge, text: text}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return failure{http.StatusRequestTimeout, "The request's body took too long", err}
	case errors.As(err, &syntax), errors.As(err, &kind), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return badRequest("JSON Parse error: %v", err)
	}
	return failure{http.StatusBadRequest, "The request's body could not be read", err}
}

// splitArray splits a JSON array into at most maxRows elements. notArray is the error's text if raw is no array.
func splitArray(raw json.RawMessage, notArray string) (out []json.RawMessage, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if start, err := d.Token(); err != nil || start != json.Delim('[') {
		return nil, badRequest("%s", notArray)
	}
	for d.More() {
		if len(out) == maxRows {
			return nil, badRequest("A request may have %d rows, this one has more", maxRows)
		}
		var row json.RawMessage
		if err := d.Decode(&row); err != nil {
			return nil, badRequest("JSON Parse error: %v", err)
		}
		out = append(out, row)
	}
	return out, nil
}

// inputRows splits the request into rows for the one input, key.
func (r *request) inputRows(key string) ([]json.RawMessage, error) {
	if (r.Instances == nil) == (r.Inputs == nil) {
		return nil, badRequest("Missing 'inputs' or 'instances' key, or both are there")
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
		return nil, badRequest("The input is called %q, and there is no other", key)
	}
	if name == "b64" {
		return raw, nil
	}
	return value, nil
}

// turn is how many rows of a request are scored before it is another request's turn.
const turn = 2048

// probabilities scores rows of names or codes, whichever the input takes: [len(rows), labels].
func (s *Server) probabilities(
	ctx context.Context,
	v servedVersion,
	in tfserving.Tensor,
	rows []json.RawMessage,
) ([]float32, error) {
	c, width := v.Classifier, v.Classifier.Width()
	var score func(lo, hi int, out []float32) error
	if in.Kind == tfserving.String {
		names, err := decodeNames(rows)
		if err != nil {
			return nil, err
		}
		score = func(lo, hi int, out []float32) error { return c.Probabilities(ctx, names[lo:hi], out) }
	} else {
		window := in.Shape[1]
		codes, err := decodeCodes(in, rows, c.Model().Spec.Codes())
		if err != nil {
			return nil, err
		}
		score = func(lo, hi int, out []float32) error {
			return c.ProbabilitiesOfCodes(ctx, codes[lo*window:hi*window], out)
		}
	}
	out := make([]float32, len(rows)*width)
	for lo := 0; lo < len(rows); lo += turn {
		hi := min(lo+turn, len(rows))
		workers := min(int64(c.Workers(hi-lo)), s.scorers) // GOMAXPROCS may grow
		if err := s.scoring.Acquire(ctx, workers); err != nil {
			return nil, err
		}
		err := score(lo, hi, out[lo*width:hi*width])
		s.scoring.Release(workers)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// decodeNames reads rows of names.
func decodeNames(rows []json.RawMessage) ([]string, error) {
	names := make([]string, len(rows))
	for i, raw := range rows {
		name, err := decodeName(raw)
		if err != nil {
			return nil, badRequest("row %d: %v", i, err)
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
			return nil, badRequest("row %d: more than the %d codes that the input %q takes", i, window, in.Key)
		}
		row = row[:0]
		// A null would keep the code of the row before.
		if err := json.Unmarshal(raw, &row); err != nil || bytes.Contains(raw, null) {
			return nil, badRequest("row %d: it must be a list of %d codes; for names, add \"signature_name\": %q", i, window,
				tfserving.NamesSignature)
		}
		if len(row) != window {
			return nil, badRequest("row %d: %d codes, the input %q takes %d", i, len(row), in.Key, window)
		}
		for _, c := range row {
			if c < 0 || c >= known {
				return nil, badRequest("row %d: code %d is none of the model's", i, c)
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
func (v servedVersion) answerOf(sig tfserving.Signature, p []float32, byRows bool) any {
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
