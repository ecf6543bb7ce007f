package logs

import "strings"

func init() {
	// Diagnostic settings put the columns of the tables below properties, and several records on a line.
	properties := func(names ...string) (paths string) {
		for _, name := range names {
			paths += " records[].properties." + name + " records[]." + name + " properties." + name + " " + name
		}
		return paths
	}
	either := func(names ...string) string { return strings.Join(strings.Fields(properties(names...)), "|") }
	clients := []string{"SourceIp", "SourceIpAddress", "QuerySourceIp"}
	registerJSON(&jsonTable{
		name: "azure", title: "Azure's query logs: AZFWDnsQuery, DNSQueryLogs, NWPacketCaptureDnsQuery",
		keys:  []string{either("QueryName"), either("TimeGenerated", "time"), either(clients...)},
		score: 95,
		paths: map[field]string{
			fieldName:       properties("QueryName"),
			fieldClient:     properties(clients...),
			fieldClientPort: properties("SourcePort", "QuerySourcePort"),
			fieldServer:     properties("DestinationIp", "DestinationIpAddress", "QueryDestinationIp"),
			fieldTime:       properties("EventTs", "TimeGenerated", "time"),
			fieldType:       properties("QueryType"),
			fieldRCode:      properties("ResponseCode", "RCode"),
			fieldID:         properties("QueryId"),
			fieldSize:       properties("ResponseSize"),
			fieldTransport:  properties("Protocol", "Transport"),
		},
	})
}
