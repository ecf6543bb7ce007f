package h5

import "encoding/binary"

// Types of header messages.
const (
	messageDataspace   = 0x0001
	messageDatatype    = 0x0003
	messageFillValue   = 0x0005
	messageLayout      = 0x0008
	messageAttribute   = 0x000c
	messageSymbolTable = 0x0011
)

var le = binary.LittleEndian

// words appends 64-bit integers.
func words(b []byte, values ...uint64) []byte {
	for _, v := range values {
		b = le.AppendUint64(b, v)
	}
	return b
}

// shorts appends 16-bit integers.
func shorts(b []byte, values ...int) []byte {
	for _, v := range values {
		b = le.AppendUint16(b, uint16(v))
	}
	return b
}

type message struct {
	kind uint16
	data []byte
}

func header(messages []message) []byte {
	var body []byte
	for _, m := range messages {
		data := padded(m.data)
		body = shorts(body, int(m.kind), len(data), 0, 0) // flags, reserved
		body = append(body, data...)
	}
	out := shorts([]byte{1, 0}, len(messages))
	out = le.AppendUint32(out, 1) // references
	out = le.AppendUint32(out, uint32(len(body)))
	out = append(out, 0, 0, 0, 0)
	return append(out, body...)
}

// dataspace is a version 1 dataspace; no dimensions make a scalar.
func dataspace(shape []int) []byte {
	out := []byte{1, byte(len(shape)), 0, 0, 0, 0, 0, 0}
	for _, d := range shape {
		out = le.AppendUint64(out, uint64(d))
	}
	return out
}

// float32Type is the datatype of IEEE single precision: class 1 version 1, little endian with an implied leading bit,
// sign at bit 31; then the size, bit offset and precision, and exponent and mantissa as (position, bits), and the bias.
var float32Type = []byte{0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0}

func fixedString(size int) []byte {
	return le.AppendUint32([]byte{0x13, 1, 0, 0}, uint32(size))
}

// variableString is the datatype of UTF-8 strings kept in the global heap: class 9 with the base type of one character.
var variableString = []byte{0x19, 1, 1, 0, 16, 0, 0, 0, 0x13, 0, 0, 0, 1, 0, 0, 0}

// attributeMessage is a version 1 attribute: the name, type and space are each padded to eight bytes.
func attributeMessage(name string, datatype, space, data []byte) []byte {
	out := shorts([]byte{1, 0}, len(name)+1, len(datatype), len(space))
	out = append(out, padded(append([]byte(name), 0))...)
	out = append(out, padded(datatype)...)
	out = append(out, padded(space)...)
	return append(out, data...)
}

func arrayMessage(a attribute) []byte {
	size := 1
	for _, v := range a.values {
		size = max(size, len(v))
	}
	data := make([]byte, size*len(a.values))
	for i, v := range a.values {
		copy(data[i*size:], v)
	}
	return attributeMessage(a.name, fixedString(size), dataspace([]int{len(a.values)}), data)
}

// datasetMessages describes d with its values at address.
func datasetMessages(d *dataset, address uint64) []message {
	layout := words([]byte{3, 1}, address, uint64(4*len(d.data))) // version 3, contiguous
	// version 2: allocate late, write if set by the user, the default value
	fill := []byte{2, 2, 2, 1, 0, 0, 0, 0}
	return []message{
		{messageDataspace, dataspace(d.shape)},
		{messageDatatype, float32Type},
		{messageFillValue, fill},
		{messageLayout, layout},
	}
}

func padded(b []byte) []byte {
	return append(b[:len(b):len(b)], make([]byte, -len(b)&7)...)
}
