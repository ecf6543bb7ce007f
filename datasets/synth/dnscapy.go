package synth

import (
	"encoding/base64"
	"strconv"
)

func init() {
	registerTunnel("dnscapy", dnscapy,
		"DNScapy: SSH over DNS in base64, with counters in labels of their own.",
		"https://code.google.com/archive/p/dnscapy/")
}

// dnscapy writes a client's names: up to four labels of base64, then fragment number, type, connection
// and a random number against caches. Names without content open, poll and acknowledge.
func dnscapy(p Params) ([]string, error) {
	p = p.or(0, day(2019, 1, 1), 200)
	s := newSession(p, "dnscapy")
	connection, fragment := strconv.Itoa(s.between(1, 9)), s.below(20)
	against := func() string { return strconv.Itoa(s.between(1000, 65535)) }
	full := min(s.room(maxLabel, 16)*3/4, 156)
	return collect(p.Count, func(i int) string {
		tail := connection + "." + against() + "." + s.zone
		switch {
		case i == 0:
			return "a." + against() + "." + s.zone
		case i == 1:
			return "b.e." + tail
		case s.chance(8):
			return s.pick([]string{"c.", "e.", "d.e."}) + tail
		}
		n := full
		if s.chance(30) {
			n = s.between(8, full)
		}
		fragment++
		text := base64.RawStdEncoding.EncodeToString(s.content(n))
		return dotify(text, maxLabel) + "." + strconv.Itoa(fragment%128) + ".f." + tail
	}), nil
}
