package logs

func init() {
	registerJSON(&jsonTable{
		name: "zeek-json", title: "Zeek's dns.log as JSON, also in Filebeat's zeek.dns.*",
		keys:  []string{"id.orig_h|id_orig_h|zeek.dns.id.orig_h|zeek.dns.trans_id|zeek.dns.query", "ts|@timestamp"},
		score: 95,
		paths: map[field]string{
			fieldName:        "query zeek.dns.query",
			fieldClient:      "id.orig_h id_orig_h zeek.dns.id.orig_h client.ip source.ip source.address",
			fieldClientPort:  "id.orig_p id_orig_p zeek.dns.id.orig_p client.port source.port",
			fieldServer:      "id.resp_h id_resp_h zeek.dns.id.resp_h server.ip destination.ip destination.address",
			fieldServerPort:  "id.resp_p id_resp_p zeek.dns.id.resp_p server.port destination.port",
			fieldTime:        "ts zeek.dns.ts @timestamp",
			fieldTypeNumber:  "qtype zeek.dns.qtype",
			fieldType:        "qtype_name zeek.dns.qtype_name",
			fieldRCodeNumber: "rcode zeek.dns.rcode",
			fieldRCode:       "rcode_name zeek.dns.rcode_name",
			fieldID:          "trans_id zeek.dns.trans_id",
			fieldTransport:   "proto zeek.dns.proto network.transport",
		},
	})
}
