package logs

import "github.com/degas-dns/degas/events"

func init() {
	registerJSON(&jsonTable{
		name: "ocsf", title: "OCSF's DNS Activity (class 4003), as of Amazon Security Lake",
		keys: []string{"class_uid", "activity_id", "query"}, score: 95,
		paths: map[field]string{
			fieldName:        "query.hostname",
			fieldClient:      "src_endpoint.ip",
			fieldClientPort:  "src_endpoint.port",
			fieldClientName:  "src_endpoint.hostname src_endpoint.instance_uid",
			fieldServer:      "dst_endpoint.ip",
			fieldServerPort:  "dst_endpoint.port",
			fieldTime:        "time",
			fieldType:        "query.type",
			fieldRCodeNumber: "rcode_id",
			fieldRCode:       "rcode",
			fieldID:          "query.packet_uid",
			fieldTransport:   "connection_info.protocol_name",
			fieldKind:        "activity_id",
			fieldVersion:     "class_uid",
			fieldOpcode:      "query.opcode_id",
		},
		rule: ocsfRule,
	})
}

// ocsfRule reads the activity: 1 is a query, 2 a response, 6 both. The source is the client in all of them.
func ocsfRule(r *jsonRecord, e *events.Event) error {
	switch {
	case !r.is(fieldVersion, "4003"):
		return events.Skip("no DNS event")
	case r.has(fieldOpcode) && !r.is(fieldOpcode, "0"):
		return noQuery
	case r.is(fieldKind, "1"):
		e.Kind = events.Query
	case r.is(fieldKind, "2"):
		e.Kind = events.Response
	case !r.is(fieldKind, "6"):
		e.Kind = r.kind() // 0 and 99: the source does not know, or has a word of its own
	}
	if e.Kind == events.Query { // rcode_id is there and 0
		r.ranks[fieldRCode], r.ranks[fieldRCodeNumber] = 0, 0
	}
	return nil
}
