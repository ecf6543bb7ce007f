package logs

func init() {
	registerJSON(&jsonTable{
		name: "gcp-dns", title: "Google Cloud DNS' query log",
		keys:  []string{"jsonPayload.queryName", "jsonPayload.responseCode|jsonPayload.queryType|jsonPayload.sourceIP"},
		score: 95,
		paths: map[field]string{
			fieldName:       "jsonPayload.queryName",
			fieldClient:     "jsonPayload.sourceIP",
			fieldClientName: "jsonPayload.vmInstanceName",
			fieldServer:     "jsonPayload.destinationIP",
			fieldTime:       "timestamp",
			fieldType:       "jsonPayload.queryType",
			fieldRCode:      "jsonPayload.responseCode",
			fieldTransport:  "jsonPayload.protocol",
		},
	})
}
