package synth

import (
	"encoding/base32"
	"fmt"
	"strings"
)

func init() {
	registerTunnel("ozymandns", ozymandns,
		"OzymanDNS: SSH over DNS in base32, upwards in data labels, downwards in numbered polls.",
		"https://dankaminsky.com/2004/07/29/51/")
}

// ozymandns writes a client's names. Upwards: at most 110 bytes of content in base32, a number against
// caches with a zero, the session. Downwards: how many bytes have arrived, a number, the session. The
// tool's examples put sshdns in front of the zone, and most operators follow them.
func ozymandns(p Params) ([]string, error) {
	p = p.or(0, day(2004, 7, 29), 200)
	s := newSession(p, "ozymandns")
	id, arrived, prefix := s.below(65536), 0, ""
	if s.chance(70) {
		prefix = "sshdns."
	}
	coder := base32.StdEncoding.WithPadding(base32.NoPadding)
	full := min(s.room(60, 32)*5/8, 110)
	return collect(p.Count, func(int) string {
		against := s.below(65536)
		if s.chance(45) {
			name := fmt.Sprintf("%d-%d.id-%d.down.%s%s", arrived, against, id, prefix, s.zone)
			arrived += s.below(220)
			return name
		}
		n := full
		if s.chance(40) {
			n = s.between(1, full)
		}
		text := strings.ToLower(coder.EncodeToString(s.content(n)))
		return fmt.Sprintf("%s.%d-0.id-%d.up.%s%s", dotify(text, 60), against, id, prefix, s.zone)
	}), nil
}
