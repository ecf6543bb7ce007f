package logs

import "github.com/degas-dns/degas/events"

func init() {
	registerJSON(&jsonTable{
		name: "suricata", title: "Suricata's eve.json: its DNS events of versions 1 to 3",
		keys: []string{"event_type", "timestamp"}, score: 95,
		paths: map[field]string{
			fieldName:       "dns.queries[].rrname dns.rrname",
			fieldClient:     "src_ip",
			fieldClientPort: "src_port",
			fieldServer:     "dest_ip",
			fieldServerPort: "dest_port",
			fieldTime:       "timestamp",
			fieldType:       "dns.queries[].rrtype dns.rrtype",
			fieldRCode:      "dns.rcode",
			fieldID:         "dns.id",
			fieldTransport:  "proto",
			fieldKind:       "dns.type",
			fieldVersion:    "dns.version",
			fieldOpcode:     "dns.opcode",
			fieldMessage:    "event_type",
			fieldExtra:      "dns.ttl dns.rdata", // version 1: the line is about one record of an answer
		},
		rule: suricataRule,
	})
}

// suricataRule tells queries from responses. Versions 1 and 2 say query and answer, version 3 request and response.
// Version 1 has a line for each record of an answer, whose name may be an alias: only the line about the question
// itself counts.
func suricataRule(r *jsonRecord, e *events.Event) error {
	switch {
	case !r.is(fieldMessage, "dns"):
		return events.Skip("no DNS event")
	case r.has(fieldOpcode) && !r.is(fieldOpcode, "0"):
		return noQuery
	case r.is(fieldKind, "query", "request"):
		e.Kind = events.Query
		return nil
	case !r.is(fieldKind, "answer", "response"):
		return events.Refuse("DNS event of unknown type")
	case r.has(fieldExtra):
		return events.Skip("record of an answer")
	}
	e.Kind = events.Response
	// The source of a response is the server, but some releases turn the two around, as for the query.
	if !r.is(fieldServerPort, "53") || r.is(fieldClientPort, "53") {
		r.swap()
	}
	return nil
}
