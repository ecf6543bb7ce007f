package protowire

import (
	"bytes"
	"testing"
)

// The expected bytes are the examples of https://protobuf.dev/programming-guides/encoding.
func TestExamples(t *testing.T) {
	for _, tc := range []struct {
		name string
		fill func(*Message)
		want []byte
	}{
		{"varint", func(m *Message) { m.Int(1, 150) }, []byte{0x08, 0x96, 0x01}},
		{"string", func(m *Message) { m.String(2, "testing") }, []byte("\x12\x07testing")},
		{"submessage", func(m *Message) { m.Message(3, func(s *Message) { s.Int(1, 150) }) }, []byte{0x1a, 0x03, 0x08, 0x96,
			0x01}},
		{"packed", func(m *Message) { m.Packed(6, 3, 270, 86942) }, []byte{0x32, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05}},
		{"negative", func(m *Message) { m.Int(1, -2) }, []byte{0x08, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0x01}},
		{"bool", func(m *Message) { m.Bool(1, true) }, []byte{0x08, 0x01}},
		{"float", func(m *Message) { m.Float(1, 1) }, []byte{0x0d, 0, 0, 0x80, 0x3f}},
		{"map entry", func(m *Message) { m.Entry(1, "k", func(v *Message) { v.Int(1, 1) }) }, []byte{0x0a, 0x07, 0x0a, 1,
			'k', 0x12, 2, 0x08, 1}},
	} {
		var m Message
		tc.fill(&m)
		if !bytes.Equal(m.Encoded(), tc.want) {
			t.Errorf("%s: % x, want % x", tc.name, m.Encoded(), tc.want)
		}
	}
}
