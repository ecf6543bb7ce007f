package protowire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrTruncated means a message ends inside a field.
var ErrTruncated = errors.New("protowire: message is truncated")

// Field is one field of a message as it stands on the wire.
type Field struct {
	Number int
	Wire   int
	Value  uint64 // of a Varint, Fixed4 or Fixed8
	Data   []byte // of a Length; it shares the message's memory
}

// Fields splits a message into its fields, in order, without descending into them. It is what the tests of the writers
// read files back with.
func Fields(message []byte) ([]Field, error) {
	var out []Field
	for len(message) > 0 {
		f, rest, err := next(message)
		if err != nil {
			return nil, err
		}
		out, message = append(out, f), rest
	}
	return out, nil
}

func next(b []byte) (Field, []byte, error) {
	tag, n := binary.Uvarint(b)
	if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29-1 {
		return Field{}, nil, fmt.Errorf("protowire: bad tag %#x", tag)
	}
	f := Field{Number: int(tag >> 3), Wire: int(tag & 7)}
	b = b[n:]
	switch f.Wire {
	case Varint:
		f.Value, n = binary.Uvarint(b)
	case Fixed4:
		if n = 4; len(b) >= n {
			f.Value = uint64(binary.LittleEndian.Uint32(b))
		}
	case Fixed8:
		if n = 8; len(b) >= n {
			f.Value = binary.LittleEndian.Uint64(b)
		}
	case Length:
		var size uint64
		size, n = binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return Field{}, nil, ErrTruncated
		}
		f.Data = b[n : n+int(size)]
		n += int(size)
	default:
		return Field{}, nil, fmt.Errorf("protowire: unknown wire type %d", f.Wire)
	}
	if n <= 0 || n > len(b) {
		return Field{}, nil, ErrTruncated
	}
	return f, b[n:], nil
}
