package capture

import (
	"net/netip"

	"github.com/degas-dns/degas/events/wire"
)

// Flags of TCP.
const (
	flagFIN = 1
	flagSYN = 2
	flagRST = 4
)

// Bounds of the table of streams. It forgets by generations: the table keeps what was used in this one or the last one.
const (
	maxStreams  = 16384   // of a generation
	maxBuffered = 8 << 20 // bytes that streams of a generation wait with
)

// streams follows DNS over TCP (RFC 1035, section 4.2.2) in both directions. A message is given as soon as its question
// is there; its later bytes are passed over. Segments must come in order: after a gap, messages are found again
// where the message of the gap ends, or at the beginning of a segment.
type streams struct {
	young, old map[flow]*stream
	buffered   int // bytes that were added to streams of young
}

// flow is a direction of a connection.
type flow struct{ from, to netip.AddrPort }

// stream is what is known of a flow.
type stream struct {
	next   uint32 // number of the byte that comes next
	synced bool   // next is of a message that is known, or begins one
	skip   int    // bytes to pass over up to the next message
	buf    []byte // the bytes of a message's beginning, with its length
}

// segment appends the messages of a segment to out. The error is the reason if there is none, or if one before them was
// lost.
func (t *streams) segment(s *segment, out []message) ([]message, error) {
	key, sequence := flow{s.source, s.destination}, s.sequence
	if s.flags&(flagFIN|flagRST) != 0 {
		defer t.forget(key)
	}
	st := t.find(key)
	if s.flags&flagSYN != 0 {
		sequence++
		st = t.add(key, &stream{next: sequence, synced: true})
	}
	if s.size == 0 || s.flags&flagRST != 0 {
		return out, noData
	}
	if st == nil {
		st = t.add(key, &stream{next: sequence})
	}
	data, before, lost := s.payload, len(out), false
	switch ahead := int64(int32(sequence - st.next)); {
	case ahead > 0:
		lost = st.miss(int(ahead))
	case -ahead >= int64(s.size):
		return out, repeated
	default:
		data = data[min(-ahead, int64(len(data))):]
	}
	st.next = sequence + uint32(s.size)
	if st.synced = st.synced || beginsMessage(data); st.synced {
		out = t.feed(st, data, out)
		lost = st.miss(s.size-len(s.payload)) || lost // of a segment that was captured in part
	}
	switch {
	case lost:
		return out, lostStream
	case len(out) == before:
		return out, partOfMessage
	}
	return out, nil
}

// beginsMessage says whether bytes from the middle of a stream look like a message with its length before it.
func beginsMessage(b []byte) bool { return len(b) > 2 && big.Uint16(b) > 12 && wire.Plausible(b[2:]) }

// miss passes over n bytes that are not there. It says whether a question was lost. If the gap ends in the message that
// it began in, the next message is found.
func (s *stream) miss(n int) (lost bool) {
	if n <= s.skip {
		s.skip -= n
		return false
	}
	lost = s.synced
	if rest := missing(s.buf, nil); len(s.buf) >= 2 && n <= rest {
		s.skip, s.buf = rest-n, nil
		return lost
	}
	s.synced, s.skip, s.buf = false, 0, nil
	return lost
}

// feed reads the bytes that come next in a stream.
func (t *streams) feed(s *stream, data []byte, out []message) []message {
	for {
		n := min(s.skip, len(data))
		if s.skip, data = s.skip-n, data[n:]; len(data) == 0 {
			return out
		}
		begun := len(s.buf) > 0
		if n = min(missing(s.buf, data), len(data)); begun {
			s.buf = append(s.buf, data[:n]...)
			t.buffered += n
		}
		b := s.buf // the message as far as it is there
		if !begun {
			b = data[:n]
		}
		data = data[n:]
		switch {
		case enough(b):
			size := int(big.Uint16(b))
			out = append(out, message{b[2:], size})
			s.skip, s.buf = 2+size-len(b), nil // out keeps buf
		case !begun:
			s.buf = append(s.buf, b...)
			t.buffered += len(b)
		}
	}
}

// missing is how many bytes a message lacks, of which buf is the beginning and data the rest. They are those of the
// length if it is not there yet.
func missing(buf, data []byte) int {
	switch {
	case len(buf) >= 2:
		return 2 + int(big.Uint16(buf)) - len(buf)
	case len(buf) == 0 && len(data) >= 2:
		return 2 + int(big.Uint16(data))
	}
	return 2 - len(buf)
}

// enough says whether b, which begins with the length of a message, has all of the message, or at least its header and
// its only question.
func enough(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	size, b := int(big.Uint16(b)), b[2:]
	if len(b) == size {
		return true
	}
	if len(b) < 12 || big.Uint16(b[4:]) > 1 {
		return false
	}
	_, next, err := wire.Name(b, 12, make([]byte, 0, 512))
	return err == nil && next+4 <= len(b)
}

// find looks a stream up.
func (t *streams) find(key flow) *stream {
	st := t.young[key]
	if st == nil {
		if st = t.old[key]; st != nil {
			delete(t.old, key)
			t.add(key, st)
		}
	}
	return st
}

// add puts a stream into the table, and forgets the old generation if the young one is full.
func (t *streams) add(key flow, s *stream) *stream {
	if t.young == nil || len(t.young) >= maxStreams || t.buffered >= maxBuffered {
		t.old, t.young, t.buffered = t.young, map[flow]*stream{}, 0
	}
	t.young[key] = s
	t.buffered += len(s.buf)
	return s
}

// forget drops a stream that has ended.
func (t *streams) forget(key flow) {
	delete(t.young, key)
	delete(t.old, key)
}
