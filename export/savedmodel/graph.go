package savedmodel

import (
	"fmt"
	"maps"
	"slices"

	"github.com/degas-dns/degas/export/tfserving"
	"github.com/degas-dns/degas/internal/protowire"
)

type dataType = tfserving.DataType

const (
	typeFloat           = tfserving.Float
	typeInt32           = tfserving.Int32
	typeUint8  dataType = 4
	typeString          = tfserving.String
	typeInt64  dataType = 9
	typeBool   dataType = 10
)

// An attribute's value is a dataType, a bool, an int, a float32, a string or one of these.
type (
	shapeValue []int // -1 is unknown
	intsValue  []int
	tensor     struct {
		kind    dataType
		shape   []int
		raw     []byte
		strings []string // of a string tensor, in place of raw
	}
)

// attributes are the attributes of an operation by name.
type attributes map[string]any

// The attributes of most operations.
var ofFloats, ofInts = attributes{"T": typeFloat}, attributes{"T": typeInt32}

// operation is a NodeDef.
type operation struct {
	name, kind string
	inputs     []string
	attributes attributes
}

// graph is a GraphDef under construction.
type graph struct {
	operations []operation
	seen       map[string]bool
}

// add appends an operation and returns its name, which is also that of its first output.
func (g *graph) add(kind, name string, inputs []string, a attributes) string {
	g.seen[name] = true
	g.operations = append(g.operations, operation{name, kind, inputs, a})
	return name
}

// constant adds a constant, or returns the one of that name, which the copies of the network share.
func (g *graph) constant(name string, t tensor) string {
	if g.seen[name] {
		return name
	}
	return g.add("Const", name, nil, attributes{"dtype": t.kind, "value": t})
}

func (g *graph) floats(name string, shape []int, v []float32) string {
	return g.constant(name, tensor{kind: typeFloat, shape: shape, raw: protowire.Raw(v...)})
}

func (g *graph) int32s(name string, v ...int32) string {
	return g.constant(name, tensor{kind: typeInt32, shape: []int{len(v)}, raw: protowire.Raw(v...)})
}

// number is an int32 scalar, shared under its value.
func (g *graph) number(v int) string {
	return g.constant(fmt.Sprintf("const/%d", v), tensor{kind: typeInt32, raw: protowire.Raw(int32(v))})
}

func (g *graph) placeholder(t tfserving.Tensor) string {
	return g.add("Placeholder", t.Name, nil, attributes{"dtype": t.Kind, "shape": shapeValue(t.Shape)})
}

// encode writes the GraphDef. Field numbers are those of graph.proto and node_def.proto.
func (g *graph) encode(m *message) {
	for _, o := range g.operations {
		m.Message(1, func(n *message) {
			n.String(1, o.name)
			n.String(2, o.kind)
			n.Strings(3, o.inputs)
			for _, key := range slices.Sorted(maps.Keys(o.attributes)) {
				n.Entry(5, key, func(v *message) { encodeAttribute(v, o.attributes[key]) })
			}
		})
	}
	m.Message(4, func(v *message) { v.Int(1, producer) })
}

// encodeAttribute writes an AttrValue. Field numbers are those of attr_value.proto.
func encodeAttribute(m *message, v any) {
	switch v := v.(type) {
	case string:
		m.String(2, v)
	case int:
		m.Int(3, int64(v))
	case float32:
		m.Float(4, v)
	case bool:
		m.Bool(5, v)
	case dataType:
		m.Int(6, int64(v))
	case shapeValue:
		m.Message(7, func(s *message) { encodeShape(s, v) })
	case tensor:
		m.Message(8, func(t *message) { encodeTensor(t, v) })
	case intsValue:
		m.Message(1, func(list *message) { list.Packed(3, v...) })
	}
}

// encodeTensor writes a TensorProto.
func encodeTensor(m *message, t tensor) {
	m.Int(1, int64(t.kind))
	m.Message(2, func(s *message) { encodeShape(s, t.shape) })
	if t.kind == typeString {
		m.Strings(8, t.strings)
		return
	}
	m.Bytes(4, t.raw)
}

// encodeShape writes a TensorShapeProto.
func encodeShape(m *message, shape []int) {
	for _, d := range shape {
		m.Message(2, func(dim *message) { dim.Int(1, int64(d)) })
	}
}
