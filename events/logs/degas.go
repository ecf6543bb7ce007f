package logs

import "github.com/degas-dns/degas/events"

func init() {
	registerJSON(&jsonTable{
		name: "degas", title: "degas' own event log, see events.AppendJSON",
		keys: []string{"name", "kind"}, score: 97,
		paths: map[field]string{
			fieldName:       "name",
			fieldClient:     "client",
			fieldClientPort: "client_port",
			fieldClientName: "client_name",
			fieldServer:     "server",
			fieldServerPort: "server_port",
			fieldServerName: "server_name",
			fieldTime:       "time",
			fieldType:       "type",
			fieldRCode:      "rcode",
			fieldID:         "id",
			fieldTransport:  "transport",
			fieldSize:       "size",
			fieldKind:       "kind",
		},
		rule: func(r *jsonRecord, e *events.Event) error {
			for _, kind := range []events.Kind{events.Query, events.Response, events.Both} {
				if r.is(fieldKind, kind.String()) {
					e.Kind = kind
					return nil
				}
			}
			return events.Refuse("event of unknown kind")
		},
	})
}
