package logs

import (
	"bytes"
	"time"

	"github.com/degas-dns/degas/events"
)

func init() {
	registerText(textFormat{
		name: "route53-zone", title: "query logs of an AWS Route 53 hosted zone", parser: newRoute53, alone: true, most: 95,
		missing: `lines "1.0 TIME ZONE NAME TYPE RCODE PROTOCOL EDGE RESOLVER ECS"`,
	})
}

// route53 reads the query logs of a hosted zone. Its clients are resolvers.
type route53 struct {
	reading
	columns bool
}

func newRoute53(o events.Options, clock func() time.Time) events.LineParser {
	r := &route53{newReading(clock), o.Columns}
	return r.parse
}

func (r *route53) parse(line []byte, out []events.Event) ([]events.Event, error) {
	version, text := word(line)
	if _, ok := r.times.parse(version); ok && bytes.IndexByte(version, 'T') > 0 { // CloudWatch's own time
		version, text = word(text)
	}
	if i := bytes.IndexByte(version, '.'); i <= 0 || i > 2 || len(version) > i+3 {
		return out, notOurs
	}
	stamp, text := word(text)
	zone, text := word(text)
	qname, text := word(text)
	qtype, text := word(text)
	rcode, text := word(text)
	carrier, text := word(text)
	edge, text := word(text)
	resolver, text := word(text)
	at, ok := r.times.parse(stamp)
	client, isAddress := address(resolver)
	if !ok || !isAddress {
		return out, notOurs
	}
	out, e, err := r.event(out, qname)
	if err != nil {
		return out, err
	}
	e.Time, e.Client, e.Kind = at, client, events.Both
	e.Type, e.RCode, e.Transport = typeOf(qtype), rcodeOf(rcode), transportOf(carrier)
	if r.columns {
		subnet, _ := word(text)
		keep(e, []byte("zone"), zone)
		keep(e, []byte("edge"), edge)
		keep(e, []byte("client_subnet"), subnet)
	}
	return out, nil
}
