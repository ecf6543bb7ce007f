package tensorflow

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/degas-dns/degas/export/tfserving"
	wire "github.com/degas-dns/degas/internal/protowire"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// The messages of TensorFlow Serving's gRPC API (tensorflow_serving/apis/*.proto) and of TensorFlow (tensor.proto,
// example.proto, meta_graph.proto), field by field.

// field is one field of a message. data shares the message's memory.
type field struct {
	number protowire.Number
	kind   protowire.Type
	value  uint64 // of a number
	data   []byte // of a text or a message
}

// each visits the fields of a message. A name for the message is for the error.
func each(name string, message []byte, visit func(f field) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		f := field{number: number, kind: kind}
		if n >= 0 {
			message = message[n:]
			switch kind {
			case protowire.VarintType:
				f.value, n = protowire.ConsumeVarint(message)
			case protowire.Fixed32Type:
				var v uint32
				v, n = protowire.ConsumeFixed32(message)
				f.value = uint64(v)
			case protowire.BytesType:
				f.data, n = protowire.ConsumeBytes(message)
			default:
				n = protowire.ConsumeFieldValue(number, kind, message)
			}
		}
		if n < 0 {
			return reply.BadRequest("The %s is no message of Protocol Buffers: %v", name, protowire.ParseError(n))
		}
		message = message[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// entry reads an entry of a map from texts.
func entry(name string, data []byte) (key string, value []byte, err error) {
	err = each(name, data, func(f field) error {
		switch f.number {
		case 1:
			key = string(f.data)
		case 2:
			value = f.data
		}
		return nil
	})
	return key, value, err
}

// varints reads a repeated field of integers, packed or not, and appends at most limit of them.
func varints(f field, limit int, add func(v uint64)) error {
	if f.kind == protowire.VarintType && limit > 0 {
		add(f.value)
		return nil
	}
	if f.kind == protowire.VarintType {
		return errLongList
	}
	for data := f.data; len(data) > 0; limit-- {
		v, n := protowire.ConsumeVarint(data)
		if n < 0 || limit <= 0 {
			return errLongList
		}
		add(v)
		data = data[n:]
	}
	return nil
}

var errLongList = reply.BadRequest("A list of integers is damaged or too long")

// tensor is a TensorProto of names or codes.
type tensor struct {
	kind    tfserving.DataType
	rows    int // the first dimension
	columns int // the product of the others
	unknown bool
	content []byte   // numbers of four bytes, the lowest first
	ints    []uint64 // or as they are
	texts   [][]byte
}

// readTensor reads a TensorProto of at most models.MaxRows rows. window bounds the codes of a row.
func readTensor(data []byte, window int) (*tensor, error) {
	t := &tensor{columns: 1}
	dims := 0
	dimension := func(f field) error {
		if f.number == 3 && f.value != 0 {
			t.unknown = true
		}
		if f.number != 2 {
			return nil
		}
		size := 0
		err := each("shape", f.data, func(f field) error {
			if f.number == 1 {
				size = int(min(f.value, math.MaxInt32)) // a negative one too
			}
			return nil
		})
		if dims++; dims == 1 {
			t.rows = size
		} else {
			t.columns = int(min(int64(t.columns)*int64(size), math.MaxInt32))
		}
		return err
	}
	err := each("tensor", data, func(f field) error {
		switch f.number {
		case 1:
			t.kind = tfserving.DataType(f.value)
		case 2:
			return each("shape", f.data, dimension)
		case 4:
			t.content = f.data
		case 7, 10: // int_val, int64_val
			return varints(f, models.MaxRows*window-len(t.ints), func(v uint64) { t.ints = append(t.ints, v) })
		case 8:
			if t.texts = append(t.texts, f.data); len(t.texts) > models.MaxRows {
				return tooManyRows()
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case dims == 0 || t.unknown:
		return nil, reply.BadRequest("The tensor has no rows")
	case t.rows > models.MaxRows:
		return nil, tooManyRows()
	}
	return t, nil
}

func tooManyRows() error {
	return reply.BadRequest("A request may have %d rows, this one has more", models.MaxRows)
}

// names are the rows of a tensor of names. As in TensorFlow, the last stands for all that are missing.
func (t *tensor) names() ([]string, error) {
	if t.columns != 1 || len(t.texts) > t.rows || t.rows > 0 && len(t.texts) == 0 {
		return nil, reply.BadRequest("%d names do not fill a tensor of %d times %d", len(t.texts), t.rows, t.columns)
	}
	names := make([]string, t.rows)
	for i := range names {
		names[i] = string(t.texts[min(i, len(t.texts)-1)])
	}
	return names, nil
}

// codes are the rows of a tensor of codes, [rows, window], each below known.
func (t *tensor) codes(window, known int) ([]uint16, error) {
	n := t.rows * window
	have := len(t.ints)
	if t.content != nil {
		have = len(t.content) / 4
	}
	if t.columns != window || have != n && (have == 0 || have > n || t.content != nil) {
		return nil, reply.BadRequest("%d codes do not fill a tensor of %d times %d; a row has %d", have, t.rows, t.columns,
			window)
	}
	codes := make([]uint16, n)
	for i := range codes {
		var v uint64
		if t.content != nil {
			v = uint64(binary.LittleEndian.Uint32(t.content[4*i:]))
		} else {
			v = t.ints[min(i, have-1)]
		}
		if v >= uint64(known) {
			return nil, reply.BadRequest("row %d: code %d is none of the model's", i/window, int32(v))
		}
		codes[i] = uint16(v)
	}
	return codes, nil
}

// wireSpec writes a ModelSpec.
func wireSpec(v *models.Version, signature string) func(*wire.Message) {
	return func(m *wire.Message) {
		m.String(1, v.Model)
		m.Message(2, func(m *wire.Message) { m.Int(1, int64(v.Number)) })
		if signature != "" {
			m.String(3, signature)
		}
	}
}

// wireTensor writes an output, [n, …], from probabilities, [n, labels].
func wireTensor(v *models.Version, t tfserving.Tensor, p []float32) func(*wire.Message) {
	width := v.Classifier.Width()
	n := len(p) / width
	return func(m *wire.Message) {
		m.Int(1, int64(t.Kind))
		m.Message(2, func(m *wire.Message) {
			for _, d := range t.Shape {
				if d < 0 {
					d = n
				}
				m.Message(2, func(m *wire.Message) { m.Int(1, int64(d)) })
			}
		})
		if t.Kind == tfserving.String {
			for i := range n {
				m.String(8, v.Classifier.Verdict(p[i*width:(i+1)*width]).Label)
			}
			return
		}
		values := p
		if t.Shape[1] != width {
			values = make([]float32, n)
			for i := range values {
				values[i] = float32(v.Classifier.Verdict(p[i*width : (i+1)*width]).Score)
			}
		}
		m.Bytes(5, wire.Raw(values...)) // packed floats
	}
}

// wireSignatures writes a SignatureDefMap.
func wireSignatures(v *models.Version) []byte {
	info := func(t tfserving.Tensor) func(*wire.Message) {
		return func(m *wire.Message) {
			m.String(1, t.Name+":0")
			m.Int(2, int64(t.Kind))
			m.Message(3, func(m *wire.Message) {
				for _, d := range t.Shape {
					m.Message(2, func(m *wire.Message) { m.Int(1, int64(d)) })
				}
			})
		}
	}
	var all wire.Message
	for _, key := range sortedKeys(v.Signatures) {
		sig := v.Signatures[key]
		all.Entry(1, key, func(m *wire.Message) {
			m.Entry(1, sig.Input.Key, info(sig.Input))
			for _, out := range sig.Outputs {
				m.Entry(2, out.Key, info(out))
			}
			m.String(3, tfserving.Method)
		})
	}
	return all.Encoded()
}
