package sqlite

import (
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/events/logs"
)

func init() {
	register(&database{
		name: "pihole-ftl", title: "Pi-hole's long-term database, pihole-FTL.db",
		table: "queries", marks: []string{"CREATE VIEW queries", "TABLE query_storage", "TABLE queries"},
		query: "SELECT * FROM queries",
		clientNames: [2]string{"client_by_id",
			"(SELECT name FROM client_by_id WHERE ip = queries.client LIMIT 1) AS client_name"},
		set: setPihole,
		end: func(e *row) {
			if e.RCode != events.NoRCode {
				e.Kind = events.Both
			}
		},
	})
}

// setPihole reads the view queries, whose columns are those of the table of the same name in old databases:
// https://docs.pi-hole.net/database/query-database/.
func setPihole(e *row, column string, value any) bool {
	switch column {
	case "domain":
		e.name = text(value)
	case "client":
		name := e.Client.Name
		e.Client = logs.Peer(text(value))
		if name != "" {
			e.Client.Name = name
		}
	case "client_name":
		if name := text(value); len(name) > 0 {
			e.Client.Name = string(name)
		}
	case "timestamp":
		e.Time, _ = logs.Time(text(value))
	case "type":
		if n, ok := number(value); ok {
			e.Type = piholeType(n)
		} else {
			e.Type, _ = events.ParseType(string(text(value)))
		}
	case "reply_type":
		if n, ok := number(value); ok {
			e.RCode = piholeRCode(n)
		}
	case "id": // the number of the row, which no other table needs
	default:
		return false
	}
	return true
}

var piholeTypes = [...]events.Type{1: 1, 28, 255, 33, 6, 12, 16, 35, 15, 43, 46, 48, 2, events.NoType, 64, 65}

// piholeType reads FTL's own numbers of types, and those from 100 on, which are 100 and the type.
func piholeType(n uint64) events.Type {
	switch {
	case n < uint64(len(piholeTypes)):
		return piholeTypes[n]
	case n >= 100 && n < 100+1<<16:
		return events.Type(n - 100)
	}
	return events.NoType
}

// piholeRCode reads the kind of a reply: 1 NODATA, 2 NXDOMAIN, 3 CNAME, 4 IP, 5 DOMAIN, 6 RRNAME, 7 SERVFAIL,
// 8 REFUSED, 9 NOTIMP, 11 DNSSEC, 13 BLOB. 0 is no reply, 10 another one, 12 a query that was dropped.
func piholeRCode(n uint64) events.RCode {
	switch n {
	case 1, 3, 4, 5, 6, 11, 13:
		return events.NoError
	case 2:
		return events.NXDomain
	case 7:
		return events.ServFail
	case 8:
		return events.Refused
	case 9:
		return 4
	}
	return events.NoRCode
}
