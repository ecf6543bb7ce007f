// Package capture reads DNS events from packet captures: pcap, pcapng and snoop.
//
// A container (pcap.go, pcapng.go, snoop.go) gives packets. A walk over their headers (link.go, ip.go, tunnel.go) finds
// the UDP datagram or TCP segment inside, through VLANs and tunnels. Package wire reads the question. The walk neither
// allocates nor copies. gopacket peels off the link layers that are too rare for a walk of our own (rare.go).
//
// Listen (listen.go) captures at a network interface instead: a filter in the kernel (filter.go) passes what may be
// DNS.
//
// What a capture may do is bounded: packets longer than 256 KiB are passed over, a packet has 32 headers at most, and
// the table of TCP streams (tcp.go) holds about 32 MiB at most.
package capture

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/events/wire"
)

// Reasons why a packet gives no event. Those of package wire come to them.
const (
	noDNS         = events.Skip("no DNS")
	laterFragment = events.Skip("later fragment of a datagram")
	noData        = events.Skip("TCP segment without data")
	partOfMessage = events.Skip("TCP segment without the beginning of a message")
	repeated      = events.Skip("TCP segment that was there before")

	malformedPacket = events.Refuse("malformed packet")
	truncatedPacket = events.Refuse("truncated packet")
	cutByFragment   = events.Refuse("first fragment without a whole question")
	longPacket      = events.Refuse("packet longer than 256 KiB")
	manyHeaders     = events.Refuse("more than 32 headers in a packet")
	noInterface     = events.Refuse("packet of an interface that the file does not describe")
	unknownLink     = events.Refuse("unknown link type")
	lostStream      = events.Refuse("TCP stream with a gap")
)

func init() {
	for _, f := range []struct {
		name, title, lacks string
		is                 func(head []byte) bool
		open               func(in *window) (container, error)
	}{
		{"pcap", "tcpdump, Wireshark and many more", "no pcap header", isPcap, openPcap},
		{"pcapng", "Wireshark, dumpcap", "no pcapng section header", isPcapng, openPcapng},
		{"snoop", "Solaris' snoop", "no snoop header", isSnoop, openSnoop},
	} {
		events.Register(&events.Format{Name: f.name, Title: f.title, Unit: "packets",
			Sniff: func(head []byte) (int, string) {
				if f.is(head) {
					return 100, ""
				}
				return 0, f.lacks
			},
			Open: func(in *events.Source) (events.Reader, error) {
				c, err := f.open(newWindow(in.Reader))
				if err != nil {
					return nil, err
				}
				return newReader(c, in), nil
			},
		})
	}
}

// packet is a packet as a container gives it. Its data belong to the container, until its next packet.
type packet struct {
	data   []byte // that were captured
	length int    // bytes on the wire, at least len(data)
	link   uint32 // number of the link type, as in tcpdump.org/linktypes.html
	time   time.Time
}

// container gives the packets of a file. Besides io.EOF and errors that end the file, next gives an events.Refuse for a
// packet that cannot be read.
type container interface {
	next(p *packet) error
}

// message is a DNS message, or its beginning with a whole question.
type message struct {
	data []byte
	size int // bytes that the whole message has
}

// reader implements events.Reader.
type reader struct {
	in      container
	stats   *events.Stats
	walk    walk
	streams streams

	packet   packet
	messages []message    // of packet
	message  int          // index in messages of the one that comes next
	section  wire.Section // of the current message
	first    bool         // question of section
	open     bool         // section may have another question
	head     events.Event // what all of section's events have in common
	name     []byte       // memory for Event.Name
	unknown  uint32       // link type of a packet that was passed over for it
}

func newReader(in container, source *events.Source) *reader {
	ports := source.Ports
	if ports == nil {
		ports = []uint16{53}
	}
	return &reader{in: in, stats: source.Stats, walk: walk{ports: ports}, name: make([]byte, 0, 1024)}
}

// Next implements events.Reader.
func (r *reader) Next(e *events.Event) error {
	for {
		switch {
		case r.open:
			if r.question() {
				*e = r.head
				r.stats.Events++
				return nil
			}
		case r.message < len(r.messages):
			r.begin(r.messages[r.message])
			r.message++
		default:
			if err := r.read(); err != nil {
				return err
			}
		}
	}
}

// question reads the next question of the current message into head.
func (r *reader) question() bool {
	name, err := r.section.Next(&r.head, r.name[:0])
	r.name = name
	if err == nil {
		if r.first {
			r.stats.Messages++
		}
		r.first = false
		return true
	}
	r.open = false
	if r.first { // a header that promises more questions than there are costs none of them
		r.count(err)
	}
	return false
}

// begin reads a message's header.
func (r *reader) begin(m message) {
	w, e := &r.walk, &r.head
	e.Reset()
	section, err := wire.Questions(m.data, e)
	if err != nil {
		if _, skipped := err.(events.Skip); skipped {
			r.stats.Messages++
		}
		r.count(err)
		return
	}
	e.Time, e.Transport, e.Line, e.Size = r.packet.time, w.transport, r.stats.Units, m.size
	client, server := w.source, w.destination
	if e.Kind == events.Response {
		client, server = server, client
	}
	e.Client.Addr, e.Client.Port = client.Addr(), client.Port()
	e.Server.Addr, e.Server.Port = server.Addr(), server.Port()
	r.section, r.open, r.first = section, true, true
}

// read reads a packet and finds its messages.
func (r *reader) read() error {
	r.messages, r.message = r.messages[:0], 0
	p, w := &r.packet, &r.walk
	err := r.in.next(p)
	_, refused := err.(events.Refuse)
	switch {
	case err == nil:
		r.stats.Units++
		err = w.find(p)
	case refused:
		r.stats.Units++
	case err == io.EOF && r.stats.Refused[string(unknownLink)] > 0:
		return fmt.Errorf("%d packets have link types that degas does not know, such as %d; the others were read",
			r.stats.Refused[string(unknownLink)], r.unknown)
	default:
		return err
	}
	if err == nil && w.transport == events.TCP {
		r.messages, err = r.streams.segment(&w.segment, r.messages)
	} else if err == nil {
		r.messages = append(r.messages, message{w.payload, w.size})
	}
	if err == unknownLink {
		r.unknown = p.link
	}
	if err != nil {
		r.count(err)
	}
	return nil
}

// count counts why a packet or a message gives no event.
func (r *reader) count(err error) {
	if err == wire.ErrShort {
		switch {
		case r.walk.fragment:
			err = cutByFragment
		case r.walk.cut:
			err = truncatedPacket
		}
	}
	if reason, ok := err.(events.Skip); ok {
		r.stats.Skip(string(reason))
		return
	}
	r.stats.Refuse(err.Error())
}

// broken is the error for a file that ends, or cannot be read, inside of where.
func broken(err error, where string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the capture was cut off: it ends in %s: %w", where, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("read %s: %w", where, err)
}
