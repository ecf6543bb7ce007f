package capture

import (
	"fmt"
	"slices"

	"golang.org/x/net/bpf"
)

const (
	// maxPorts bounds the ports of a filter: a conditional jump skips 255 instructions at most.
	maxPorts = 100

	outgoing = 4   // PACKET_OUTGOING: the computer sends this packet
	loopback = 772 // ARPHRD_LOOPBACK
)

// filter is a program for the kernel. It passes packets to and from ports, and IP's fragments that do not say their
// ports. A packet begins with IP, or with the inner one of two VLAN tags. The kernel gives a tagged packet that leaves
// the EtherType of the tag, although the packet begins with IP.
func filter(ports []uint16) ([]bpf.RawInstruction, error) {
	if len(ports) > maxPorts {
		return nil, fmt.Errorf("a live capture takes %d ports at most, not %d", maxPorts, len(ports))
	}
	protocol := bpf.LoadExtension{Num: bpf.ExtProto}
	inTag := bpf.LoadAbsolute{Off: 2, Size: 2}
	version, upper := bpf.LoadAbsolute{Off: 0, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf0}
	return bpf.Assemble(slices.Concat(
		[]bpf.Instruction{ // A packet on the loopback interface comes twice: when it leaves, and when it arrives.
			bpf.LoadExtension{Num: bpf.ExtType},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: outgoing, SkipTrue: 3},
			bpf.LoadExtension{Num: bpf.ExtLinkLayerType},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: loopback, SkipTrue: 1},
			bpf.RetConstant{Val: 0},
			protocol,
		},
		unless(0x0800, ip4Filter(0, ports)),
		[]bpf.Instruction{protocol},
		unless(0x86dd, ip6Filter(0, ports)),
		[]bpf.Instruction{
			protocol,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x8100, SkipTrue: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x88a8, SkipTrue: 1},
			bpf.RetConstant{Val: 0},
			inTag,
		},
		unless(0x0800, ip4Filter(4, ports)),
		[]bpf.Instruction{inTag},
		unless(0x86dd, ip6Filter(4, ports)),
		[]bpf.Instruction{version, upper},
		unless(0x40, ip4Filter(0, ports)),
		[]bpf.Instruction{version, upper},
		unless(0x60, ip6Filter(0, ports)),
		[]bpf.Instruction{bpf.RetConstant{Val: 0}}))
}

// unless skips block if the number that was loaded is not value.
func unless(value uint32, block []bpf.Instruction) []bpf.Instruction {
	jump := bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: value, SkipTrue: uint8(len(block))}
	return append([]bpf.Instruction{jump}, block...)
}

// untag drops a VLAN tag before IP. A packet is not told to have one, so one that is IP as a whole has none.
func untag(b []byte) []byte {
	if len(b) < 24 || isIP(b) {
		return b
	}
	switch t, version := big.Uint16(b[2:]), b[4]>>4; {
	case t == 0x0800 && version == 4, t == 0x86dd && version == 6:
		return b[4:]
	}
	return b
}

// isIP reports whether b has the length that it would have as IPv4 or IPv6.
func isIP(b []byte) bool {
	return b[0]>>4 == 4 && int(big.Uint16(b[2:])) == len(b) || b[0]>>4 == 6 && 40+int(big.Uint16(b[4:])) == len(b)
}

// ip4Filter decides about an IPv4 packet that begins at an offset.
func ip4Filter(at uint32, ports []uint16) []bpf.Instruction {
	return append([]bpf.Instruction{
		bpf.LoadAbsolute{Off: at + 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoTCP, SkipTrue: 5},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoUDP, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: at + 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: 0x1fff, SkipTrue: 1},
		bpf.RetConstant{Val: maxPacket},
		bpf.LoadMemShift{Off: at}, // X is the length of the header
	}, portsFilter(at, ports)...)
}

// ip6Filter decides about an IPv6 packet that begins at an offset. Those with a fragment header pass: few networks have
// any.
func ip6Filter(at uint32, ports []uint16) []bpf.Instruction {
	return append([]bpf.Instruction{
		bpf.LoadConstant{Dst: bpf.RegX, Val: 40},
		bpf.LoadAbsolute{Off: at + 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoTCP, SkipTrue: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoUDP, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoFragment, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: maxPacket},
	}, portsFilter(at, ports)...)
}

// portsFilter decides by the ports of UDP or TCP, which begins X bytes behind an offset.
func portsFilter(at uint32, ports []uint16) (out []bpf.Instruction) {
	for end := range uint32(2) {
		out = append(out, bpf.LoadIndirect{Off: at + 2*end, Size: 2})
		for i, port := range ports {
			rest := len(ports) - i - 1 // of this end
			if end == 0 {
				rest += 1 + len(ports)
			}
			out = append(out, bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipTrue: uint8(rest + 1)})
		}
	}
	return append(out, bpf.RetConstant{Val: 0}, bpf.RetConstant{Val: maxPacket})
}
