package synth

import (
	"encoding/base32"
	"fmt"
	"strings"
)

func init() {
	Register(Family{
		Name:      "ozymandns",
		Class:     ClassTunnel,
		Doc:       "OzymanDNS: SSH over DNS in base32, upwards in data labels, downwards in numbered polls.",
		Reference: "https://dankaminsky.com/2004/07/29/51/",
		Generate:  ozymandns,
	})
}

// ozymandns writes a client's names: content in base32, a position and a random number, the session and
// its direction.
func ozymandns(p Params) ([]string, error) {
	p = p.or(0, day(2004, 7, 29), 200)
	s := newSession(p, "ozymandns")
	id, position := s.below(65536), 0
	coder := base32.StdEncoding.WithPadding(base32.NoPadding)
	full := min(s.room(60, 32)*5/8, 110)
	return collect(p.Count, func(int) string {
		if s.chance(45) {
			return fmt.Sprintf("%d-%d.id-%d.down.%s", position, s.below(65536), id, s.zone)
		}
		n := full
		if s.chance(40) {
			n = s.between(1, full)
		}
		text := strings.ToLower(coder.EncodeToString(s.content(n)))
		position += n
		return fmt.Sprintf("%s.%d-%d.id-%d.up.%s", dotify(text, 60), position-n, s.below(65536), id, s.zone)
	}), nil
}
