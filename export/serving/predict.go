package serving

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"

	"github.com/degas-dns/degas/export/savedmodel"
	"github.com/degas-dns/degas/model/dnsname"
)

// request is the body of a predict request: by rows (Instances) or by columns (Inputs).
type request struct {
	Signature string          `json:"signature_name"`
	Instances json.RawMessage `json:"instances"`
	Inputs    json.RawMessage `json:"inputs"`
}

// predict answers a request as TensorFlow Serving would.
func (v served) predict(ctx context.Context, body io.Reader) (any, error) {
	var req request
	d := json.NewDecoder(body)
	if err := d.Decode(&req); err != nil {
		return nil, unread(err)
	}
	if _, err := d.Token(); err == nil {
		return nil, badRequest("JSON Parse error: more than one value")
	} else if err != io.EOF {
		return nil, unread(err)
	}
	if req.Signature == "" {
		req.Signature = savedmodel.DefaultSignature
	}
	sig, ok := v.signatures[req.Signature]
	if !ok {
		return nil, badRequest("Serving signature name: %q not found in signature def", req.Signature)
	}
	values, err := req.values(sig.Inputs[0].Key)
	if err != nil {
		return nil, err
	}
	p, err := v.probabilities(ctx, sig.Inputs[0], values)
	if err != nil {
		return nil, err
	}
	byRows := req.Instances != nil
	if len(sig.Outputs) == 1 { // which goes without its name
		only := v.column(sig.Outputs[0], p)
		if byRows {
			return object{"predictions": only}, nil
		}
		return object{"outputs": only}, nil
	}
	columns := map[string][]any{}
	for _, out := range sig.Outputs {
		columns[out.Key] = v.column(out, p)
	}
	if byRows {
		return object{"predictions": rows(columns, len(values))}, nil
	}
	return object{"outputs": columns}, nil
}

// unread says why a body could not be read to its end.
func unread(err error) error {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return failure{http.StatusRequestEntityTooLarge, fmt.Sprintf("The request's body has more than %d bytes", tooLarge.Limit)}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return failure{http.StatusRequestTimeout, "The request's body took too long"}
	}
	return badRequest("JSON Parse error: %v", err)
}

// list splits a JSON array into at most maxRows elements; what it is says notList.
func list(raw json.RawMessage, notList string) (out []json.RawMessage, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if start, err := d.Token(); err != nil || start != json.Delim('[') {
		return nil, badRequest("%s", notList)
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

// values lists the request's values of the one input, key.
func (r *request) values(key string) ([]json.RawMessage, error) {
	if (r.Instances == nil) == (r.Inputs == nil) {
		return nil, badRequest("Missing 'inputs' or 'instances' key, or both are there")
	}
	if r.Inputs != nil {
		raw := r.Inputs
		if named, ok, err := field(raw, key); err != nil {
			return nil, err
		} else if ok {
			raw = named
		}
		return list(raw, fmt.Sprintf("Value for %q is no list", key))
	}
	out, err := list(r.Instances, "Request data of 'instances' must be a list")
	if err != nil {
		return nil, err
	}
	for i, raw := range out {
		named, ok, err := field(raw, key)
		if err != nil {
			return nil, err
		}
		if ok {
			out[i] = named
		}
	}
	return out, nil
}

// field is the value under key when raw is an object of inputs; an object {"b64": …} is a value itself.
func field(raw json.RawMessage, key string) (value json.RawMessage, ok bool, err error) {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || raw[0] != '{' {
		return nil, false, nil
	}
	var inputs map[string]json.RawMessage
	if err := json.Unmarshal(raw, &inputs); err != nil {
		return nil, false, badRequest("JSON Parse error: %v", err)
	}
	if inputs["b64"] != nil && len(inputs) == 1 {
		return nil, false, nil
	}
	if inputs[key] == nil || len(inputs) != 1 {
		return nil, false, badRequest("The input is called %q, and there is no other", key)
	}
	return inputs[key], true, nil
}

// probabilities scores names or codes, whatever the input takes: [len(values), labels].
func (v served) probabilities(ctx context.Context, in savedmodel.TensorInfo, values []json.RawMessage) ([]float32, error) {
	out := make([]float32, len(values)*v.classifier.Width())
	if len(in.Shape) == 1 {
		names := make([]string, len(values))
		for i, raw := range values {
			name, err := text(raw)
			if err != nil {
				return nil, badRequest("row %d: %v", i, err)
			}
			names[i] = dnsname.Fold(name)
		}
		return out, v.classifier.Probabilities(ctx, names, out)
	}
	window := in.Shape[1]
	codes := make([]uint16, 0, len(values)*window)
	var row []int
	for i, raw := range values {
		row = row[:0]
		// A null would leave what the row before had in its place.
		if err := json.Unmarshal(raw, &row); err != nil || bytes.Contains(raw, null) {
			return nil, badRequest("row %d: it must be a list of %d codes", i, window)
		}
		if len(row) != window {
			return nil, badRequest("row %d: %d codes, the input %q takes %d", i, len(row), in.Key, window)
		}
		for _, c := range row {
			if c < 0 || c > math.MaxUint16 {
				return nil, badRequest("row %d: code %d is none of the model's", i, c)
			}
			codes = append(codes, uint16(c))
		}
	}
	if err := v.classifier.ProbabilitiesOfCodes(ctx, codes, out); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, badRequest("%v", err)
	}
	return out, nil
}

var null = []byte("null")

// text is a string, or one in base64: {"b64": "…"}.
func text(raw json.RawMessage) (string, error) {
	var s string
	if json.Unmarshal(raw, &s) == nil && !bytes.Equal(raw, null) {
		return s, nil
	}
	var coded struct {
		B64 *string `json:"b64"`
	}
	if json.Unmarshal(raw, &coded) != nil || coded.B64 == nil {
		return "", badRequest("it must be a string")
	}
	data, err := base64.StdEncoding.DecodeString(*coded.B64)
	if err != nil {
		return "", badRequest("b64: %v", err)
	}
	return string(data), nil
}

// column is an output's values, one a row: score [1], scores [labels], label, or the head's [units].
func (v served) column(out savedmodel.TensorInfo, p []float32) []any {
	list, width := []any{}, v.classifier.Width()
	for lo := 0; lo < len(p); lo += width {
		row := p[lo : lo+width]
		switch {
		case out.Key == "label":
			list = append(list, v.classifier.Verdict(row).Label)
		case out.Shape[1] == width:
			list = append(list, row)
		default: // the probability of what is not benign
			list = append(list, []float32{float32(v.classifier.Verdict(row).Score)})
		}
	}
	return list
}

// rows turns columns into n objects, one a row.
func rows(columns map[string][]any, n int) []object {
	out := make([]object, n)
	for i := range out {
		out[i] = object{}
		for key, c := range columns {
			out[i][key] = c[i]
		}
	}
	return out
}
