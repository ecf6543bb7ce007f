package logs

import (
	"bytes"
	"slices"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/lines"
)

// role is what a column of a table, or the value of a key, holds.
type role uint8

const (
	noRole role = iota
	timeRole
	dateRole // where a time of day has a column of its own
	clientRole
	clientPortRole
	serverRole
	serverPortRole
	transportRole
	idRole
	nameRole
	typeRole
	rcodeRole
	kindRole
	roles
)

// usualTitles are titles of columns and keys in many logs, in plainTitle's form, the surest first. A "host" is often
// the machine that sent the log, so it comes late among names. A "source" is often a file.
var usualTitles = [roles][]string{
	nameRole: {"query", "qname", "queryname", "dnsquestionname", "dnsrrname", "rrname", "dnsqryname", "dnsquery",
		"queryhostname", "jsonpayloadqueryname", "qh", "questionname", "question", "queriedname", "querieddomain",
		"querydomain", "requesteddomain", "dnsname", "domainname", "domain", "fqdn", "servername", "urldomain",
		"destinationdomain", "dhost", "hostname", "host", "url", "uri", "name"},
	clientRole: {"clientip", "srcip", "sourceip", "idorigh", "srcaddr", "srcaddress", "srcipaddr", "sourceaddress",
		"sourceipaddress", "cip", "clientaddress", "clientaddr", "queryaddress", "ipsrc", "ip6src", "srcendpointip",
		"client", "src", "remoteip", "remote", "srchost", "clientname", "devicename", "ip"},
	clientPortRole: {"srcport", "sourceport", "clientport", "idorigp", "udpsrcport", "spt"},
	serverRole: {"serverip", "dstip", "destip", "destinationip", "idresph", "dstaddr", "destaddr", "dstaddress",
		"destinationaddress", "destinationipaddress", "ipdst", "ip6dst", "resolver", "nameserver", "server", "dst", "dest"},
	serverPortRole: {"dstport", "destinationport", "serverport", "idrespp", "udpdstport", "dpt"},
	timeRole: {"eventtime", "timestamp", "ts", "querytimestamp", "querytime", "frametimeepoch", "datetime", "time",
		"timegenerated", "starttime", "unixtime", "t", "rt"},
	dateRole: {"date", "datum", "fecha"},
	typeRole: {"qtypename", "querytypename", "dnsquestiontype", "dnsrrtype", "rrtype", "dnsqrytype", "dnsquerytype",
		"qtype", "querytype", "recordtype", "jsonpayloadquerytype", "qt", "type"},
	rcodeRole: {"rcodename", "rcode", "dnsrcode", "dnsresponsecode", "dnsflagsrcode", "responsecode", "responsecodename",
		"jsonpayloadresponsecode", "returncode", "replycode"},
	transportRole: {"transport", "proto", "protocol", "networktransport"},
	idRole:        {"transid", "dnsid"},
	kindRole:      {"dnsflagsresponse", "eventtype", "dnstype", "messagetype", "msg", "qr"},
}

// urlTitles are those of names that may be URLs, may have a port, and may be addresses.
var urlTitles = []string{"url", "uri", "host", "hostname", "servername", "urldomain", "dhost"}

// ranked is a role with how sure a title is of it, 0 for the surest.
type ranked struct {
	role role
	rank int
}

var rankedTitles = func() map[string]ranked {
	out := map[string]ranked{}
	for r, titles := range usualTitles {
		for i, title := range titles {
			out[title] = ranked{role(r), i}
		}
	}
	return out
}()

// plainTitle is a title in lower case without anything but letters and digits. It appends to dst.
func plainTitle(dst, title []byte) []byte {
	for _, c := range title[:min(len(title), 64)] {
		switch {
		case 'A' <= c && c <= 'Z':
			dst = append(dst, c|0x20)
		case 'a' <= c && c <= 'z' || isDigit(c) || c >= 0x80:
			dst = append(dst, c)
		}
	}
	return dst
}

// rankTitle finds the role of a usual title.
func rankTitle(title []byte) (ranked, bool) {
	var room [64]byte
	r, ok := rankedTitles[string(plainTitle(room[:0], title))]
	return r, ok
}

// columns are those of a table.
type columns struct {
	others bool // Options.Columns
	titles [][]byte
	roles  []role
	packet bool // the client is the sender of a packet: that of an answer is the server
}

// find gives each role to the column with its surest title.
func (c *columns) find(titles [][]byte) {
	c.titles, c.roles = titles, make([]role, len(titles))
	var best [roles]int
	for i, title := range titles {
		r, ok := rankTitle(title)
		if ok && (best[r.role] == 0 || r.rank < best[r.role]-1) {
			c.set(i, r.role)
			best[r.role] = r.rank + 1
		}
	}
}

// set gives a role to a column alone.
func (c *columns) set(i int, r role) {
	if j := slices.Index(c.roles, r); j >= 0 {
		c.roles[j] = noRole
	}
	c.roles[i] = r
	if r == clientRole {
		plain := plainTitle(nil, c.titles[i])
		c.packet = string(plain) == "ipsrc" || string(plain) == "ip6src"
	}
}

// fill sets what an event has besides its name. Cells that are unset, or empty, say nothing.
func (c *columns) fill(r *reading, e *events.Event, cells [][]byte, unset []byte) {
	var v values
	for i, text := range cells {
		if i >= len(c.roles) {
			break
		}
		if len(text) == 0 || bytes.Equal(text, unset) {
			continue
		}
		if c.roles[i] != noRole {
			v.set(e, c.roles[i], text)
		} else if c.others {
			keep(e, c.titles[i], text)
		}
	}
	v.finish(r, e)
	if c.packet && e.Kind == events.Response {
		e.Client, e.Server = e.Server, e.Client
	}
}

// values are texts of a row that only mean something together.
type values struct {
	time, date, kind []byte
}

// set sets the field of an event that has a role.
func (v *values) set(e *events.Event, r role, text []byte) {
	switch r {
	case timeRole:
		v.time = text
	case dateRole:
		v.date = text
	case clientRole:
		setPeer(&e.Client, text)
	case clientPortRole:
		e.Client.Port = portOf(text)
	case serverRole:
		setPeer(&e.Server, text)
	case serverPortRole:
		e.Server.Port = portOf(text)
	case transportRole:
		e.Transport = transportOf(text)
	case idRole:
		e.ID = portOf(text)
	case typeRole:
		e.Type = typeOf(text)
	case rcodeRole:
		e.RCode = rcodeOf(text)
	case kindRole:
		v.kind = text
	}
}

// finish sets an event's time and kind. A code of response without a word about the kind is that of both.
func (v *values) finish(r *reading, e *events.Event) {
	ok := false
	if v.time != nil {
		e.Time, ok = r.times.parse(v.time)
	}
	if !ok && v.date != nil {
		var room [64]byte
		joined := append(append(append(room[:0], v.date...), ' '), v.time...)
		e.Time, _ = r.times.parse(joined)
	}
	if e.RCode != events.NoRCode {
		e.Kind = events.Both
	}
	if len(v.kind) == 0 || len(v.kind) > 32 {
		return
	}
	var room [32]byte
	switch kind := string(plainTitle(room[:0], v.kind)); kind {
	case "1", "true", "r", "response", "dnsresponse", "answer", "reply":
		e.Kind = events.Response
	case "0", "false", "q", "query", "dnsquery", "question", "request":
		e.Kind, e.RCode = events.Query, events.NoRCode
	}
}

// setPeer sets a peer whose port may be known already.
func setPeer(p *events.Peer, text []byte) {
	port := p.Port
	if *p = peer(text); p.Port == 0 {
		p.Port = port
	}
}

// portOf is a port, or 0.
func portOf(text []byte) uint16 {
	v, n := number(text, 5)
	if n < len(text) || v > 65535 {
		return 0
	}
	return uint16(v)
}

// transportOf reads a transport's name without a copy.
func transportOf(text []byte) events.Transport {
	if len(text) > 8 {
		return events.UnknownTransport
	}
	return events.ParseTransport(lines.View(text))
}

// split cuts a line at a separator, without quotes.
func split(fields [][]byte, line []byte, separator byte) [][]byte {
	for {
		i := bytes.IndexByte(line, separator)
		if i < 0 {
			return append(fields, line)
		}
		fields = append(fields, line[:i])
		line = line[i+1:]
	}
}
