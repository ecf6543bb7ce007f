package savedmodel

import (
	"strings"

	"github.com/degas-dns/degas/model"
)

// codes encodes names, string [batch], as the model's Encoder does: int32 [batch, window]. All operations are
// stateless, so no look-up table has to be initialised. The table of codes folds A-Z even if the Encoder does not,
// because degas folds names before it encodes them.
func (b *builder) codes(names string) string {
	e := &b.m.Spec.Encoder
	// As in package dnsname, the final dots of a fully qualified name do not count.
	text := b.op("StaticRegexReplace", "encode/undotted", attributes{"pattern": `\.+$`, "rewrite": ""}, names)
	window := b.window(e, text)
	raw := b.op("DecodeRaw", "encode/bytes", attributes{"out_type": typeUint8}, window)
	index := b.op("Cast", "encode/index", attributes{"SrcT": typeUint8, "DstT": typeInt32}, raw)
	folding := *e
	folding.Lower = true
	table := folding.Table()
	values := make([]int32, len(table))
	for i, c := range table {
		values[i] = int32(c)
	}
	codes := b.gather("encode/table", b.int32s("const/codes", values...), index, typeInt32)
	if e.Reverse {
		codes = b.op("ReverseV2", "encode/reversed", attributes{"Tidx": typeInt32, "T": typeInt32},
			codes, b.int32s("const/reversed", 1))
	}
	return b.reshape("encode/ids", codes, typeInt32, e.Window)
}

// window cuts and pads every name to e.Window bytes. Padding is NUL, which the table maps to e.Pad. If the window is
// reversed afterwards, padding goes to the other side. If the padded end is also the one that is cut, joining a whole
// window of padding to the name and cutting once does both.
func (b *builder) window(e *model.Encoder, text string) string {
	padding := b.constant("const/padding",
		tensor{kind: typeString, strings: []string{strings.Repeat("\x00", e.Window)}})
	left := (e.PadSide == model.Left) != e.Reverse
	switch {
	case left && e.Keep == model.Last:
		return b.substr("encode/window", b.join(padding, text), -e.Window, e.Window)
	case left:
		kept := b.substr("encode/kept", text, 0, e.Window)
		return b.substr("encode/window", b.join(padding, kept), -e.Window, e.Window)
	case e.Keep == model.First:
		return b.substr("encode/window", b.join(text, padding), 0, e.Window)
	}
	return b.substr("encode/window", b.join(b.tail(e, text), padding), 0, e.Window)
}

// tail keeps the last e.Window bytes. Substr refuses a start before a short name, so the start is computed for each.
func (b *builder) tail(e *model.Encoder, text string) string {
	length := b.op("StringLength", "encode/length", nil, text)
	over := b.op("Sub", "encode/over", ofInts, length, b.number(e.Window))
	start := b.op("Maximum", "encode/start", ofInts, over, b.number(0))
	size := b.op("Minimum", "encode/size", ofInts, length, b.number(e.Window))
	return b.op("Substr", "encode/kept", ofInts, text, start, size)
}

func (b *builder) join(first, second string) string {
	return b.op("StringJoin", "encode/joined", attributes{"N": 2}, first, second)
}

func (b *builder) substr(name, text string, start, size int) string {
	return b.op("Substr", name, ofInts, text, b.number(start), b.number(size))
}
