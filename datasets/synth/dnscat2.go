package synth

import (
	"encoding/binary"
	"encoding/hex"
)

func init() {
	registerTunnel("dnscat2", dnscat2,
		"dnscat2: a command channel in hex. encrypted (the default of the tool) or plain.",
		"https://github.com/iagox86/dnscat2/blob/master/doc/protocol.md",
		"encrypted", "plain")
}

// dnscat2 writes a client's names: packet number, type, session and content in hex, in labels of 60 or
// 62 digits. An idle client polls once a second, which is most of what it ever sends.
func dnscat2(p Params) ([]string, error) {
	p = p.or(0, day(2022, 4, 1), 200)
	s := newSession(p, "dnscat2")
	be := binary.BigEndian
	id, nonce, opened := uint16(s.next()), uint16(0), false
	seq, ack := uint16(s.next()), uint16(s.next())
	width := []int{60, 62}[s.below(2)]
	full := s.room(width, 2) / 2
	bulk := s.between(8, 80) // percent of the packets that carry content
	return collect(p.Count, func(i int) string {
		b := be.AppendUint16(nil, uint16(s.next()))
		if i < 2 && p.Variant == "encrypted" { // a public key, then the proof of the shared secret
			b = be.AppendUint16(append(b, 3), id)
			b = append(b, 0, byte(i), 0, 0)
			return dotify(hex.EncodeToString(append(b, s.bytes(64>>i)...)), width) + "." + s.zone
		}
		kind := byte(1) // message
		if !opened {
			kind, opened = 0, true
		}
		if p.Variant == "encrypted" {
			// Signature and a counter, then nothing but noise.
			b = be.AppendUint16(append(b, kind), id)
			b = append(b, s.bytes(6)...)
			b = be.AppendUint16(b, nonce)
			nonce++
			b = append(b, s.bytes(4)...)
		} else {
			b = be.AppendUint16(append(b, kind), id)
			b = be.AppendUint16(be.AppendUint16(b, seq), ack)
		}
		if s.chance(bulk) {
			n := full - len(b)
			if s.chance(40) {
				n = s.between(1, n)
			}
			seq += uint16(n)
			b = append(b, s.content(n)...)
		}
		ack += uint16(s.below(60))
		return dotify(hex.EncodeToString(b), width) + "." + s.zone
	}), nil
}
