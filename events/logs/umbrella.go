package logs

import (
	"bytes"
	"time"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/lines"
)

func init() {
	registerText(textFormat{
		name: "umbrella", title: "Cisco Umbrella's DNS logs", parser: newUmbrella, alone: true, most: 95,
		missing: `rows "TIME","IDENTITY","IDENTITIES","INTERNAL","EXTERNAL","ACTION","1 (A)","RCODE","NAME",…`,
	})
}

// umbrella reads Cisco Umbrella's DNS logs: CSV of quoted cells, mostly without a header. Versions add columns at the
// end.
type umbrella struct {
	reading
	columns bool
	cells   [][]byte
}

func newUmbrella(o events.Options, clock func() time.Time) events.LineParser {
	u := &umbrella{reading: newReading(clock), columns: o.Columns}
	return u.parse
}

// The columns of Umbrella's DNS logs.
const (
	umbrellaTime = iota
	umbrellaIdentity
	umbrellaIdentities
	umbrellaInternal
	umbrellaExternal
	umbrellaAction
	umbrellaType
	umbrellaRCode
	umbrellaName
	umbrellaCategories
	umbrellaColumns
)

var umbrellaTitles = [...]string{umbrellaIdentities: "identities", umbrellaExternal: "external_ip",
	umbrellaAction: "action", umbrellaCategories: "categories"}

func (u *umbrella) parse(line []byte, out []events.Event) ([]events.Event, error) {
	if line[0] != '"' {
		return out, notOurs
	}
	if bytes.Contains(line, []byte(`", "`)) { // some rows have a blank after the comma
		line = bytes.ReplaceAll(line, []byte(`", "`), []byte(`","`))
	}
	var ok bool
	if u.cells, ok = lines.SplitRow(u.cells, line, ','); !ok {
		return out, strayQuotes
	}
	if len(u.cells) < umbrellaColumns {
		return out, notOurs
	}
	at, isTime := u.times.parse(u.cells[umbrellaTime])
	qtype := u.cells[umbrellaType]
	open := bytes.IndexByte(qtype, '(')
	switch {
	case !isTime && bytes.EqualFold(u.cells[umbrellaTime], []byte("timestamp")):
		return out, headerLine
	case !isTime || open < 0 || qtype[len(qtype)-1] != ')':
		return out, notOurs
	}
	out, e, err := u.event(out, u.cells[umbrellaName])
	if err != nil {
		return out, err
	}
	e.Time, e.Kind = at, events.Both
	e.Type, e.RCode = typeOf(qtype[open+1:len(qtype)-1]), rcodeOf(u.cells[umbrellaRCode])
	if e.Client, ok = address(u.cells[umbrellaInternal]); !ok {
		e.Client, _ = address(u.cells[umbrellaExternal])
	}
	e.Client.Name = peer(u.cells[umbrellaIdentity]).Name
	if u.columns {
		for i, title := range umbrellaTitles {
			if title != "" {
				keep(e, []byte(title), u.cells[i])
			}
		}
	}
	return out, nil
}
