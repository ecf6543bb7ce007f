// Package wire reads the questions of DNS messages in wire format (RFC 1035, section 4.1). Captures, dnstap, C-DNS and
// Windows' analytic logs share it.
//
// It reads the header and the question section only: records that follow a question may be broken, and tunnels break
// them. It allocates nothing, and no message makes it do more than a fixed amount of work.
package wire

import (
	"encoding/binary"

	"github.com/degas-dns/degas/events"
)

// Reasons why a message gives no question. They are values of events.Skip and events.Refuse, so that a reader of events
// can count them as they are.
const (
	// ErrShort: the message ends inside its header, its name or its question, or a pointer points behind its end.
	ErrShort = events.Refuse("malformed message: cut short")
	// ErrLabel: a label is neither text nor a pointer (RFC 2673's and RFC 2671's label types are obsolete).
	ErrLabel = events.Refuse("malformed message: unknown type of label")
	// ErrLoop: the name needs more than 128 pointers.
	ErrLoop = events.Refuse("malformed message: pointers in a loop")
	// ErrLong: the name needs more than 255 bytes.
	ErrLong = events.Refuse("malformed message: name longer than 255 bytes")
	// ErrOpcode: the message is an inverse query, a status, a notify, an update or a stateful operation.
	ErrOpcode = events.Skip("not a query")
	// ErrNoQuestion: the message has no question, as later messages of a zone transfer and answers of mDNS.
	ErrNoQuestion = events.Skip("no question")
)

const (
	headerSize = 12
	maxName    = 255 // bytes of a name on the wire, with its lengths
	maxJumps   = 128 // pointers in a name: more than a name of 255 bytes has labels
)

// Question fills in e's ID, Kind, RCode and Size from the message's header, and its Name and Type from the message's
// first question. It appends the name to buf and returns the longer buf; e.Name is the part that it appended. The error
// is one of the reasons above, and leaves e.Name as it was. RCode is the header's: EDNS' upper bits are not read.
func Question(msg []byte, e *events.Event, buf []byte) ([]byte, error) {
	q, err := Questions(msg, e)
	if err != nil {
		return buf, err
	}
	return q.Next(e, buf)
}

// Section is the part of a message's question section that was not read yet.
type Section struct {
	msg    []byte
	offset int
	left   int // questions that the header promises
}

// Questions is Question for messages that may have several. It fills in what the header says, and returns the question
// section, whose Next fills in the rest.
func Questions(msg []byte, e *events.Event) (Section, error) {
	if len(msg) < headerSize {
		return Section{}, ErrShort
	}
	e.ID, e.Size = binary.BigEndian.Uint16(msg), len(msg)
	e.Kind, e.RCode = events.Query, events.NoRCode
	if msg[2]&0x80 != 0 {
		e.Kind, e.RCode = events.Response, events.RCode(msg[3]&0x0f)
	}
	if msg[2]&0x78 != 0 {
		return Section{}, ErrOpcode
	}
	left := int(binary.BigEndian.Uint16(msg[4:]))
	if left == 0 {
		return Section{}, ErrNoQuestion
	}
	return Section{msg: msg, offset: headerSize, left: left}, nil
}

// Next fills in the Name and Type of the next question, like [Question]. The error is ErrNoQuestion after the last one.
// After any other error there is no next question.
func (s *Section) Next(e *events.Event, buf []byte) ([]byte, error) {
	if s.left == 0 {
		return buf, ErrNoQuestion
	}
	start := len(buf)
	buf, next, err := Name(s.msg, s.offset, buf)
	if err == nil && next+4 > len(s.msg) {
		buf, err = buf[:start], ErrShort
	}
	if err != nil {
		s.left = 0
		return buf, err
	}
	e.Name, e.Type = buf[start:], events.Type(binary.BigEndian.Uint16(s.msg[next:]))
	s.offset, s.left = next+4, s.left-1
	return buf, nil
}

// Name appends the name at msg[offset:] to buf in the form of Event.Name, and returns the offset of what follows it.
// Pointers may point forward. If there is an error, buf is as it was.
func Name(msg []byte, offset int, buf []byte) (_ []byte, next int, err error) {
	start, size, jumps := len(buf), 1, 0
	for {
		if uint(offset) >= uint(len(msg)) {
			return buf[:start], 0, ErrShort
		}
		n := int(msg[offset])
		offset++
		switch n & 0xc0 {
		case 0:
			if n == 0 {
				if jumps == 0 {
					next = offset
				}
				if len(buf) == start {
					buf = append(buf, '.')
				}
				return buf, next, nil
			}
			if size += n + 1; size > maxName {
				return buf[:start], 0, ErrLong
			}
			if offset+n > len(msg) {
				return buf[:start], 0, ErrShort
			}
			if len(buf) > start {
				buf = append(buf, '.')
			}
			buf = appendLabel(buf, msg[offset:offset+n])
			offset += n
		case 0xc0:
			if offset == len(msg) {
				return buf[:start], 0, ErrShort
			}
			if jumps == 0 {
				next = offset + 1
			}
			if jumps++; jumps > maxJumps {
				return buf[:start], 0, ErrLoop
			}
			offset = n&0x3f<<8 | int(msg[offset])
		default:
			return buf[:start], 0, ErrLabel
		}
	}
}

// appendLabel appends a label, with a backslash before each dot and backslash.
func appendLabel(buf, label []byte) []byte {
	for i, c := range label {
		if c == '.' || c == '\\' {
			buf = append(buf, label[:i]...)
			for _, c := range label[i:] {
				if c == '.' || c == '\\' {
					buf = append(buf, '\\')
				}
				buf = append(buf, c)
			}
			return buf
		}
	}
	return append(buf, label...)
}

// Plausible tells quickly whether bytes look like the beginning of a DNS message with a question. It wants what every
// program sends: a known opcode, one question with a name without pointers, a type, and a class of IANA's registry.
// Random bytes pass once in about 10^8 times. Malformed messages, and messages without a question, do not pass.
func Plausible(head []byte) bool {
	if len(head) < headerSize+5 {
		return false
	}
	switch opcode, z := head[2]>>3&0x0f, head[3]&0x40; {
	case opcode > 6 || opcode == 3 || z != 0 || binary.BigEndian.Uint16(head[4:]) != 1:
		return false
	}
	offset := headerSize
	for n := int(head[offset]); n != 0; n = int(head[offset]) {
		if offset += n + 1; n > 63 || offset-headerSize >= maxName || offset >= len(head) {
			return false
		}
	}
	if offset+5 > len(head) {
		return false
	}
	if binary.BigEndian.Uint16(head[offset+1:]) == 0 {
		return false
	}
	switch binary.BigEndian.Uint16(head[offset+3:]) &^ 0x8000 { // mDNS sets the upper bit
	case 1, 3, 4, 254, 255:
		return true
	}
	return false
}
