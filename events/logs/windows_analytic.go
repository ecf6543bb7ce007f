package logs

import (
	"bytes"
	"encoding/hex"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/events/wire"
)

func init() {
	registerJSON(windowsEvents)
	c := windowsEvents.compile()
	events.Register(&events.Format{
		Name: "windows-xml", Title: "Windows' DNS server analytic log and Sysmon's event 22, exported as XML", Unit: "lines",
		Sniff: func(head []byte) (int, string) {
			if !bytes.Contains(head, []byte("<Event ")) && !bytes.Contains(head, []byte("<Event>")) {
				return 0, "no <Event> of Windows"
			}
			score, missing := c.sniffLines(eventLines(head))
			return score, missing
		},
		Open: func(in *events.Source) (events.Reader, error) {
			in.Reader = xmlEvents(in.Reader)
			return events.Lines(func(o events.Options) events.LineParser {
				p := c.parser(o)
				return func(line []byte, out []events.Event) ([]events.Event, error) {
					if string(line) == "{}" {
						return out, events.Refuse("event that is no XML")
					}
					return p.parse(line, out)
				}
			})(in)
		},
	})
}

// windowsEvents are the events 256 to 259 of Microsoft-Windows-DNSServer/Analytical, and 22 of Sysmon, as Winlogbeat,
// NXLog and others write them. xmlEvents gives the same paths to XML.
var windowsEvents = &jsonTable{
	name:  "windows-analytic",
	title: "Windows' DNS server analytic log and Sysmon's event 22, exported as JSON",
	keys: []string{"winlog.event_id|EventID|EventId|event_id|event.code",
		"winlog.event_data|EventData|event_data|QNAME|QueryName"},
	score: 96, // Winlogbeat's have @timestamp and message, too
	paths: map[field]string{
		fieldName:        eventData("QNAME", "QueryName", "PacketData"),
		fieldClient:      eventData("Source"),
		fieldExtra:       eventData("Destination"),
		fieldClientPort:  eventData("Port"),
		fieldClientName:  "winlog.computer_name Computer Hostname computer_name", // Sysmon's
		fieldServer:      eventData("InterfaceIP"),
		fieldTime:        "winlog.event_data.UtcTime EventData.UtcTime @timestamp TimeCreated EventTime",
		fieldTypeNumber:  eventData("QTYPE"),
		fieldRCodeNumber: eventData("RCODE"),
		fieldOpcode:      eventData("QueryStatus"),
		fieldID:          eventData("XID"),
		fieldVersion:     eventData("TCP"),
		fieldKind:        "winlog.event_id EventID EventId event_id event.code",
	},
	rule: windowsRule,
}

// eventData are the paths of a value of an event.
func eventData(names ...string) (paths string) {
	for _, name := range names {
		for _, prefix := range []string{"winlog.event_data.", "EventData.", "event_data.", ""} {
			paths += prefix + name + " "
		}
	}
	return paths
}

// windowsRule reads an event's number. The client is the source of a query and the destination of a response.
func windowsRule(r *jsonRecord, e *events.Event) error {
	switch {
	case r.is(fieldKind, "256", "259"): // received, ignored
		e.Kind = events.Query
		r.ranks[fieldRCodeNumber] = 0
	case r.is(fieldKind, "257", "258"): // sent, failed
		e.Kind = events.Response
		r.values[fieldClient], r.ranks[fieldClient] = r.values[fieldExtra], r.ranks[fieldExtra]
	case r.is(fieldKind, "260", "261"):
		return ownQuery
	case r.is(fieldKind, "22"):
		return sysmonRule(r, e)
	default:
		return events.Skip("no DNS event")
	}
	if r.ranks[fieldClientName] = 0; r.is(fieldVersion, "1") {
		e.Transport = events.TCP
	} else if r.is(fieldVersion, "0") {
		e.Transport = events.UDP
	}
	// An event may have the DNS message alone, in hexadecimal digits.
	digits, found := bytes.CutPrefix(r.textOf(fieldName), []byte("0x"))
	if !found || bytes.IndexByte(digits, '.') >= 0 {
		return nil
	}
	message, err := hex.AppendDecode(nil, digits)
	if err != nil {
		return events.Refuse("PacketData that cannot be read")
	}
	kind := e.Kind
	_, err = wire.Question(message, e, nil)
	e.Kind = kind
	return err
}

// sysmonRule reads event 22: a program of the computer asked. QueryStatus is an error of Windows.
func sysmonRule(r *jsonRecord, e *events.Event) error {
	e.Kind = events.Both
	switch n, ok := r.number(fieldOpcode, 1<<16); {
	case !ok:
		e.Kind = events.Query
	case n == 0, n == 9501, n == 9701: // DNS_INFO_NO_RECORDS, DNS_ERROR_RECORD_DOES_NOT_EXIST
		e.RCode = events.NoError
	case n > 9000 && n < 9024: // DNS_ERROR_RCODE_…
		e.RCode = events.RCode(n - 9000)
	}
	return nil
}
