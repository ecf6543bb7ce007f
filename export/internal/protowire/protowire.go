// Package protowire writes Protocol Buffers messages field by field, in the wire format of
// https://protobuf.dev/programming-guides/encoding. Writing needs no generated types, so that a program which embeds
// degas can link its own ONNX or TensorFlow types: two registrations of one .proto file panic when a program starts.
package protowire

import (
	"encoding/binary"
	"math"
)

// Wire types of the encoding.
const (
	Varint = 0
	Fixed8 = 1 // eight bytes
	Length = 2
	Fixed4 = 5 // four bytes
)

// Message is a message being written. The zero Message is empty and ready for use. Fields appear in the order in which
// they are added, so equal calls give equal bytes.
type Message struct{ data []byte }

// Encoded is the message so far. It shares m's memory.
func (m *Message) Encoded() []byte { return m.data }

func (m *Message) tag(field, wire int) {
	m.data = binary.AppendUvarint(m.data, uint64(field)<<3|uint64(wire))
}

// Int adds an int32, int64 or enum field.
func (m *Message) Int(field int, v int64) {
	m.tag(field, Varint)
	m.data = binary.AppendUvarint(m.data, uint64(v))
}

// Bool adds a bool field.
func (m *Message) Bool(field int, v bool) {
	if v {
		m.Int(field, 1)
	} else {
		m.Int(field, 0)
	}
}

// Float adds a float field.
func (m *Message) Float(field int, v float32) {
	m.tag(field, Fixed4)
	m.data = binary.LittleEndian.AppendUint32(m.data, math.Float32bits(v))
}

// Bytes adds a bytes field.
func (m *Message) Bytes(field int, v []byte) {
	m.tag(field, Length)
	m.data = binary.AppendUvarint(m.data, uint64(len(v)))
	m.data = append(m.data, v...)
}

// String adds a string field.
func (m *Message) String(field int, v string) { m.Bytes(field, []byte(v)) }

// Strings adds one field a string.
func (m *Message) Strings(field int, v []string) {
	for _, s := range v {
		m.String(field, s)
	}
}

// Packed adds a packed repeated field of integers.
func (m *Message) Packed(field int, v ...int64) {
	var body []byte
	for _, x := range v {
		body = binary.AppendUvarint(body, uint64(x))
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

// Floats is the raw little-endian form of v, as tensors hold it.
func Floats(v []float32) []byte {
	out := make([]byte, 0, 4*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}

// Int32s is the raw little-endian form of v.
func Int32s(v []int32) []byte {
	out := make([]byte, 0, 4*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, uint32(x))
	}
	return out
}

// Int64s is the raw little-endian form of v.
func Int64s(v []int64) []byte {
	out := make([]byte, 0, 8*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint64(out, uint64(x))
	}
	return out
}
