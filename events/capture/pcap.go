package capture

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// Magic numbers of pcap files: with times in microseconds or nanoseconds, and with Alexey Kuznetzov's longer header of
// packets (Red Hat's tcpdump of 1999).
const (
	magicMicro    = 0xa1b2c3d4
	magicNano     = 0xa1b23c4d
	magicModified = 0xa1b2cd34
)

// pcap reads libpcap's format, draft-ietf-opsawg-pcap.
type pcap struct {
	in      *window
	big     bool  // the file's numbers are big-endian
	header  int   // bytes before a packet
	unit    int64 // of a time's fraction, in nanoseconds
	link    uint32
	packets int64 // read so far
}

// pcapOrder finds the byte order of a file by its magic number.
func pcapOrder(head []byte) (magic uint32, order binary.ByteOrder) {
	if len(head) < 4 {
		return 0, nil
	}
	for _, order := range []binary.ByteOrder{little, big} {
		switch magic := order.Uint32(head); magic {
		case magicMicro, magicNano, magicModified:
			return magic, order
		}
	}
	return 0, nil
}

func isPcap(head []byte) bool {
	_, order := pcapOrder(head)
	return order != nil
}

func openPcap(in *window) (container, error) {
	head, err := in.take(24)
	if err != nil {
		return nil, broken(err, "the header of the file")
	}
	magic, order := pcapOrder(head)
	if order == nil {
		return nil, fmt.Errorf("no pcap file: its first bytes are %x", head[:4])
	}
	if major, minor := order.Uint16(head[4:]), order.Uint16(head[6:]); major != 2 {
		return nil, fmt.Errorf("pcap version %d.%d is unknown; there is only 2.x", major, minor)
	}
	link := order.Uint32(head[20:]) & 0x0fffffff // the upper bits are about Ethernet's checksums
	p := &pcap{in: in, big: order == binary.ByteOrder(big), header: 16, unit: 1000, link: link}
	switch magic {
	case magicNano:
		p.unit = 1
	case magicModified:
		p.header = 24
	}
	return p, knownLink(p.link)
}

func (p *pcap) next(out *packet) error {
	h, err := p.in.Peek(p.header)
	if err != nil {
		if len(h) > 0 || err != io.EOF {
			err = broken(err, fmt.Sprintf("packet %d", p.packets+1))
		}
		return err
	}
	_ = h[15]
	sec, frac, captured, length := little.Uint32(h), little.Uint32(h[4:]), little.Uint32(h[8:]), little.Uint32(h[12:])
	if p.big {
		sec, frac, captured, length = big.Uint32(h), big.Uint32(h[4:]), big.Uint32(h[8:]), big.Uint32(h[12:])
	}
	p.packets++
	if captured > maxPacket {
		if err := p.in.skip(int64(p.header)+int64(captured), fmt.Sprintf("packet %d", p.packets)); err != nil {
			return err
		}
		return longPacket
	}
	b, err := p.in.take(p.header + int(captured))
	if err != nil {
		return broken(err, fmt.Sprintf("packet %d", p.packets))
	}
	out.data, out.length, out.link = b[p.header:], max(int(captured), int(length)), p.link
	out.time = time.Unix(int64(sec), int64(frac)*p.unit).UTC()
	return nil
}
