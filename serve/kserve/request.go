package kserve

import (
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// headerLength says how many bytes of a body are JSON. Binary tensors follow them.
const headerLength = "Inference-Header-Content-Length"

// Bounds of a request's JSON without its data: a value of a key, and the tensors in a list.
const maxSmall, maxTensors = 1000, 16

var errLong = fmt.Errorf("it has more than %d bytes", maxSmall)

// request is the JSON of an infer request.
type request struct {
	id      string
	inputs  []input
	outputs []output // nil: all
	binary  bool     // what outputs are if they do not say
}

// input is a tensor of a request.
type input struct {
	name     string
	datatype string
	shape    []int64
	data     []byte // the JSON of its elements, nil if it is binary
	size     int64  // of the binary data, -1 if there is JSON
}

// output is a tensor that a request asks for.
type output struct {
	name   string
	binary *bool // nil: as the request says
}

// readBody reads a body that may be compressed.
func readBody(w http.ResponseWriter, r *http.Request, memory *models.Lease) ([]byte, error) {
	raw := http.MaxBytesReader(w, r.Body, models.MaxBody)
	var plain io.ReadCloser
	var err error
	switch coding := strings.ToLower(r.Header.Get("Content-Encoding")); coding {
	case "", "identity":
		plain = raw
	case "gzip":
		plain, err = gzip.NewReader(raw)
	case "deflate": // which is zlib's format
		plain, err = zlib.NewReader(raw)
	default:
		text := fmt.Sprintf("Content-Encoding %q is not known. Try: gzip or deflate", coding)
		return nil, &reply.Failure{Status: http.StatusUnsupportedMediaType, Text: text}
	}
	if err != nil {
		return nil, bodyError(err)
	}
	if plain != raw {
		plain = http.MaxBytesReader(nil, plain, models.MaxBody)
	}
	body, err := io.ReadAll(memory.Charged(plain))
	if err != nil {
		return nil, bodyError(err)
	}
	return body, nil
}

// bodyError maps a read error to 413, 429, 408 or 400.
func bodyError(err error) error {
	return reply.BodyFailure(err, "The request's body could not be read or decompressed")
}

// split parts a body into its JSON and what follows. length is the header's value, "" for JSON alone.
func split(body []byte, length string) (header, rest []byte, err error) {
	if length == "" {
		return body, nil, nil
	}
	n, err := strconv.ParseUint(length, 10, 63)
	if err != nil || n > uint64(len(body)) {
		return nil, nil, reply.BadRequest("%s is %q, the body has %d bytes", headerLength, length, len(body))
	}
	return body[:n], body[n:], nil
}

// parse reads the JSON of a request. It takes null for what may be left out, as clients send it.
func parse(header []byte) (*request, error) {
	if !json.Valid(header) {
		return nil, syntaxError(header)
	}
	c := &cursor{doc: header}
	if c.peek() != '{' {
		return nil, reply.BadRequest("The request must be a JSON object with 'inputs'")
	}
	req := &request{}
	hasInputs := false
	err := c.each(func(key []byte) (err error) {
		switch string(key) {
		case "id":
			err = c.into(&req.id)
		case "parameters":
			err = req.parameters(c)
		case "inputs":
			hasInputs = true
			req.inputs, err = list(c, "inputs", parseInput)
		case "outputs":
			req.outputs, err = list(c, "outputs", parseOutput)
		default:
			c.skip()
		}
		return wrongField(key, err)
	})
	if err != nil {
		return nil, err
	}
	if !hasInputs {
		return nil, reply.BadRequest("Unable to parse 'inputs': the request has no such key")
	}
	return req, nil
}

// wrongField says which key of a request is wrong. It leaves the answers of deeper places as they are.
func wrongField(key []byte, err error) error {
	var failure *reply.Failure
	if err == nil || errors.As(err, &failure) {
		return err
	}
	return reply.BadRequest("Unable to parse '%s': %v", key, err)
}

// list reads an array of tensors, nil for null.
func list[T any](c *cursor, key string, one func(*cursor) (T, error)) (out []T, err error) {
	if c.null() {
		return nil, nil
	}
	if c.peek() != '[' {
		return nil, reply.BadRequest("Unable to parse '%s': it must be a list", key)
	}
	err = c.each(func([]byte) error {
		if len(out) == maxTensors {
			return reply.BadRequest("A request may have %d %s, this one has more", maxTensors, key)
		}
		if c.peek() != '{' {
			return reply.BadRequest("Unable to parse '%s': element %d must be an object", key, len(out))
		}
		t, err := one(c)
		out = append(out, t)
		return err
	})
	return out, err
}

func (r *request) parameters(c *cursor) error {
	return eachParameter(c, func(key []byte) error {
		if string(key) == "binary_data_output" {
			return c.into(&r.binary)
		}
		c.skip()
		return nil
	})
}

// eachParameter calls f before the value of every parameter.
func eachParameter(c *cursor, f func(key []byte) error) error {
	if c.null() {
		return nil
	}
	if c.peek() != '{' {
		return errors.New("it must be an object")
	}
	return c.each(func(key []byte) error {
		switch string(key) {
		case "shared_memory_region":
			return reply.BadRequest("Shared memory is not served: send the data in the request")
		case "classification":
			return reply.BadRequest("The classification extension is not served: ask for the output '%s'", outputLabel)
		}
		return wrongField(key, f(key))
	})
}

func parseInput(c *cursor) (input, error) {
	t := input{size: -1}
	err := c.each(func(key []byte) (err error) {
		switch string(key) {
		case "name":
			err = c.into(&t.name)
		case "datatype":
			err = c.into(&t.datatype)
		case "shape":
			err = c.into(&t.shape)
		case "data":
			t.data = c.skip()
		case "parameters":
			err = eachParameter(c, func(key []byte) error {
				if string(key) == "binary_data_size" {
					return c.into(&t.size)
				}
				c.skip()
				return nil
			})
		default:
			c.skip()
		}
		return wrongField(key, err)
	})
	return t, err
}

func parseOutput(c *cursor) (output, error) {
	t := output{}
	err := c.each(func(key []byte) (err error) {
		switch string(key) {
		case "name":
			err = c.into(&t.name)
		case "parameters":
			err = eachParameter(c, func(key []byte) error {
				if string(key) == "binary_data" {
					return c.into(&t.binary)
				}
				c.skip()
				return nil
			})
		default:
			c.skip()
		}
		return wrongField(key, err)
	})
	return t, err
}
