package capture

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Addresses of the captures that tests build.
var (
	client4, server4 = netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.53")
	client6, server6 = netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("2001:db8::53")
)

const (
	query    = 0x0100
	response = 0x8183 // NXDOMAIN
)

func u16(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }
func u32(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// dns is a message with as many questions as names.
func dns(flags int, names ...string) []byte {
	b := join(u16(0x4711), u16(flags), u16(len(names)), make([]byte, 6))
	for _, name := range names {
		for label := range strings.SplitSeq(name, ".") {
			b = append(append(b, byte(len(label))), label...)
		}
		b = join(b, []byte{0}, u16(1), u16(1))
	}
	return b
}

func udp(from, to int, payload []byte) []byte {
	return join(u16(from), u16(to), u16(8+len(payload)), u16(0), payload)
}

func tcp(from, to, sequence, flags int, payload []byte) []byte {
	return join(u16(from), u16(to), u32(sequence), u32(0), []byte{5 << 4, byte(flags)}, u16(1024), u32(0), payload)
}

func ip4(proto byte, payload []byte) []byte { return fragment4(proto, 0, payload) }

// fragment4 is an IPv4 packet with a fragment field: 0x2000 for more, and the offset in units of 8 bytes.
func fragment4(proto byte, field int, payload []byte) []byte {
	return join([]byte{0x45, 0}, u16(20+len(payload)), u16(1), u16(field), []byte{64, proto}, u16(0),
		client4.AsSlice(), server4.AsSlice(), payload)
}

func ip6(next byte, payload []byte) []byte {
	return join(u32(0x60000000), u16(len(payload)), []byte{next, 64}, client6.AsSlice(), server6.AsSlice(), payload)
}

func ether(etherType int, payload []byte) []byte {
	return join([]byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02"), u16(etherType), payload)
}

// tag is a header of an EtherType that ends with the next one: VLAN's.
func tag(etherType int, payload []byte) []byte { return join(u16(7), u16(etherType), payload) }

var start = time.Date(2026, 11, 29, 8, 0, 0, 123456789, time.UTC)

// pcapFile is a capture in an order of bytes with a magic number, one second between packets.
func pcapFile(order binary.AppendByteOrder, magic, link uint32, packets ...[]byte) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(order.AppendUint16(b, 2), 4)
	b = append(b, make([]byte, 8)...)
	b = order.AppendUint32(order.AppendUint32(b, 1<<18), link)
	for i, p := range packets {
		b = append(b, pcapRecord(order, magic, start.Add(time.Duration(i)*time.Second), p, len(p))...)
	}
	return b
}

// pcapRecord is a packet of length bytes, some of which were captured.
func pcapRecord(order binary.AppendByteOrder, magic uint32, at time.Time, captured []byte, length int) []byte {
	fraction := at.Nanosecond()
	if magic != magicNano {
		fraction /= 1000
	}
	b := order.AppendUint32(order.AppendUint32(nil, uint32(at.Unix())), uint32(fraction))
	b = order.AppendUint32(order.AppendUint32(b, uint32(len(captured))), uint32(length))
	if magic == magicModified {
		b = append(b, make([]byte, 8)...)
	}
	return append(b, captured...)
}

// block is a pcapng block.
func block(order binary.AppendByteOrder, kind uint32, parts ...[]byte) []byte {
	body := join(parts...)
	body = append(body, make([]byte, -len(body)&3)...)
	b := order.AppendUint32(order.AppendUint32(nil, kind), uint32(12+len(body)))
	return order.AppendUint32(append(b, body...), uint32(12+len(body)))
}

func sectionBlock(order binary.AppendByteOrder) []byte {
	return block(order, blockSection, order.AppendUint32(nil, 0x1a2b3c4d), order.AppendUint16(nil, 1), make([]byte, 2),
		[]byte("\xff\xff\xff\xff\xff\xff\xff\xff"))
}

func interfaceBlock(order binary.AppendByteOrder, link uint16, options ...[]byte) []byte {
	return block(order, blockInterface, order.AppendUint16(nil, link), make([]byte, 6), join(options...))
}

func option(order binary.AppendByteOrder, code uint16, value []byte) []byte {
	b := order.AppendUint16(order.AppendUint16(nil, code), uint16(len(value)))
	return append(append(b, value...), make([]byte, -len(value)&3)...)
}

func enhanced(order binary.AppendByteOrder, number uint32, ticks uint64, packet []byte) []byte {
	head := order.AppendUint32(order.AppendUint32(order.AppendUint32(nil, number), uint32(ticks>>32)), uint32(ticks))
	return block(order, blockEnhanced, head, order.AppendUint32(nil, uint32(len(packet))),
		order.AppendUint32(nil, uint32(len(packet))), packet)
}

// snoopFile pads each packet to a multiple of four bytes.
func snoopFile(link int, packets ...[]byte) []byte {
	b := join([]byte(snoopMagic), u32(2), u32(link))
	for i, p := range packets {
		at := start.Add(time.Duration(i) * time.Second)
		padding := -len(p) & 3
		b = join(b, u32(len(p)), u32(len(p)), u32(24+len(p)+padding), u32(0), u32(int(at.Unix())),
			u32(at.Nanosecond()/1000), p, make([]byte, padding))
	}
	return b
}
