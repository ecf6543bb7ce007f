package synth

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

func init() {
	registerTunnel("dns2tcp", dns2tcp,
		"dns2tcp: TCP over DNS in base64. Some resolvers lower the case of what they log; lower is what is left then.",
		"https://github.com/alex-sector/dns2tcp",
		"base64", "lower")
}

// dns2tcp writes a client's names: seven bytes of session, acknowledged and own number and type, then
// content, in base64 without padding and in labels of 63. A session opens with authentication and a
// choice of resource, which have a label of their own.
func dns2tcp(p Params) ([]string, error) {
	p = p.or(0, day(2022, 4, 1), 200)
	s := newSession(p, "dns2tcp")
	const poll, data = 4, 8
	id, seq := uint16(s.next()), uint16(0)
	if s.chance(70) { // a session that has been running for a while
		seq = uint16(s.next())
	}
	lag, bulk := uint16(s.between(1, 30)), s.between(10, 70)
	packet := func(kind byte, content []byte) string {
		b := binary.BigEndian.AppendUint16(nil, id)
		b = binary.BigEndian.AppendUint16(b, seq)
		b = append(binary.BigEndian.AppendUint16(b, seq+lag), kind)
		return base64.RawStdEncoding.EncodeToString(append(b, content...))
	}
	full := s.room(maxLabel, 0)*3/4 - 7
	opening := []string{
		packet(0, nil) + ".=auth",
		packet(0, []byte(strings.ToUpper(hex.EncodeToString(s.bytes(20))))) + ".=auth",
		packet(0, []byte(s.pick([]string{"ssh", "socat", "socks", "http", "smtp", "proxy"}))) + ".=connect",
	}
	return collect(p.Count, func(i int) string {
		name := ""
		switch {
		case i < len(opening):
			name = opening[i]
		case s.chance(bulk):
			n := full
			if s.chance(50) {
				n = s.between(1, full)
			}
			name = packet(data, s.content(n))
		default:
			name = packet(poll, nil)
		}
		seq++
		if p.Variant == "lower" {
			name = strings.ToLower(name)
		}
		return dotifyLast(name, maxLabel) + "." + s.zone
	}), nil
}

// dotifyLast is dotify, but leaves a label that text already ends in alone.
func dotifyLast(text string, width int) string {
	head, tail, found := strings.Cut(text, ".")
	if !found {
		return dotify(text, width)
	}
	return dotify(head, width) + "." + tail
}
