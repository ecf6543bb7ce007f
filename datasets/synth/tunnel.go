package synth

import (
	"encoding/binary"
	"strings"
)

// A session is one tunnel: a zone that its operator registered, and the traffic that goes through it.
// Each tool of this package writes the packets of a session as the names that its client would ask for.
type session struct {
	*dice
	zone  string
	flow  ipFlow
	style int // which kind of content the flow carries
}

const (
	maxName  = 253 // octets of a name in text form, without the final dot
	maxLabel = 63
)

// newSession opens the tunnel that p.Seed selects. A seed stands for one tunnel of one tool.
func newSession(p Params, tool string) *session {
	d := newDice(p.Seed, tool+" "+p.Variant)
	s := &session{dice: d, zone: tunnelZone(d)}
	s.style = d.below(4)
	s.flow = ipFlow{
		source:  [4]byte{10, byte(d.below(256)), byte(d.below(256)), byte(d.between(2, 254))},
		target:  [4]byte{byte(d.between(11, 223)), byte(d.below(256)), byte(d.below(256)), byte(d.between(1, 254))},
		ports:   [2]uint16{uint16(d.between(32768, 60999)), []uint16{80, 443, 22, 8080}[s.style]},
		id:      uint16(d.next()),
		seq:     uint32(d.next()),
		ack:     uint32(d.next()),
		clock:   uint32(d.next()),
		service: []byte{0, 8, 0x10}[d.below(3)],
	}
	return s
}

// ipFlow is the header state of one TCP connection.
type ipFlow struct {
	source, target [4]byte
	ports          [2]uint16
	id             uint16
	seq, ack       uint32
	clock          uint32 // TCP timestamp
	service        byte   // 0x10 for a terminal, 0x08 for bulk
}

// packet is an IPv4 packet of the flow with n bytes of content: header fields that hardly change, and
// counters that do.
func (s *session) packet(n int) []byte {
	f, be := &s.flow, binary.BigEndian
	f.id++
	f.clock += uint32(s.between(1, 250))
	b := []byte{0x45, f.service}
	b = be.AppendUint16(b, uint16(52+n))
	b = be.AppendUint16(b, f.id)
	b = append(b, 0x40, 0, 64, 6)
	b = be.AppendUint16(b, uint16(s.next())) // checksum
	b = append(b, f.source[:]...)
	b = append(b, f.target[:]...)
	b = be.AppendUint16(be.AppendUint16(b, f.ports[0]), f.ports[1])
	b = be.AppendUint32(be.AppendUint32(b, f.seq), f.ack)
	flags := byte(0x10)
	if n > 0 {
		flags = 0x18
	}
	b = append(b, 0x80, flags)
	b = be.AppendUint16(b, uint16(s.between(229, 502)))
	b = be.AppendUint16(b, uint16(s.next()))
	b = append(b, 0, 0, 1, 1, 8, 10)
	b = be.AppendUint32(be.AppendUint32(b, f.clock), f.clock-uint32(s.between(10, 900)))
	f.seq += uint32(n)
	f.ack += uint32(s.below(1400))
	return append(b, s.content(n)...)
}

// content is n bytes of what a user sends: requests of the web in clear, or bytes that encryption or
// compression made even.
func (s *session) content(n int) []byte {
	if s.style%2 == 0 && s.chance(60) {
		return []byte(s.request(n))
	}
	return s.bytes(n)
}

var (
	httpPaths = strings.Fields("/ /index.html /login /api/v1/items /static/app.js /images/logo.png /search?q=dns " +
		"/feed.xml /wp-login.php /update")
	httpAgents = []string{"curl/7.88.1", "Wget/1.21.3", "Mozilla/5.0 (X11; Linux x86_64)", "python-requests/2.31.0"}
)

// request is the start of an HTTP request, cut or filled up to n bytes.
func (s *session) request(n int) string {
	verb := []string{"GET", "POST", "HEAD"}[s.below(3)]
	text := verb + " " + s.pick(httpPaths) + " HTTP/1.1\r\nHost: " + s.pick(zoneWords) + ".example\r\nUser-Agent: " +
		s.pick(httpAgents) + "\r\nAccept: */*\r\nCookie: sid="
	if len(text) < n {
		text += s.text(n-len(text), "0123456789abcdef")
	}
	return text[:n]
}

// deflated stands for a packet of n bytes after zlib, which several tools apply: two magic bytes, a
// first stretch that the likeness of headers keeps the same within a session, then noise. Real zlib is
// not used because its output may change from one Go release to the next.
func (s *session) deflated(n int) []byte {
	b := []byte{0x78, 0xda, 0x63, 0x60}
	same := newDice(uint64(s.flow.ports[0])<<32|uint64(s.flow.source[1]), "deflate")
	b = append(b, same.bytes(6)...)
	b = append(b, s.bytes(max(n-len(b), 2))...)
	return b
}

// packBits writes data as characters of bits bits each, high bits first, the last one padded with zeros.
func packBits(data []byte, bits int, alphabet []rune) string {
	var out strings.Builder
	acc, have := 0, 0
	for _, b := range data {
		acc, have = acc<<8|int(b), have+8
		for have >= bits {
			have -= bits
			out.WriteRune(alphabet[acc>>have])
			acc &= 1<<have - 1
		}
	}
	if have > 0 {
		out.WriteRune(alphabet[acc<<(bits-have)])
	}
	return out.String()
}

// dotify cuts text into labels of width characters.
func dotify(text string, width int) string {
	runes := []rune(text)
	var labels []string
	for len(runes) > width {
		labels = append(labels, string(runes[:width]))
		runes = runes[width:]
	}
	return strings.Join(append(labels, string(runes)), ".")
}

// room is how many characters of data fit a name in front of the zone, in labels of width, when the tool
// spends reserved characters on counters.
func (s *session) room(width, reserved int) int {
	free := maxName - len(s.zone) - 1
	return free - free/(width+1) - reserved
}
