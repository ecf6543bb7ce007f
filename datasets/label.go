package datasets

import (
	"bytes"
	"strings"
)

// classWords are the values of class columns that name a class. Other words name a family: DGTA-BENCH, UMUDGA's tables
// and DTQBC's have one column for both.
var classWords = map[string]Class{
	"0": Benign, "benign": Benign, "legit": Benign, "legitimate": Benign, "normal": Benign, "alexa": Benign,
	"good": Benign, "white": Benign, "false": Benign, "clean": Benign,
	"1": DGA, "dga": DGA, "malicious": DGA, "malware": DGA, "bad": DGA, "true": DGA, "~normal": DGA, "black": DGA,
	"tunnel": Tunnel, "tunneling": Tunnel, "tunnelling": Tunnel, "dns_tunnel": Tunnel,
}

// labeller turns the values of a class column into classes. Columns repeat few values, so it remembers them.
type labeller struct {
	positive Class // what "1", "malicious", … mean in this file; "dga" is always DGA
	seen     map[string]label
}

type label struct {
	class  Class
	family string
	ok     bool
}

// maxLabels bounds what a labeller remembers; a class column has few values.
const maxLabels = 4096

func newLabeller(path string) *labeller {
	l := &labeller{positive: DGA, seen: map[string]label{}}
	if h := hintOf(path); h.known && h.class == Tunnel {
		l.positive = Tunnel
	}
	return l
}

// label reads a value. ok is false when it names neither a class nor a family.
func (l *labeller) label(value []byte) label {
	if got, ok := l.seen[string(value)]; ok {
		return got
	}
	s := strings.ToLower(strings.TrimSpace(string(value)))
	var got label
	if c, ok := classWords[s]; ok {
		if c == DGA && s != "dga" {
			c = l.positive
		}
		got = label{class: c, ok: true}
	} else if f := NormalizeFamily(s); f != "" && strings.Trim(f, "0123456789.-_") != "" {
		got = label{class: DGA, family: f, ok: true}
		if tunnelTools[f] {
			got.class = Tunnel
		}
	}
	if len(l.seen) < maxLabels {
		l.seen[string(value)] = got
	}
	return got
}

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
		if cut < 2 || trimmed[cut-1] != '.' || !strings.EqualFold(view(trimmed[cut:]), z.zone) {
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

// StripZone is applied to every record whose class is Tunnel and that comes from a published capture.
func (l label) record(name []byte) Record {
	r := Record{Class: l.class, Family: l.family}
	if l.class == Tunnel {
		payload, family := StripZone(name)
		name = payload
		if r.Family == "" {
			r.Family = family
		}
	}
	r.Name = view(name)
	return r
}
