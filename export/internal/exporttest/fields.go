package exporttest

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field is one field of a protobuf message: Data of a string, bytes or message field, else Value.
type Field struct {
	Value uint64
	Data  []byte // shares the message's memory
}

// Fields reads a message back: its fields by number, in order.
func Fields(t testing.TB, message []byte) map[int][]Field {
	t.Helper()
	out := map[int][]Field{}
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeField(message)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		_, _, tag := protowire.ConsumeTag(message)
		value, f := message[tag:n], Field{}
		switch kind {
		case protowire.VarintType:
			f.Value, _ = protowire.ConsumeVarint(value)
		case protowire.Fixed32Type:
			v, _ := protowire.ConsumeFixed32(value)
			f.Value = uint64(v)
		case protowire.Fixed64Type:
			f.Value, _ = protowire.ConsumeFixed64(value)
		case protowire.BytesType:
			f.Data, _ = protowire.ConsumeBytes(value)
		default:
			t.Fatalf("field %d has wire type %d", number, kind)
		}
		out[int(number)], message = append(out[int(number)], f), message[n:]
	}
	return out
}
