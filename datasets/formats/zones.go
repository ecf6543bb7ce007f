package formats

import (
	"bytes"
	"strings"

	"github.com/degas-dns/degas/internal/lines"
)

// tunnelZones are the zones of the published tunnel captures, with the tool that used each. Every tunnel name of DTQBC
// and DGTA-BENCH ends in one and no ordinary name does: the zone alone tells the classes apart, and a model trained
// with it learns nothing else.
var tunnelZones = []struct{ zone, family string }{
	{"tunnel.tuns.org", "tuns"},
	{"tunnel.example.org", "dnscapy"},
	{"hidemyself.org", ""}, // iodine and dns2tcp took turns, see below
}

// StripZone removes the zone of a published tunnel capture from a name, in any case and with or without the final
// dot, and says which tool the capture is of, "" when that is not known. Names in other zones come back unchanged, and
// so does a zone by itself.
//
// hidemyself.org served iodine and dns2tcp. The dns2tcp sessions there start with 'q', which is no command of iodine
// (its names start with a hexadecimal user number or one of v, l, i, z, s, o, y, r, n, p).
//
//	"r16293.tunnel.tuns.org." -> "r16293", "tuns"
func StripZone(name []byte) (payload []byte, family string) {
	trimmed := bytes.TrimRight(name, ".")
	for _, z := range tunnelZones {
		cut := len(trimmed) - len(z.zone)
		if cut < 2 || trimmed[cut-1] != '.' || !strings.EqualFold(lines.View(trimmed[cut:]), z.zone) {
			continue
		}
		// Payloads may end in bytes that the capture lost, which leaves an empty label before the zone.
		payload = bytes.TrimRight(trimmed[:cut-1], ".")
		if len(payload) == 0 {
			return name, ""
		}
		family = z.family
		if family == "" {
			family = "iodine"
			if payload[0] == 'q' || payload[0] == 'Q' {
				family = "dns2tcp"
			}
		}
		return payload, family
	}
	return name, ""
}
