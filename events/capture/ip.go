package capture

import (
	"net/netip"

	"github.com/degas-dns/degas/events"
)

// IP's numbers of protocols and of IPv6's extension headers.
const (
	protoHopByHop    = 0
	protoIPv4        = 4
	protoTCP         = 6
	protoUDP         = 17
	protoIPv6        = 41
	protoRouting     = 43
	protoFragment    = 44
	protoGRE         = 47
	protoAH          = 51
	protoDestination = 60
	protoMobility    = 135
	protoMPLS        = 137
	protoHIP         = 139
	protoShim6       = 140
)

// ip reads IPv4 or IPv6, as the version says.
func (w *walk) ip(b []byte) error {
	if len(b) == 0 {
		return w.short()
	}
	switch b[0] >> 4 {
	case 4:
		return w.ip4(b)
	case 6:
		return w.ip6(b)
	}
	return noDNS
}

func (w *walk) ip4(b []byte) error {
	if len(b) < 20 {
		return w.short()
	}
	header, total := int(b[0]&0x0f)*4, int(big.Uint16(b[2:]))
	if total == 0 { // the network card cuts the segment up
		total = len(b)
	}
	if b[0]>>4 != 4 || header < 20 || total < header {
		return malformedPacket
	}
	if len(b) < header {
		return w.short()
	}
	fragment := big.Uint16(b[6:])
	if fragment&0x1fff != 0 {
		return laterFragment
	}
	w.fragment = w.fragment || fragment&0x2000 != 0
	w.from, w.to = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	w.trim(len(b), total)
	return w.protocol(b[9], b[header:min(total, len(b))], total-header)
}

func (w *walk) ip6(b []byte) error {
	if len(b) < 40 {
		return w.short()
	}
	size, next := int(big.Uint16(b[4:])), b[6]
	if size == 0 { // a jumbogram, or the network card cuts the segment up
		size = len(b) - 40
	}
	if b[0]>>4 != 6 {
		return malformedPacket
	}
	w.from, w.to = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	w.trim(len(b), 40+size)
	b = b[40:min(40+size, len(b))]
	for {
		length := 8
		switch next {
		case protoHopByHop, protoRouting, protoDestination, protoMobility, protoHIP, protoShim6:
			if len(b) >= 2 {
				length = int(b[1])*8 + 8
			}
		case protoAH:
			if len(b) >= 2 {
				length = int(b[1])*4 + 8
			}
		case protoFragment:
			if len(b) >= 8 {
				field := big.Uint16(b[2:])
				if field&0xfff8 != 0 {
					return laterFragment
				}
				w.fragment = w.fragment || field&1 != 0
			}
		default:
			return w.protocol(next, b, size)
		}
		if len(b) < length {
			return w.short()
		}
		next, b, size = b[0], b[length:], size-length
	}
}

// trim notes whether an IP packet has more bytes than there are: an outer header may say that all are there.
func (w *walk) trim(have, total int) {
	if total > have {
		w.cut = true
	}
}

// protocol goes on with what an IP header says. size is how many bytes b has on the wire.
func (w *walk) protocol(number byte, b []byte, size int) error {
	switch number {
	case protoUDP:
		return w.udp(b, size)
	case protoTCP:
		return w.tcp(b, size)
	}
	if w.headers++; w.headers > maxHeaders {
		return manyHeaders
	}
	switch number {
	case protoIPv4:
		return w.ip4(b)
	case protoIPv6:
		return w.ip6(b)
	case protoGRE:
		return w.gre(b)
	case protoMPLS:
		return w.mpls(b)
	}
	return noDNS
}

func (w *walk) udp(b []byte, size int) error {
	if len(b) < 8 {
		return w.short()
	}
	from, to, length := big.Uint16(b), big.Uint16(b[2:]), int(big.Uint16(b[4:]))
	if !w.isDNS(from, to) {
		return w.udpTunnel(from, to, b[8:])
	}
	if length == 0 { // a jumbogram, or the network card cuts the segment up
		length = size
	}
	if length < 8 {
		return malformedPacket
	}
	w.transport, w.payload, w.size = events.UDP, b[8:max(8, min(length, len(b)))], length-8
	w.source, w.destination = netip.AddrPortFrom(w.from, from), netip.AddrPortFrom(w.to, to)
	return nil
}

func (w *walk) tcp(b []byte, size int) error {
	if len(b) < 20 {
		return w.short()
	}
	from, to, header := big.Uint16(b), big.Uint16(b[2:]), int(b[12]>>4)*4
	if !w.isDNS(from, to) {
		return noDNS
	}
	if header < 20 || header > size {
		return malformedPacket
	}
	if len(b) < header {
		return w.short()
	}
	w.transport, w.payload, w.size = events.TCP, b[header:], size-header
	w.sequence, w.flags = big.Uint32(b[4:]), b[13]
	w.source, w.destination = netip.AddrPortFrom(w.from, from), netip.AddrPortFrom(w.to, to)
	return nil
}
