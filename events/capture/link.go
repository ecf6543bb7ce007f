package capture

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/degas-dns/degas/events"
)

// Link types that the walk reads itself; rare.go has the others. Numbers as in tcpdump.org/linktypes.html.
const (
	linkNull     = 0
	linkEthernet = 1
	linkPPP      = 9
	linkFDDI     = 10
	linkRawBSD   = 12
	linkRawOpen  = 14 // OpenBSD
	linkHDLCPPP  = 50
	linkPPPoE    = 51
	linkRaw      = 101
	linkHDLC     = 104 // Cisco
	linkLoop     = 108
	linkSLL      = 113
	linkIPv4     = 228
	linkIPv6     = 229
	linkSLL2     = 276
)

// knownLink is an error for a link type that nothing here reads.
func knownLink(link uint32) error {
	switch link {
	case linkNull, linkEthernet, linkPPP, linkRawBSD, linkRawOpen, linkHDLCPPP, linkPPPoE, linkRaw, linkHDLC, linkLoop,
		linkSLL, linkIPv4, linkIPv6, linkSLL2:
		return nil
	}
	if rareLink(link) == nil {
		return fmt.Errorf("link type %d is unknown to degas (names of the numbers: tcpdump.org/linktypes.html)", link)
	}
	return nil
}

const maxHeaders = 32 // of a packet: no network nests more, and recursion must end

// segment is what the walk finds in a packet: the UDP datagram or TCP segment behind its innermost IP header.
type segment struct {
	source, destination netip.AddrPort
	transport           events.Transport
	payload             []byte // that was captured, and is in this fragment
	size                int    // bytes of the payload that was sent
	fragment            bool   // this is the first fragment of a datagram
	sequence            uint32 // number of TCP's first byte
	flags               byte   // TCP's
}

// walk walks over the headers of a packet. A header's method is given the bytes from there on, and fills in segment.
// Its error is nil if it found a segment of a DNS port. Otherwise it is a reason to count.
type walk struct {
	segment
	ports   []uint16 // of DNS
	cut     bool     // the packet has more bytes than were captured
	headers int      // walked over
	from    netip.Addr
	to      netip.Addr
}

// find walks over a packet.
func (w *walk) find(p *packet) error {
	w.fragment, w.headers, w.cut = false, 0, len(p.data) < p.length
	b := p.data
	switch p.link {
	case linkEthernet:
		return w.ethernet(b)
	case linkRaw, linkRawBSD, linkRawOpen, linkIPv4, linkIPv6:
		return w.ip(b)
	case linkNull, linkLoop: // the address family, whose number depends on the system
		return w.after(b, 4, w.ip)
	case linkSLL:
		return w.typed(b, 14, 16)
	case linkSLL2:
		return w.typed(b, 0, 20)
	case linkHDLC:
		return w.typed(b, 2, 4)
	case linkPPP, linkHDLCPPP:
		return w.ppp(b)
	case linkPPPoE:
		return w.pppoe(b)
	}
	if decoder := rareLink(p.link); decoder != nil {
		return w.rare(b, decoder)
	}
	return unknownLink
}

// short is the reason for a header that is not all there.
func (w *walk) short() error {
	if w.cut {
		return truncatedPacket
	}
	return malformedPacket
}

// after goes on with next after a header of n bytes.
func (w *walk) after(b []byte, n int, next func([]byte) error) error {
	if len(b) < n {
		return w.short()
	}
	return next(b[n:])
}

// typed goes on after a header of n bytes that has an EtherType at an offset.
func (w *walk) typed(b []byte, offset, n int) error {
	if len(b) < n {
		return w.short()
	}
	return w.etherType(big.Uint16(b[offset:]), b[n:])
}

func (w *walk) ethernet(b []byte) error {
	if len(b) < 14 {
		return w.short()
	}
	t, b := big.Uint16(b[12:]), b[14:]
	if t <= 1500 { // a length, before IEEE 802.2 with SNAP
		if len(b) < 8 || b[0] != 0xaa || b[1] != 0xaa {
			return noDNS
		}
		t, b = big.Uint16(b[6:]), b[8:]
	}
	return w.etherType(t, b)
}

// etherType goes on with what an EtherType says.
func (w *walk) etherType(t uint16, b []byte) error {
	if w.headers++; w.headers > maxHeaders {
		return manyHeaders
	}
	switch t {
	case 0x0800:
		return w.ip4(b)
	case 0x86dd:
		return w.ip6(b)
	case 0x8100, 0x88a8, 0x9100, 0x9200, 0x9300: // VLAN and QinQ
		return w.typed(b, 2, 4)
	case 0x8847, 0x8848:
		return w.mpls(b)
	case 0x8864:
		return w.pppoe(b)
	case 0x880b:
		return w.ppp(b)
	case 0x6558: // Ethernet in GRE or Geneve
		return w.ethernet(b)
	case 0x88be: // ERSPAN I and II
		return w.erspan(b)
	}
	return noDNS
}

// isDNS says whether one of the ports is DNS'.
func (w *walk) isDNS(a, b uint16) bool {
	return slices.Contains(w.ports, a) || slices.Contains(w.ports, b)
}
