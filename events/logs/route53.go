package logs

func init() {
	registerJSON(&jsonTable{
		name: "route53", title: "Amazon Route 53 Resolver's query log",
		keys: []string{"query_name", "query_timestamp", "srcaddr|vpc_id"}, score: 95,
		paths: map[field]string{
			fieldName:       "query_name",
			fieldClient:     "srcaddr",
			fieldClientPort: "srcport",
			fieldClientName: "srcids.instance",
			fieldTime:       "query_timestamp",
			fieldType:       "query_type",
			fieldRCode:      "rcode",
			fieldTransport:  "transport",
		},
	})
}
