package tensorflow

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// readBody reads a request's body, which may be compressed with gzip. As sent and as read it may have models.MaxBody
// bytes.
func readBody(w http.ResponseWriter, r *http.Request, memory *models.Lease) ([]byte, error) {
	var body io.Reader = http.MaxBytesReader(w, r.Body, models.MaxBody)
	if strings.Contains(r.Header.Get("Content-Encoding"), "gzip") {
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return nil, bodyError(err)
		}
		body = http.MaxBytesReader(w, unpacked, models.MaxBody)
	}
	var buf bytes.Buffer
	if r.ContentLength > 0 { // what it says is believed of small bodies
		buf.Grow(int(min(r.ContentLength, 64<<10)) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(memory.Charged(body)); err != nil {
		return nil, bodyError(err)
	}
	return buf.Bytes(), nil
}

// bodyError maps a read error to 413, 429, 408 or 400.
func bodyError(err error) error {
	return reply.BodyFailure(err, "The request's body could not be read")
}

// request is the body of a request. Values are nil if their key is not there; of two equal keys the first counts.
type request struct {
	document  []byte // all of it
	signature string // "" if there is none

	instances, inputs []byte // of predict: by rows or by columns
	examples, context []byte // of classify and regress
}

// parse reads a body.
func parse(body []byte) (*request, error) {
	if len(body) == 0 {
		return nil, reply.BadRequest("JSON Parse error: The document is empty")
	}
	s := scanner{doc: body}
	if bytes.HasPrefix(body, []byte("\xef\xbb\xbf")) {
		s.i = 3
	}
	if s.space(); s.peek() == 0 {
		return nil, s.wrong("The document is empty.", s.i)
	}
	start := s.i
	if s.peek() != '{' {
		if err := s.value(); err != nil {
			return nil, err
		}
		return nil, (&request{document: body[start:s.i]}).wrong("Is not object")
	}
	var req request
	var signature []byte
	known := map[string]*[]byte{"signature_name": &signature, "instances": &req.instances, "inputs": &req.inputs,
		"examples": &req.examples, "context": &req.context}
	err := s.object(func(key, value []byte) {
		if at := known[unescaped(key)]; at != nil && *at == nil {
			*at = value
		}
	})
	if err != nil {
		return nil, err
	}
	req.document = body[start:s.i]
	if signature != nil {
		if signature[0] != '"' {
			return nil, req.wrong("not formatted correctly. 'signature_name' key must be a string value.")
		}
		req.signature = textOf(signature)
	}
	return &req, nil
}

// wrong is an error that begins with the document.
func (r *request) wrong(format string, args ...any) error {
	return reply.BadRequest("JSON Value: %s %s", quoted(r.document), fmt.Sprintf(format, args...))
}

// maxQuoted bounds what an error quotes of a request. TensorFlow Serving has no such bound.
const maxQuoted = 200

// quoted is a value as errors show it.
func quoted(value []byte) string {
	if len(value) > maxQuoted {
		return string(value[:maxQuoted]) + "…"
	}
	return string(pretty(nil, value, 0))
}

// pretty appends a value as RapidJSON's PrettyWriter writes it.
func pretty(dst, value []byte, depth int) []byte {
	line := func(depth int) {
		dst = append(append(dst, '\n'), strings.Repeat("    ", depth)...)
	}
	empty := true
	separate := func() {
		if !empty {
			dst = append(dst, ',')
		}
		empty = false
		line(depth + 1)
	}
	switch value[0] {
	case '[':
		dst = append(dst, '[')
		for _, e := range elements(value) {
			separate()
			dst = pretty(dst, e, depth+1)
		}
	case '{':
		dst = append(dst, '{')
		for key, e := range members(value) {
			separate()
			dst = append(append(append(dst, '"'), key...), `": `...)
			dst = pretty(dst, e, depth+1)
		}
	default:
		return append(dst, value...)
	}
	if !empty {
		line(depth)
	}
	return append(dst, value[len(value)-1])
}
