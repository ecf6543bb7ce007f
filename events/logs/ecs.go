package logs

import "github.com/degas-dns/degas/events"

func init() {
	events.Register(&events.Format{
		Name: "ecs", Title: "Elastic Common Schema: Packetbeat, Filebeat, also around lines of another log", Unit: "lines",
		Sniff: sniffECS,
		Open: func(in *events.Source) (events.Reader, error) {
			return openWrapped(in, ecs, ecs.parser(in.Options))
		},
	})
}

var ecs = (&jsonTable{
	name:  "ecs",
	keys:  []string{"@timestamp"},
	score: 90,
	paths: map[field]string{
		fieldName:       "dns.question.name",
		fieldClient:     "client.ip source.ip client.address source.address",
		fieldClientPort: "client.port source.port",
		fieldServer:     "server.ip destination.ip server.address destination.address",
		fieldServerPort: "server.port destination.port",
		fieldTime:       "@timestamp",
		fieldType:       "dns.question.type",
		fieldRCode:      "dns.response_code",
		fieldID:         "dns.id",
		fieldTransport:  "network.transport",
		fieldKind:       "dns.type",
		fieldOpcode:     "dns.op_code",
		fieldVersion:    "client.ip client.address", // says that the schema's client is known
		fieldMessage:    "message event.original",
	},
	rule: ecsRule,
}).compile()

// ecsRule reads dns.type, which is "query", or "answer" also for a query with its response. Of a response alone, whose
// line has no client, the source is the server.
func ecsRule(r *jsonRecord, e *events.Event) error {
	switch {
	case r.has(fieldOpcode) && !r.is(fieldOpcode, "QUERY", "0", "query"):
		return noQuery
	case r.is(fieldKind, "query") && !r.has(fieldRCode):
		e.Kind = events.Query
	case r.is(fieldKind, "answer") && !r.has(fieldVersion) && r.is(fieldClientPort, "53") && !r.is(fieldServerPort, "53"):
		e.Kind = events.Response
		r.swap()
	}
	return nil
}

func sniffECS(head []byte) (score int, missing string) {
	if score, missing = ecs.sniff(head); score == 0 {
		return 0, missing
	}
	named := ecs.named(head)
	inner, missing := sniffWrapped(head, ecs)
	switch {
	case named:
		return score, ""
	case inner > 0:
		return max(score-10, 1), ""
	}
	return 0, "no JSON with dns.question.name, and " + missing
}
