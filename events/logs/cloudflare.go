package logs

func init() {
	registerJSON(&jsonTable{
		name: "cloudflare-gateway", title: "Cloudflare Gateway's DNS log (Logpush)",
		keys: []string{"QueryName", "ResolverDecision|SrcIP|QueryTypeName"}, score: 95,
		paths: map[field]string{
			fieldName:        "QueryName",
			fieldClient:      "SrcIP",
			fieldClientPort:  "SrcPort",
			fieldClientName:  "DeviceName Email",
			fieldServer:      "DstIP",
			fieldServerPort:  "DstPort",
			fieldTime:        "Datetime",
			fieldTypeNumber:  "QueryType",
			fieldType:        "QueryTypeName",
			fieldRCodeNumber: "RCode",
			fieldTransport:   "Protocol",
		},
	})
	registerJSON(&jsonTable{
		name: "cloudflare-firewall", title: "Cloudflare DNS Firewall's log (Logpush)",
		keys: []string{"QueryName", "ClientResponseCode|UpstreamResponseCode"}, score: 95,
		paths: map[field]string{
			fieldName:        "QueryName",
			fieldClient:      "SourceIP",
			fieldTime:        "Timestamp",
			fieldTypeNumber:  "QueryType",
			fieldRCodeNumber: "ClientResponseCode UpstreamResponseCode",
		},
	})
}
