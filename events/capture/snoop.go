package capture

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

const snoopMagic = "snoop\x00\x00\x00"

// snoopLinks maps snoop's numbers of link types to pcap's.
var snoopLinks = map[uint32]uint32{0: linkEthernet, 4: linkEthernet, 8: linkFDDI}

// snoop reads the format of Solaris' snoop (RFC 1761), version 2.
type snoop struct {
	in      *window
	link    uint32
	packets int64 // read so far
	padding int64 // behind the last packet, in bytes
}

func isSnoop(head []byte) bool { return bytes.HasPrefix(head, []byte(snoopMagic)) }

func openSnoop(in *window) (container, error) {
	head, err := in.take(16)
	if err != nil {
		return nil, broken(err, "the header of the file")
	}
	if !isSnoop(head) {
		return nil, fmt.Errorf("no snoop file: its first bytes are %x", head[:8])
	}
	if version := big.Uint32(head[8:]); version != 2 {
		return nil, fmt.Errorf("snoop version %d is unknown; there is only 2", version)
	}
	link, ok := snoopLinks[big.Uint32(head[12:])]
	if !ok {
		return nil, fmt.Errorf("snoop's link type %d is unknown. Try: convert the file with tshark -w", big.Uint32(head[12:]))
	}
	return &snoop{in: in, link: link}, nil
}

func (s *snoop) next(out *packet) error {
	if err := s.in.skip(s.padding, "the padding of a packet"); err != nil {
		return err
	}
	s.padding = 0
	h, err := s.in.Peek(24)
	if err != nil {
		if len(h) > 0 || err != io.EOF {
			err = broken(err, fmt.Sprintf("packet %d", s.packets+1))
		}
		return err
	}
	s.packets++
	length, captured, record := big.Uint32(h), int64(big.Uint32(h[4:])), int64(big.Uint32(h[8:]))
	if record < 24+captured {
		return fmt.Errorf("the capture is damaged: packet %d is longer than its record", s.packets)
	}
	out.time = time.Unix(int64(big.Uint32(h[16:])), int64(big.Uint32(h[20:]))*1000).UTC()
	if captured > maxPacket {
		if err := s.in.skip(record, fmt.Sprintf("packet %d", s.packets)); err != nil {
			return err
		}
		return longPacket
	}
	b, err := s.in.take(24 + int(captured))
	if err != nil {
		return broken(err, fmt.Sprintf("packet %d", s.packets))
	}
	out.data, out.length, out.link = b[24:], max(int(captured), int(length)), s.link
	s.padding = record - 24 - captured
	return nil
}
