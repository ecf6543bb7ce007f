package synth

import (
	"encoding/base32"
	"strconv"
)

func init() {
	registerTunnel("tuns", tuns,
		"TUNS: IP over DNS in base32 capitals, whole packets of at most 140 bytes, and short numbered polls.",
		"Nussbaum, Neyron, Richard: On Robust Covert Channels Inside DNS (2009)")
}

// tuns writes a client's names: d and a packet of the network, or r and a counter to fetch one.
func tuns(p Params) ([]string, error) {
	p = p.or(0, day(2009, 1, 1), 200)
	s := newSession(p, "tuns")
	poll := s.between(1, 20000)
	coder := base32.StdEncoding.WithPadding(base32.NoPadding)
	full := min(s.room(maxLabel, 1)*5/8, 140) - 52
	return collect(p.Count, func(int) string {
		if s.chance(55) {
			poll++
			return "r" + strconv.Itoa(poll) + "." + s.zone
		}
		n := full
		if s.chance(35) {
			n = s.below(full)
		}
		return dotify("d"+coder.EncodeToString(s.packet(n)), maxLabel) + "." + s.zone
	}), nil
}
