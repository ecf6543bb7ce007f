// Package dnstap reads dnstap (https://dnstap.info): DNS messages in protobuf, in frame streams, from files and from
// the name servers that send them to a socket. It registers the format "dnstap" with package events.
package dnstap

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/events/wire"
)

func init() {
	events.Register(&events.Format{
		Name: "dnstap", Title: "dnstap, as files in frame streams: BIND, Unbound, Knot, PowerDNS, CoreDNS", Unit: "frames",
		Sniff: sniff,
		Open: func(in *events.Source) (events.Reader, error) {
			return &reader{frames: frames{in: bufio.NewReaderSize(in.Reader, 64<<10)}, stats: in.Stats}, nil
		},
	})
}

func sniff(head []byte) (score int, missing string) {
	f := frames{in: bufio.NewReader(bytes.NewReader(head))}
	if _, control, err := f.next(); err != nil || control != start || !f.dnstap {
		return 0, "it does not begin with a frame stream's start for " + contentType
	}
	return 100, ""
}

// reader reads a file.
type reader struct {
	frames
	decoder
	stats *events.Stats
	line  int64
}

// Next implements events.Reader. A file may be several, one after another, and the last one may be cut off.
func (r *reader) Next(e *events.Event) error {
	for {
		frame, control, err := r.next()
		if control != 0 {
			continue
		}
		if err == io.EOF {
			return err
		}
		r.line++
		r.stats.Units++
		switch err := err.(type) {
		case nil:
		case events.Refuse:
			r.stats.Refuse(string(err))
			continue
		default:
			return err
		}
		if r.count(r.stats, frame, e) {
			e.Line = r.line
			return nil
		}
	}
}

// count makes an event of a frame, or counts why there is none.
func (d *decoder) count(stats *events.Stats, frame []byte, e *events.Event) bool {
	switch err := d.decode(frame, e).(type) {
	case events.Skip:
		stats.Skip(string(err))
		return false
	case events.Refuse:
		stats.Refuse(string(err))
		return false
	}
	stats.Events++
	return true
}

// Control frames' types, and the field of one that names the content.
const (
	accept = 1 + iota
	start
	stop
	ready
	finish

	contentField = 1
)

const (
	contentType = "protobuf:dnstap.Dnstap"
	maxControl  = 512       // bytes, as the C library has it
	maxFrame    = 256 << 10 // bytes: a query and a response of 64 KiB and more than anybody writes besides
)

// Reasons for frames that cannot be read.
const (
	refuseCut   = events.Refuse("frame cut off")
	refuseLong  = events.Refuse("frame longer than 256 KiB")
	refuseProto = events.Refuse("malformed dnstap")
	// After it, nothing can be read.
	refuseControl = events.Refuse("malformed control frame")
)

// frames reads a frame stream.
type frames struct {
	in     *bufio.Reader
	buf    []byte
	dnstap bool // the last control frame named dnstap's content, or none
	broken bool // it is unknown where the next frame begins
}

// next gives the next frame, which is valid until the next call, or the type of a control frame. The error is io.EOF at
// the end of a stream. After refuseCut and refuseControl comes io.EOF; after refuseLong, reading goes on.
func (f *frames) next() (frame []byte, control uint32, err error) {
	if f.broken {
		return nil, 0, io.EOF
	}
	n, err := f.number()
	switch {
	case err != nil:
		return nil, 0, err
	case n == 0:
		control, err = f.control()
		return nil, control, err
	case n > maxFrame:
		if _, err := io.CopyN(io.Discard, f.in, int64(n)); err != nil {
			return nil, 0, cut(err)
		}
		return nil, 0, refuseLong
	}
	frame, err = f.take(n)
	return frame, 0, err
}

// cut is refuseCut where a stream ends within a frame.
func cut(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return refuseCut
	}
	return err
}

func (f *frames) number() (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(f.in, b[:]); err != nil {
		if err == io.ErrUnexpectedEOF {
			return 0, refuseCut
		}
		return 0, err
	}
	return binary.BigEndian.Uint32(b[:]), nil
}

func (f *frames) take(n uint32) ([]byte, error) {
	if int(n) > cap(f.buf) {
		f.buf = make([]byte, n, max(int(n), 4<<10))
	}
	f.buf = f.buf[:n]
	if _, err := io.ReadFull(f.in, f.buf); err != nil {
		return nil, cut(err)
	}
	return f.buf, nil
}

// control reads a control frame after its zero.
func (f *frames) control() (kind uint32, err error) {
	n, err := f.number()
	if err != nil {
		return 0, cut(err)
	}
	if n < 4 || n > maxControl {
		f.broken = true
		return 0, refuseControl
	}
	data, err := f.take(n)
	if err != nil {
		return 0, err
	}
	kind, data = binary.BigEndian.Uint32(data), data[4:]
	f.dnstap = len(data) == 0
	for len(data) >= 8 {
		field, size := binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:])
		data = data[8:]
		if uint64(size) > uint64(len(data)) {
			break
		}
		f.dnstap = f.dnstap || field == contentField && string(data[:size]) == contentType
		data = data[size:]
	}
	return kind, nil
}

// decoder makes events of frames.
type decoder struct{ name []byte }

// message is dnstap.Message as far as it is read.
type message struct {
	kind                      uint64
	protocol                  uint64
	client, server            []byte // addresses
	clientPort, serverPort    uint64
	query, response           []byte // DNS messages
	queryTime, responseTime   uint64
	queryNanos, responseNanos uint32
}

// decode fills in e from a frame. The error is an events.Skip or an events.Refuse.
func (d *decoder) decode(frame []byte, e *events.Event) error {
	e.Reset()
	var m message
	found, ok := false, true
	read := fields(frame, func(n protowire.Number, _ uint64, data []byte) {
		if n == 14 { // Dnstap.message
			found, ok = true, m.parse(data)
		}
	})
	switch {
	case !read || !ok:
		return refuseProto
	case !found:
		return events.Skip("no DNS message")
	}
	switch m.kind {
	case 1, 2, 5, 6: // AUTH_QUERY, AUTH_RESPONSE, CLIENT_QUERY, CLIENT_RESPONSE
	case 3, 4:
		return events.Skip("the resolver's own query")
	case 7, 8:
		return events.Skip("forwarded query")
	default:
		return events.Skip("neither a client's nor an authority's message")
	}
	if err := d.question(&m, e); err != nil {
		return err
	}
	e.Client, e.Server = peer(m.client, m.clientPort), peer(m.server, m.serverPort)
	if m.protocol < uint64(len(transports)) {
		e.Transport = transports[m.protocol]
	}
	return nil
}

// transports are by dnstap.SocketProtocol. DNSCrypt counts as what carries it.
var transports = [...]events.Transport{0, events.UDP, events.TCP, events.TLS, events.HTTPS, events.UDP, events.TCP,
	events.QUIC}

// question reads the DNS message: the response of an event about a response, if it has its question.
func (d *decoder) question(m *message, e *events.Event) (err error) {
	at, nanos := m.queryTime, m.queryNanos
	responds := m.kind%2 == 0
	if responds && m.responseTime > 0 {
		at, nanos = m.responseTime, m.responseNanos
	}
	if at > 0 && at < 1<<40 && nanos < 1e9 {
		e.Time = time.Unix(int64(at), int64(nanos)).UTC()
	}
	first, second := m.query, []byte(nil)
	if responds {
		first, second = m.response, m.query
	}
	if len(first) == 0 {
		first, second = second, nil
	}
	if len(first) == 0 {
		return events.Skip("no DNS message")
	}
	d.name, err = wire.Question(first, e, d.name[:0])
	if err != nil && len(second) > 0 {
		answer := *e // knows ID, code and size
		if d.name, err = wire.Question(second, e, d.name[:0]); err == nil {
			e.ID, e.RCode, e.Size = answer.ID, answer.RCode, answer.Size
		}
	}
	if e.Kind = events.Query; responds {
		e.Kind = events.Response
	}
	return err
}

func (m *message) parse(data []byte) bool {
	return fields(data, func(n protowire.Number, v uint64, data []byte) {
		switch n {
		case 1:
			m.kind = v
		case 3:
			m.protocol = v
		case 4:
			m.client = data
		case 5:
			m.server = data
		case 6:
			m.clientPort = v
		case 7:
			m.serverPort = v
		case 8:
			m.queryTime = v
		case 9:
			m.queryNanos = uint32(v)
		case 10:
			m.query = data
		case 12:
			m.responseTime = v
		case 13:
			m.responseNanos = uint32(v)
		case 14:
			m.response = data
		}
	})
}

// fields calls visit for each field of a protobuf message. It reports whether the message is well formed.
func fields(data []byte, visit func(n protowire.Number, v uint64, data []byte)) bool {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return false
		}
		data = data[n:]
		var v uint64
		var inside []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var v32 uint32
			v32, n = protowire.ConsumeFixed32(data)
			v = uint64(v32)
		case protowire.BytesType:
			inside, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return false
		}
		data = data[n:]
		visit(number, v, inside)
	}
	return true
}

func peer(address []byte, port uint64) (p events.Peer) {
	if addr, ok := netip.AddrFromSlice(address); ok {
		p.Addr = addr.Unmap()
	}
	if port < 1<<16 {
		p.Port = uint16(port)
	}
	return p
}
