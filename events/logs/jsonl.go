package logs

import (
	"bytes"

	"fmt"
	"maps"

	"github.com/degas-dns/degas/events"
)

func init() {
	events.Register(&events.Format{
		Name: "jsonl", Title: "JSON, one object a line, with a name at a usual path or at --field name=PATH", Unit: "lines",
		Sniff: sniffJSONL,
		Open:  openJSONL,
		Cuts:  objectPerLine,
	})
}

// usualPaths lead to the fields in logs of programs that nobody foresaw.
var usualPaths = &jsonTable{
	name:  "jsonl",
	score: 20,
	urls:  true,
	paths: map[field]string{
		fieldName: "query dns.queries[].rrname dns.rrname dns.question.name query.hostname query_name QueryName QH " +
			"jsonPayload.queryName QNAME qname queryname dns.query dns.qname question.name question domain domainname fqdn " +
			"hostname host url.domain url",
		fieldClient: "client.ip client_ip clientip client.address client src_ip srcip source.ip src.ip source_ip srcaddr " +
			"SrcIP id.orig_h src source SourceIp jsonPayload.sourceIP src_endpoint.ip remote_addr ip IP",
		fieldClientPort: "client.port client_port clientport src_port srcport source.port SrcPort id.orig_p",
		fieldServer: "server.ip server_ip dest_ip dst_ip destination.ip dstip dstaddr server dst DstIP id.resp_h " +
			"dst_endpoint.ip",
		fieldServerPort: "server.port server_port dest_port dst_port destination.port DstPort id.resp_p",
		fieldTime:       "timestamp @timestamp time ts datetime date query_timestamp Datetime TimeGenerated unixtime T _time",
		fieldTypeNumber: "qtype QTYPE",
		fieldType: "qtype_name query_type qtype rrtype dns.queries[].rrtype dns.rrtype dns.question.type query.type " +
			"QueryTypeName QueryType QTYPE QT jsonPayload.queryType question.type record_type",
		fieldRCodeNumber: "rcode_id RCODE",
		fieldRCode: "rcode_name rcode dns.rcode dns.response_code response_code responsecode ResponseCode RCode " +
			"jsonPayload.responseCode RCODE",
		fieldID:        "dns.id query_id trans_id",
		fieldTransport: "proto protocol transport network.transport Protocol",
	},
}

var usual = usualPaths.compile()

// userFields are the fields that --field names.
var userFields = map[string]field{"name": fieldName, "client": fieldClient, "server": fieldServer, "time": fieldTime,
	"type": fieldType, "rcode": fieldRCode}

// sniffJSONL takes all JSON, for which the user may name the fields, and more gladly where a usual path has a name.
func sniffJSONL(head []byte) (score int, missing string) {
	list := jsonLines(head)
	good, named := 0, 0
	p := usual.parser(events.Options{})
	var out []events.Event
	for _, line := range list {
		var err error
		if out, err = p.parse(line, out[:0]); err == nil {
			named++
		}
		if _, bad := err.(events.Refuse); !bad {
			good++
		}
	}
	switch {
	case 2*named >= max(len(list), 1):
		return max(usual.score*named/len(list), 2), ""
	case 2*good >= max(len(list), 1):
		return 1, ""
	}
	return 0, "no objects of JSON"
}

func openJSONL(in *events.Source) (events.Reader, error) {
	table := *usualPaths
	if len(in.Fields) > 0 {
		table.paths = maps.Clone(usualPaths.paths)
		for name, path := range in.Fields {
			f, ok := userFields[name]
			if !ok {
				return nil, fmt.Errorf("there is no field %q. Try: name, client, server, time, type or rcode", name)
			}
			table.paths[f] = path
			switch f {
			case fieldType:
				delete(table.paths, fieldTypeNumber)
			case fieldRCode:
				delete(table.paths, fieldRCodeNumber)
			}
		}
	}
	c := table.compile()
	if !c.named(in.Head) {
		where := "a usual path"
		if path := in.Fields["name"]; path != "" {
			where = path
		}
		return nil, fmt.Errorf("no name at %s in the first lines of JSON. Try: --field name=PATH, as in dns.question.name",
			where)
	}
	return openJSON(in, c.parser(in.Options).parse)
}

// named reports whether a line of the head has a name.
func (c *compiledTable) named(head []byte) bool {
	p := c.parser(events.Options{})
	for _, line := range jsonLines(head) {
		if out, err := p.parse(line, nil); err == nil && len(out) > 0 {
			return true
		}
	}
	return false
}

// hostOf is the host of a URL, or text if it is none.
func hostOf(text []byte) []byte {
	_, rest, found := bytes.Cut(text, []byte("://"))
	if !found {
		return text
	}
	if i := bytes.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	rest = rest[bytes.LastIndexByte(rest, '@')+1:]
	if i := bytes.LastIndexByte(rest, ':'); i >= 0 && rest[0] != '[' {
		rest = rest[:i]
	}
	return rest
}
