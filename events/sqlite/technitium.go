package sqlite

import (
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/events/logs"
)

func init() {
	register(&database{
		name: "technitium", title: "Technitium DNS Server's Query Logs (Sqlite), querylogs.db",
		table: "dns_logs", marks: []string{"dns_logs"},
		query: "SELECT * FROM dns_logs",
		set:   setTechnitium,
		end:   func(e *row) { e.Kind = events.Both },
	})
}

// technitiumTransports are by DnsTransportProtocol. The last two came through a proxy that says so.
var technitiumTransports = map[uint64]events.Transport{0: events.UDP, 1: events.TCP, 2: events.TLS, 3: events.HTTPS,
	4: events.HTTPS, 5: events.QUIC, 253: events.UDP, 254: events.TCP}

// setTechnitium reads the table that QueryLogsSqliteApp writes. A row is a query with its response.
func setTechnitium(e *row, column string, value any) bool {
	n, ok := number(value)
	switch column {
	case "qname":
		e.name = text(value)
	case "client_ip":
		e.Client = logs.Peer(text(value))
	case "server":
		e.Server = logs.Peer(text(value))
	case "timestamp":
		e.Time, _ = logs.Time(text(value))
	case "qtype":
		if ok && n < 1<<16 {
			e.Type = events.Type(n)
		}
	case "rcode":
		if ok && n < 1<<12 {
			e.RCode = events.RCode(n)
		}
	case "protocol":
		if ok {
			e.Transport = technitiumTransports[n]
		}
	case "dlid", "qclass":
	default:
		return false
	}
	return true
}
