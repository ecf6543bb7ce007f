package tensorflow

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/degas-dns/degas/export/tfserving"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// predict answers a request as TensorFlow Serving would.
func predict(ctx context.Context, v *models.Version, req *request, memory *models.Lease) ([]byte, error) {
	key := cmp.Or(req.signature, tfserving.DefaultSignature)
	sig, ok := v.Signatures[key]
	if !ok {
		return nil, reply.BadRequest("Serving signature name: %s not found in signature def", doubleQuoted(key))
	}
	switch {
	case req.instances == nil && req.inputs == nil:
		return nil, reply.BadRequest("Missing 'inputs' or 'instances' key")
	case req.instances != nil && req.inputs != nil:
		return nil, req.wrong("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ")
	case req.instances != nil && req.instances[0] != '[':
		return nil, req.wrong("Excepting 'instances' to be an list/array") // the slips of the pen are theirs
	case req.instances != nil && req.instances[next(req.instances, 1)] == ']':
		return nil, req.wrong("No values in 'instances' array")
	}
	in := newInput(v, sig)
	var err error
	if req.instances != nil {
		err = in.readInstances(req.instances, memory)
	} else {
		err = in.readInputs(req.inputs, memory)
	}
	if err != nil {
		return nil, err
	}
	p, err := in.score(ctx)
	if err != nil {
		return nil, err
	}
	return answerOf(v, sig, p, req.instances != nil), nil
}

// doubleQuoted is a text of a client in quotes, as TensorFlow Serving has it: without escapes.
func doubleQuoted(text string) string { return `"` + text + `"` }

// input reads the names or codes of a request.
type input struct {
	version *models.Version
	tensor  tfserving.Tensor   // what is read
	choice  []tfserving.Tensor // what may be read; the values' types choose

	window, known int // of a row of codes; how many codes there are
	names         []string
	codes         []uint16 // [rows, window]
}

func newInput(v *models.Version, sig tfserving.Signature) *input {
	spec := &v.Classifier.Model().Spec
	in := &input{version: v, tensor: sig.Input, window: spec.Encoder.Window, known: spec.Codes()}
	if sig.Key == tfserving.DefaultSignature {
		in.choice = []tfserving.Tensor{v.Signatures[tfserving.NamesSignature].Input,
			v.Signatures[tfserving.IDsSignature].Input}
	}
	return in
}

// chooseByKind reads names if value is one, and codes if it is a list.
func (in *input) chooseByKind(value []byte) {
	for _, t := range in.choice {
		if t.Kind == tfserving.String && (value[0] == '"' || isBase64(value)) ||
			t.Kind == tfserving.Int32 && value[0] == '[' {
			in.tensor = t
		}
	}
}

// chooseByKey reads the first tensor of an object that may be read.
func (in *input) chooseByKey(object []byte) {
	for _, t := range in.choice {
		if _, ok := member(object, t.Key); ok {
			in.tensor = t
			return
		}
	}
}

// rows takes memory for rows of names or codes, and counts them.
func (in *input) rows(list []byte, memory *models.Lease) error {
	n := 0
	for range elements(list) {
		if n++; n > models.MaxRows {
			return reply.BadRequest("A request may have %d rows, this one has more", models.MaxRows)
		}
	}
	if err := memory.Take(int64(n) * in.version.CostOfRow()); err != nil {
		return err
	}
	if in.tensor.Kind == tfserving.String {
		in.names = make([]string, 0, n)
	} else if first := next(list, 1); n > 0 && list[first] == '[' {
		in.codes = make([]uint16, 0, min(n*in.window, len(list)/2)) // "1," is a code at least
	}
	return nil
}

// readInstances reads a list that is not empty: of values, or of objects that have one under the tensor's key.
func (in *input) readInstances(list []byte, memory *models.Lease) error {
	first := next(list, 1)
	example := list[first:endOf(list, first)]
	objects := isObject(example)
	if objects {
		in.chooseByKey(example)
	} else {
		in.chooseByKind(example)
	}
	if err := in.rows(list, memory); err != nil {
		return err
	}
	for i, value := range elements(list) {
		switch {
		case objects && !isObject(value):
			return reply.BadRequest("Expecting object but got list at item %d of input list", i)
		case !objects && isObject(value):
			return reply.BadRequest("Expecting value/list but got object at item %d of input list", i)
		case objects:
			var err error
			if value, err = in.instance(i, value); err != nil {
				return err
			}
		}
		if err := in.add(i, value); err != nil {
			where := fmt.Sprint(i)
			if objects {
				where += " key: " + in.tensor.Key
			}
			return told(fmt.Sprintf("Failed to process element: %s of 'instances' list. Error: INVALID_ARGUMENT: ", where), err)
		}
	}
	return nil
}

// instance is the value in an object that is element i. It must be the only one.
func (in *input) instance(i int, object []byte) (value []byte, err error) {
	n := 0
	for key, v := range members(object) {
		if string(key) != in.tensor.Key && unescaped(key) != in.tensor.Key {
			return nil, reply.BadRequest("Failed to process element: %d key: %s of 'instances' list. "+
				"Error: INVALID_ARGUMENT: JSON object: does not have named input: %s", i, unescaped(key), unescaped(key))
		}
		value = v
		n++
	}
	if n != 1 {
		return nil, reply.BadRequest("Failed to process element: %d of 'instances' list. JSON object: %s "+
			"keys must be equal to: %s", i, quoted(object), in.tensor.Key)
	}
	return value, nil
}

// readInputs reads a list, or an object that has one under the tensor's key.
func (in *input) readInputs(value []byte, memory *models.Lease) error {
	if isObject(value) {
		in.chooseByKey(value)
		list, ok := member(value, in.tensor.Key)
		if !ok {
			return reply.BadRequest("Missing named input: %s in 'inputs' object.", in.tensor.Key)
		}
		value = list
	} else if value[0] == '[' {
		if first := next(value, 1); value[first] != ']' {
			in.chooseByKind(value[first:endOf(value, first)])
		}
	}
	if value[0] != '[' {
		if value[0] == '"' && in.tensor.Kind == tfserving.String || isBase64(value) {
			return reply.BadRequest("The input %q takes a list", in.tensor.Key)
		}
		return told("", typeError(value, in.tensor.Kind))
	}
	if err := in.rows(value, memory); err != nil {
		return err
	}
	for i, row := range elements(value) {
		if err := in.add(i, row); err != nil {
			return told("", err)
		}
	}
	return nil
}

// add adds row i.
func (in *input) add(i int, value []byte) error {
	if in.tensor.Kind == tfserving.String {
		name, err := nameOf(i, value)
		in.names = append(in.names, name)
		return err
	}
	switch {
	case typeOf(value) == "Number":
		return reply.BadRequest("row %d: it must be a list of %d codes", i, in.window)
	case value[0] != '[':
		return typeError(value, tfserving.Int32)
	}
	before := len(in.codes)
	for n, v := range elements(value) {
		code, err := codeOf(v)
		switch {
		case err != nil:
			return err
		case n == in.window:
			return reply.BadRequest("row %d: more than the %d codes that the input %q takes", i, in.window, in.tensor.Key)
		case code < 0 || code >= in.known:
			return reply.BadRequest("row %d: code %d is none of the model's", i, code)
		}
		in.codes = append(in.codes, uint16(code))
	}
	if n := len(in.codes) - before; n < in.window {
		return reply.BadRequest("row %d: %d codes, the input %q takes %d", i, n, in.tensor.Key, in.window)
	}
	return nil
}

// score scores what was read: [rows, labels].
func (in *input) score(ctx context.Context) ([]float32, error) {
	if in.tensor.Kind == tfserving.String {
		return in.version.Names(ctx, in.names)
	}
	return in.version.Codes(ctx, in.codes)
}

// invalid is TensorFlow Serving's text about a value. Where the value is depends on the request.
type invalid string

func (e invalid) Error() string { return string(e) }

// told is err for the client. where is put before TensorFlow Serving's texts; ours name the row themselves.
func told(where string, err error) error {
	if text, ok := errors.AsType[invalid](err); ok {
		return reply.BadRequest("%s%s", where, text)
	}
	return err
}

// typeError is the error for a value that is not of the tensor's type.
func typeError(value []byte, kind tfserving.DataType) error {
	return invalid(fmt.Sprintf("JSON Value: %s Type: %s is not of expected type: %s", quoted(value), typeOf(value),
		strings.ToLower(strings.TrimPrefix(kind.String(), "DT_"))))
}

// codeOf reads an int32.
func codeOf(value []byte) (int, error) {
	code, err := strconv.ParseInt(string(value), 10, 32)
	if err != nil {
		return 0, typeError(value, tfserving.Int32)
	}
	return int(code), nil
}

// nameOf reads a string, or one in base64: {"b64": "…"}.
func nameOf(i int, value []byte) (string, error) {
	switch value[0] {
	case '"':
		return textOf(value), nil
	case '[':
		return "", reply.BadRequest("row %d: it must be a string", i)
	case '{':
		return decodeBase64(value)
	}
	return "", typeError(value, tfserving.String)
}

// isObject reports whether value is an object of tensors.
func isObject(value []byte) bool { return value[0] == '{' && !isBase64(value) }

// isBase64 reports whether value has the form {"b64": "…"}.
func isBase64(value []byte) bool {
	if value[0] != '{' {
		return false
	}
	n := 0
	coded := false
	for key, v := range members(value) {
		if n++; n > 1 {
			return false
		}
		coded = unescaped(key) == "b64" && v[0] == '"'
	}
	return coded
}

func decodeBase64(object []byte) (string, error) {
	if !isBase64(object) {
		return "", invalid("JSON Value: " + quoted(object) + " not formatted correctly for base64 data")
	}
	value, _ := member(object, "b64")
	text := bytes.TrimRight([]byte(textOf(value)), "=") // which may be left out
	data, err := base64.RawStdEncoding.DecodeString(string(text))
	if err != nil {
		return "", invalid("Unable to base64 decode")
	}
	return string(data), nil
}
