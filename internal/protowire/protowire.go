// Package protowire builds Protocol Buffers messages field by field. Writing them needs no generated types, so a
// program that embeds degas can link its own ONNX or TensorFlow types: two registrations of one .proto file panic at
// the start.
package protowire

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Message is a message being written. The zero Message is empty and ready for use. Fields appear in the order in which
// they are added, so equal calls give equal bytes.
type Message struct{ data []byte }

// Encoded returns the message so far. It shares m's memory.
func (m *Message) Encoded() []byte { return m.data }

func (m *Message) tag(field int, kind protowire.Type) {
	m.data = protowire.AppendTag(m.data, protowire.Number(field), kind)
}

// Int adds an int32, int64 or enum field.
func (m *Message) Int(field int, v int64) {
	m.tag(field, protowire.VarintType)
	m.data = protowire.AppendVarint(m.data, uint64(v))
}

// Ints adds one field per integer.
func (m *Message) Ints(field int, v ...int) {
	for _, x := range v {
		m.Int(field, int64(x))
	}
}

// Bool adds a bool field.
func (m *Message) Bool(field int, v bool) { m.Int(field, int64(protowire.EncodeBool(v))) }

// Float adds a float field.
func (m *Message) Float(field int, v float32) {
	m.tag(field, protowire.Fixed32Type)
	m.data = protowire.AppendFixed32(m.data, math.Float32bits(v))
}

// Bytes adds a bytes field.
func (m *Message) Bytes(field int, v []byte) {
	m.tag(field, protowire.BytesType)
	m.data = protowire.AppendBytes(m.data, v)
}

// String adds a string field.
func (m *Message) String(field int, v string) {
	m.tag(field, protowire.BytesType)
	m.data = protowire.AppendString(m.data, v)
}

// Strings adds one field per string.
func (m *Message) Strings(field int, v []string) {
	for _, s := range v {
		m.String(field, s)
	}
}

// Packed adds a packed repeated field of integers.
func (m *Message) Packed(field int, v ...int) {
	var body []byte
	for _, x := range v {
		body = protowire.AppendVarint(body, uint64(x))
	}
	m.Bytes(field, body)
}

// Message adds a field that is itself a message, filled by fill.
func (m *Message) Message(field int, fill func(*Message)) {
	var sub Message
	fill(&sub)
	m.Bytes(field, sub.data)
}

// Entry adds one entry of a map from strings to messages.
func (m *Message) Entry(field int, key string, fill func(*Message)) {
	m.Message(field, func(e *Message) {
		e.String(1, key)
		e.Message(2, fill)
	})
}

// Raw returns the little-endian bytes of v, as tensors hold them.
func Raw[T float32 | int32 | int64](v ...T) []byte {
	out := make([]byte, 0, binary.Size(v))
	out, err := binary.Append(out, binary.LittleEndian, v)
	if err != nil {
		panic(err) // only for types without a size
	}
	return out
}
