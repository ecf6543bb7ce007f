package capture

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"time"
)

// Types of pcapng's blocks that matter here. All others are passed over.
const (
	blockInterface = 1
	blockPacket    = 2 // obsolete
	blockSimple    = 3
	blockEnhanced  = 6
	blockSection   = 0x0a0d0d0a
)

const maxInterfaces = 1 << 16 // of a section: what the format's obsolete blocks can number

// pcapng reads draft-ietf-opsawg-pcapng.
type pcapng struct {
	in         *window
	order      binary.ByteOrder // of the current section
	interfaces []netInterface   // of the current section
	blocks     int64            // read so far
}

// netInterface is what an interface description block says.
type netInterface struct {
	link   uint32
	snap   uint32 // bytes kept of a packet, 0 for all
	unit   uint64 // of times: so many in a second
	offset int64  // of times, in seconds
}

func isPcapng(head []byte) bool {
	return len(head) >= 12 && little.Uint32(head) == blockSection && sectionOrder(head[8:]) != nil
}

// sectionOrder finds the byte order of a section by its magic number.
func sectionOrder(magic []byte) binary.ByteOrder {
	for _, order := range []binary.ByteOrder{little, big} {
		if order.Uint32(magic) == 0x1a2b3c4d {
			return order
		}
	}
	return nil
}

func openPcapng(in *window) (container, error) {
	head, err := in.Peek(12)
	if err != nil {
		return nil, broken(err, "the header of the file")
	}
	if !isPcapng(head) {
		return nil, fmt.Errorf("no pcapng file: its first bytes are %x", head)
	}
	return &pcapng{in: in, order: little}, nil
}

func (n *pcapng) next(out *packet) error {
	for {
		kind, body, err := n.block()
		if err != nil {
			return err
		}
		switch kind {
		case blockSection:
			err = n.section(body)
		case blockInterface:
			err = n.addInterface(body)
		case blockEnhanced, blockPacket, blockSimple:
			return n.packet(kind, body, out)
		}
		if err != nil {
			return err
		}
	}
}

// block reads a block and returns what is between its lengths. A block that is too long is passed over: body is nil.
func (n *pcapng) block() (kind uint32, body []byte, err error) {
	for {
		head, err := n.in.Peek(12)
		if err != nil {
			if len(head) > 0 || err != io.EOF {
				err = broken(err, fmt.Sprintf("block %d", n.blocks+1))
			}
			return 0, nil, err
		}
		n.blocks++
		if kind = n.order.Uint32(head); kind == blockSection { // the same in both orders
			if n.order = sectionOrder(head[8:]); n.order == nil {
				return 0, nil, fmt.Errorf("the capture is damaged: block %d is a section without a byte order", n.blocks)
			}
		}
		size := int64(n.order.Uint32(head[4:]))
		if size < 12 {
			return 0, nil, fmt.Errorf("the capture is damaged: block %d has a length of %d bytes", n.blocks, size)
		}
		size = (size + 3) &^ 3 // as Wireshark reads lengths that are no multiple of 4
		if size <= maxPacket+4<<10 {
			b, err := n.in.take(int(size))
			if err != nil {
				return 0, nil, broken(err, fmt.Sprintf("block %d", n.blocks))
			}
			return kind, b[8 : size-4], nil
		}
		if err := n.in.skip(size, fmt.Sprintf("block %d", n.blocks)); err != nil {
			return 0, nil, err
		}
		if kind == blockEnhanced || kind == blockPacket || kind == blockSimple {
			return kind, nil, nil
		}
	}
}

// section starts a section. Its interfaces are numbered anew.
func (n *pcapng) section(body []byte) error {
	if len(body) < 16 {
		return fmt.Errorf("the capture is damaged: block %d is too short for a section", n.blocks)
	}
	if major := n.order.Uint16(body[4:]); major != 1 {
		return fmt.Errorf("pcapng version %d.%d is unknown; there is only 1.x", major, n.order.Uint16(body[6:]))
	}
	n.interfaces = n.interfaces[:0]
	return nil
}

// addInterface reads an interface description block.
func (n *pcapng) addInterface(body []byte) error {
	if len(body) < 8 {
		return fmt.Errorf("the capture is damaged: block %d is too short for an interface", n.blocks)
	}
	if len(n.interfaces) == maxInterfaces {
		return fmt.Errorf("the capture is damaged: a section has more than %d interfaces", maxInterfaces)
	}
	i := netInterface{link: uint32(n.order.Uint16(body)), snap: n.order.Uint32(body[4:]), unit: 1e6}
	for o := body[8:]; len(o) >= 4; {
		code, size := n.order.Uint16(o), int(n.order.Uint16(o[2:]))
		if o = o[4:]; code == 0 || size > len(o) {
			break
		}
		switch {
		case code == 9 && size >= 1: // if_tsresol
			i.unit = timeUnit(o[0])
		case code == 14 && size >= 8: // if_tsoffset
			i.offset = int64(n.order.Uint64(o))
		}
		o = o[min((size+3)&^3, len(o)):]
	}
	n.interfaces = append(n.interfaces, i)
	return nil
}

// timeUnit reads if_tsresol: a power of 10, or of 2 if the upper bit is set. 64 bits bound how fine it can be.
func timeUnit(resolution byte) uint64 {
	if resolution&0x80 != 0 {
		return 1 << min(resolution&0x7f, 63)
	}
	unit := uint64(1)
	for range min(resolution, 19) {
		unit *= 10
	}
	return unit
}

// time is the time that a packet has on the interface.
func (i *netInterface) time(ticks uint64) time.Time {
	sec, rest := ticks/i.unit, ticks%i.unit
	hi, lo := bits.Mul64(rest, 1e9)
	nanos, _ := bits.Div64(hi, lo, i.unit) // rest < unit, so hi < unit
	if sec > math.MaxInt32*1000 {          // beyond the year 69,000: damage, and time.Time must not overflow
		return time.Time{}
	}
	return time.Unix(int64(sec)+i.offset, int64(nanos)).UTC()
}

// packet reads one of the three blocks with a packet.
func (n *pcapng) packet(kind uint32, body []byte, out *packet) error {
	header, number := 20, uint32(0)
	if kind == blockSimple {
		header = 4
	}
	switch {
	case body == nil:
		return longPacket
	case len(body) < header:
		return malformedPacket
	case kind == blockEnhanced:
		number = n.order.Uint32(body)
	case kind == blockPacket:
		number = uint32(n.order.Uint16(body))
	}
	if number >= uint32(len(n.interfaces)) {
		return noInterface
	}
	i := &n.interfaces[number]
	out.link = i.link
	if kind == blockSimple {
		out.time = time.Time{}
		length := n.order.Uint32(body)
		captured := min(length, uint32(len(body)-header))
		if i.snap != 0 {
			captured = min(captured, i.snap)
		}
		out.data, out.length = body[header:header+int(captured)], int(length)
		return nil
	}
	if n.order.Uint32(body[12:]) > uint32(len(body)-header) {
		return malformedPacket
	}
	captured := int(n.order.Uint32(body[12:]))
	out.time = i.time(uint64(n.order.Uint32(body[4:]))<<32 | uint64(n.order.Uint32(body[8:])))
	out.data, out.length = body[header:header+captured], max(captured, int(n.order.Uint32(body[16:])))
	return nil
}
