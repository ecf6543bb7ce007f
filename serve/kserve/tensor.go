package kserve

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// The datatypes of names, labels and probabilities.
const (
	typeBytes = "BYTES"
	typeFloat = "FP32"
)

// integers are the datatypes that codes may have, with their size in bytes.
var integers = map[string]int{"INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8,
	"UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8}

// inputName is the input for names as they are.
const inputName = "name"

// only returns the one input that a request may have.
func (r *request) only(v *models.Version) (*input, error) {
	ids := v.Classifier.Model().Spec.Input()
	if len(r.inputs) != 1 {
		return nil, reply.BadRequest("expected 1 inputs but got %d inputs for model '%s': send either '%s' or '%s'",
			len(r.inputs), v.Model, inputName, ids)
	}
	t := &r.inputs[0]
	switch {
	case t.datatype == "":
		return nil, t.missing("datatype")
	case t.shape == nil:
		return nil, t.missing("shape")
	}
	if t.name != inputName && t.name != ids {
		return nil, reply.BadRequest("unexpected inference input '%s' for model '%s': it takes '%s' or '%s'",
			t.name, v.Model, inputName, ids)
	}
	return t, nil
}

// missing is the answer to a tensor without a key that it must have.
func (t *input) missing(key string) error {
	return reply.BadRequest("Unable to parse '%s': input '%s' has no such key", key, t.name)
}

// isNames tells the two inputs apart. A model's own input may be called "name" too.
func (t *input) isNames(v *models.Version) bool {
	return t.name == inputName && (t.datatype == typeBytes || v.Classifier.Model().Spec.Input() != inputName)
}

// names reads a tensor of names: BYTES [n] or [n, 1]. binaryData follows the JSON of the request.
func (t *input) names(v *models.Version, binaryData []byte) ([]string, error) {
	if t.datatype != typeBytes {
		return nil, t.wrongType(v, typeBytes)
	}
	if d := len(t.shape); d != 1 && (d != 2 || t.shape[1] != 1) {
		return nil, t.wrongShape(v, "[-1]")
	}
	n, err := t.rows(v, binaryData)
	switch {
	case err != nil:
		return nil, err
	case t.data == nil:
		return t.binaryNames(binaryData, n)
	}
	return t.jsonNames(n)
}

// codes reads a tensor of codes, [n, window], each below Spec.Codes of the model.
func (t *input) codes(v *models.Version, binaryData []byte) ([]uint16, error) {
	size, ok := integers[t.datatype]
	if !ok {
		return nil, t.wrongType(v, "INT64")
	}
	spec := &v.Classifier.Model().Spec
	window, known := spec.Encoder.Window, uint64(spec.Codes())
	if len(t.shape) != 2 || t.shape[1] != int64(window) {
		return nil, t.wrongShape(v, fmt.Sprintf("[-1,%d]", window))
	}
	n, err := t.rows(v, binaryData)
	switch {
	case err != nil:
		return nil, err
	case t.data != nil:
		return t.jsonCodes(n*window, known)
	case len(binaryData) != n*window*size:
		return nil, reply.BadRequest("unexpected total byte size %d for input '%s', expecting %d",
			len(binaryData), t.name, n*window*size)
	}
	return t.binaryCodes(binaryData, size, known)
}

// rows checks what a tensor says of its size.
func (t *input) rows(v *models.Version, binaryData []byte) (int, error) {
	n := t.shape[0]
	switch {
	case n < 0:
		return 0, t.wrongShape(v, "no negative size")
	case n > models.MaxRows:
		return 0, reply.BadRequest("A request may have %d rows, this one has %d", models.MaxRows, n)
	case t.data == nil && t.size < 0:
		return 0, t.wrongFields("no field is set")
	case t.data != nil && t.size >= 0:
		return 0, t.wrongFields("both are set")
	case int64(len(binaryData)) != max(t.size, 0):
		return 0, reply.BadRequest("input '%s' has %d bytes of binary data, the request %d",
			t.name, max(t.size, 0), len(binaryData))
	}
	return int(n), nil
}

func (t *input) wrongFields(what string) error {
	return reply.BadRequest("Input must set only one of the following fields: 'data', 'binary_data_size' in "+
		"'parameters'. But for input '%s' %s", t.name, what)
}

func (t *input) wrongType(v *models.Version, want string) error {
	return reply.BadRequest("inference input '%s' data-type is '%s', but model '%s' expects '%s'",
		t.name, t.datatype, v.Model, want)
}

func (t *input) wrongShape(v *models.Version, want string) error {
	return reply.BadRequest("unexpected shape for input '%s' for model '%s'. Expected %s, got %s",
		t.name, v.Model, want, strings.ReplaceAll(fmt.Sprint(t.shape), " ", ","))
}

// wrongCount is the answer to a tensor that has not as many elements as its shape says. got is "more" or a number.
func (t *input) wrongCount(want int, got string) error {
	return reply.BadRequest("Unable to parse 'data': Shape does not match true shape of 'data' field: "+
		"expected %d elements for inference input '%s', got %s", want, t.name, got)
}

// wrongElement is the answer to the i-th element.
func (t *input) wrongElement(i int, format string, args ...any) error {
	return reply.BadRequest("Unable to parse 'data': input '%s', element %d: %s", t.name, i, fmt.Sprintf(format, args...))
}

// elements calls f before every element of data with its index and its first byte. The lists may be nested in any way,
// as Triton has it: only the number counts.
func (t *input) elements(n int, f func(c *cursor, i int, first byte) error) error {
	c := &cursor{doc: t.data}
	if c.peek() != '[' {
		return reply.BadRequest("Unable to parse 'data': input '%s': it must be a list", t.name)
	}
	depth, i := 0, 0
	for {
		switch first := c.peek(); first {
		case '[':
			depth++
			c.i++
		case ']':
			depth--
			c.i++
			if depth > 0 {
				continue
			}
			if i < n {
				return t.wrongCount(n, strconv.Itoa(i))
			}
			return nil
		case ',':
			c.i++
		default:
			if i == n {
				return t.wrongCount(n, "more")
			}
			if err := f(c, i, first); err != nil {
				return err
			}
			i++
		}
	}
}

func (t *input) jsonNames(n int) ([]string, error) {
	out := make([]string, 0, min(n, len(t.data)/2))
	all := string(t.data) // which the names are parts of
	err := t.elements(n, func(c *cursor, i int, first byte) error {
		if first != '"' {
			return t.wrongElement(i, "it must be a string")
		}
		raw := c.text()
		name := all[c.i-1-len(raw) : c.i-1]
		if strings.IndexByte(name, '\\') >= 0 {
			name = string(unescaped(raw))
		}
		out = append(out, name)
		return nil
	})
	return out, err
}

func (t *input) jsonCodes(n int, known uint64) ([]uint16, error) {
	out := make([]uint16, 0, min(n, len(t.data)/2))
	err := t.elements(n, func(c *cursor, i int, first byte) error {
		code, digits := uint64(0), 0
		for c.i+digits < len(c.doc) && '0' <= c.doc[c.i+digits] && c.doc[c.i+digits] <= '9' && code < known {
			code = code*10 + uint64(c.doc[c.i+digits]-'0')
			digits++
		}
		if digits > 0 && code < known && endsNumber(c.doc[c.i+digits]) {
			c.i += digits
			out = append(out, uint16(code))
			return nil
		}
		raw := c.skip()
		if _, err := strconv.ParseInt(string(raw), 10, 64); err != nil {
			return t.wrongElement(i, "%.30s is no whole number", raw)
		}
		return t.wrongCode(i, string(raw), known)
	})
	return out, err
}

// endsNumber reports whether b can follow a number's last digit. The data of a tensor is a list, so something follows.
func endsNumber(b byte) bool { return b == ',' || b == ']' || b <= ' ' }

func (t *input) wrongCode(i int, code string, known uint64) error {
	return t.wrongElement(i, "code %s is none of the model's, which are below %d", code, known)
}

// binaryNames reads n texts, each behind its length in four bytes, little endian.
func (t *input) binaryNames(data []byte, n int) ([]string, error) {
	if 4*n > len(data) {
		return nil, t.wrongBinary(n)
	}
	all := string(data) // which the names are parts of
	out := make([]string, n)
	at := 0
	for i := range out {
		if len(data)-at < 4 {
			return nil, t.wrongBinary(n)
		}
		size := int64(binary.LittleEndian.Uint32(data[at:]))
		at += 4
		if size > int64(len(data)-at) {
			return nil, t.wrongBinary(n)
		}
		out[i] = all[at : at+int(size)]
		at += int(size)
	}
	if at != len(data) {
		return nil, t.wrongBinary(n)
	}
	return out, nil
}

func (t *input) wrongBinary(n int) error {
	return reply.BadRequest("input '%s': the %d bytes of binary data are not %d texts, each behind its length in 4 bytes",
		t.name, t.size, n)
}

func (t *input) binaryCodes(data []byte, size int, known uint64) ([]uint16, error) {
	out := make([]uint16, len(data)/size)
	var wide [8]byte
	for i := range out {
		copy(wide[:], data[i*size:(i+1)*size])
		code := binary.LittleEndian.Uint64(wide[:])
		if code >= known { // so is a negative one
			return nil, t.wrongCode(i, fmt.Sprint(signed(code, size, t.datatype[0] == 'I')), known)
		}
		out[i] = uint16(code)
	}
	return out, nil
}

// signed is the number that code's lowest bytes stand for.
func signed(code uint64, size int, isSigned bool) any {
	if !isSigned {
		return code
	}
	unused := 64 - 8*size
	return int64(code<<unused) >> unused
}
