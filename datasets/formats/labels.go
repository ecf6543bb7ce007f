package formats

import (
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/lines"
)

// classWords are the values of class columns that name a class. Other words name a family: DGTA-BENCH, UMUDGA's tables
// and DTQBC's have one column for both.
var classWords = map[string]datasets.Class{
	"0": benign, "benign": benign, "legit": benign, "legitimate": benign, "normal": benign, "alexa": benign,
	"good": benign, "white": benign, "false": benign, "clean": benign,
	"1": dga, "dga": dga, "malicious": dga, "malware": dga, "bad": dga, "true": dga, "~normal": dga, "black": dga,
	"tunnel": tunnel, "tunneling": tunnel, "tunnelling": tunnel, "dns_tunnel": tunnel,
}

// labeller turns the values of a class column into classes. Columns repeat few values, so it remembers them.
type labeller struct {
	positive datasets.Class // what "1", "malicious", … mean in this file; "dga" is always DGA
	seen     map[string]label
}

type label struct {
	class  datasets.Class
	family string
	ok     bool
}

// maxLabels bounds what a labeller remembers; a class column has few values.
const maxLabels = 4096

func newLabeller(path string) *labeller {
	l := &labeller{positive: dga, seen: map[string]label{}}
	if h := hintOf(path); h.known && h.class == tunnel {
		l.positive = tunnel
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
		if c == dga && s != "dga" {
			c = l.positive
		}
		got = label{class: c, ok: true}
	} else if f := datasets.NormalizeFamily(s); f != "" && strings.Trim(f, "0123456789.-_") != "" {
		got = label{class: dga, family: f, ok: true}
		if tunnelTools[f] {
			got.class = tunnel
		}
	}
	if len(l.seen) < maxLabels {
		l.seen[string(value)] = got
	}
	return got
}

// tunnelTools are the families that make a record a tunnel where a file has one column for class and family.
var tunnelTools = map[string]bool{
	"iodine": true, "dns2tcp": true, "dnscapy": true, "tuns": true, "dnscat": true, "dnscat2": true, "ozymandns": true,
	"dnstt": true, "dnspot": true, "tcp-over-dns": true, "heyoka": true, "dnsexfiltrator": true, "cobaltstrike": true,
}

// record is a record with the label. The zone of a published tunnel capture is cut off, see StripZone.
func (l label) record(name []byte) datasets.Record {
	r := datasets.Record{Class: l.class, Family: l.family}
	if l.class == tunnel {
		payload, family := StripZone(name)
		name = payload
		if r.Family == "" {
			r.Family = family
		}
	}
	r.Name = lines.View(name)
	return r
}
