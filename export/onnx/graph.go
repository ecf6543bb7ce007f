package onnx

import "github.com/degas-dns/degas/internal/protowire"

// Versions of the format. Opset 13 is the oldest in which Softmax and Squeeze have their present meaning.
const (
	irVersion = 7
	opset     = 13
)

// Element types (TensorProto.DataType).
const (
	typeFloat = 1
	typeInt64 = 7
)

// Attribute types (AttributeProto.AttributeType).
const (
	attrFloat  = 1
	attrInt    = 2
	attrString = 3
	attrFloats = 6
	attrInts   = 7
	attrTexts  = 8
)

// message is a protobuf message under construction. Field numbers in this file are those of onnx.proto.
type message = protowire.Message

// graph collects the parts of a GraphProto.
type graph struct{ nodes, initializers, inputs, results []func(*message) }

// attribute is one AttributeProto.
type attribute func(*message)

func newAttribute(name string, kind int64, value func(*message)) attribute {
	return func(a *message) { a.String(1, name); value(a); a.Int(20, kind) }
}

func intAttr(name string, v int) attribute {
	return newAttribute(name, attrInt, func(a *message) { a.Int(3, int64(v)) })
}

func floatAttr(name string, v float32) attribute {
	return newAttribute(name, attrFloat, func(a *message) { a.Float(2, v) })
}

func stringAttr(name, v string) attribute {
	return newAttribute(name, attrString, func(a *message) { a.String(4, v) })
}

func intsAttr(name string, v ...int) attribute {
	return newAttribute(name, attrInts, func(a *message) { a.Ints(8, v...) })
}

func floatsAttr(name string, v ...float32) attribute {
	return newAttribute(name, attrFloats, func(a *message) {
		for _, x := range v {
			a.Float(7, x)
		}
	})
}

func stringsAttr(name string, v ...string) attribute {
	return newAttribute(name, attrTexts, func(a *message) { a.Strings(9, v) })
}

// op adds an operator with one output, whose name it shares, and returns that name. skip is the number of optional
// outputs before it.
func (g *graph) op(kind, output string, inputs []string, skip int, attributes ...attribute) string {
	g.nodes = append(g.nodes, func(n *message) {
		n.Strings(1, inputs)
		for range skip {
			n.String(2, "")
		}
		n.String(2, output)
		n.String(3, output)
		n.String(4, kind)
		for _, a := range attributes {
			n.Message(5, a)
		}
	})
	return output
}

func (g *graph) floats(name string, shape []int, data []float32) string {
	g.tensor(name, typeFloat, shape, protowire.Raw(data...))
	return name
}

func (g *graph) int64s(name string, data ...int64) string {
	g.tensor(name, typeInt64, []int{len(data)}, protowire.Raw(data...))
	return name
}

func (g *graph) tensor(name string, kind int64, shape []int, raw []byte) {
	g.initializers = append(g.initializers, func(t *message) {
		t.Ints(1, shape...)
		t.Int(2, kind)
		t.String(8, name)
		t.Bytes(9, raw)
	})
}

// matrix describes an input or output of shape [batch, width].
func matrix(name string, kind int64, width int) func(*message) {
	return func(v *message) {
		v.String(1, name)
		v.Message(2, func(t *message) {
			t.Message(1, func(tensor *message) {
				tensor.Int(1, kind)
				tensor.Message(2, func(shape *message) {
					shape.Message(1, func(d *message) { d.String(2, "batch") })
					shape.Message(1, func(d *message) { d.Int(1, int64(width)) })
				})
			})
		})
	}
}

// file is the ModelProto.
func (g *graph) file(name, producer string, meta []property) []byte {
	var f message
	f.Int(1, irVersion)
	f.String(2, "degas")
	f.String(3, producer)
	f.Int(5, 1)
	f.Message(7, func(m *message) {
		each(m, 1, g.nodes)
		m.String(2, name)
		each(m, 5, g.initializers)
		each(m, 11, g.inputs)
		each(m, 12, g.results)
	})
	f.Message(8, func(o *message) { o.String(1, ""); o.Int(2, opset) })
	for _, p := range meta {
		f.Message(14, func(e *message) { e.String(1, p.key); e.String(2, p.value) })
	}
	return f.Encoded()
}

func each(m *message, field int, parts []func(*message)) {
	for _, p := range parts {
		m.Message(field, p)
	}
}
