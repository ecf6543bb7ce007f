package logs

import (
	"bytes"
	"cmp"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/jsonscan"
	"github.com/degas-dns/degas/internal/lines"
)

// field is what a value in a line of JSON says about an event.
type field uint8

const (
	fieldName field = iota
	fieldClient
	fieldClientPort
	fieldClientName
	fieldServer
	fieldServerPort
	fieldServerName
	fieldTime
	fieldType       // a mnemonic or a number
	fieldTypeNumber // goes before fieldType
	fieldRCode
	fieldRCodeNumber // goes before fieldRCode
	fieldID
	fieldTransport
	fieldSize
	// The rest is for the rules of formats.
	fieldKind
	fieldVersion
	fieldOpcode
	fieldMessage
	fieldExtra
	fields // how many there are
)

// jsonTable is a format with one JSON object a line, as far as a table can say.
type jsonTable struct {
	name, title string
	// keys tell the format: a line of it has a value at each of these paths. "a|b" is one at a or at b.
	keys []string
	// score is what Sniff gives if no line is refused.
	score int
	// paths lead to the fields. Several are separated by blanks: the first that leads to a value counts.
	paths map[field]string
	// urls says that names may be URLs, whose hosts count.
	urls bool
	// rule sets e.Kind by what the line says, before the other fields of e are filled in. It may change the record, fill
	// in more, and refuse or skip the line. Without a rule, an event that has a response code is events.Both, and one
	// without is events.Query.
	rule func(r *jsonRecord, e *events.Event) error
}

// registerJSON adds a format.
func registerJSON(t *jsonTable) {
	c := t.compile()
	events.Register(&events.Format{
		Name: t.name, Title: t.title, Unit: "lines",
		Sniff: c.sniff,
		Open: func(in *events.Source) (events.Reader, error) {
			return openJSON(in, c.parser(in.Options).parse)
		},
		Cuts: objectPerLine,
	})
}

// openJSON reads objects of JSON with parse, also where they do not stand on lines of their own.
func openJSON(in *events.Source, parse events.LineParser) (events.Reader, error) {
	if !objectPerLine(in.Head) {
		in.Reader = splitObjects(in.Reader, in.Head)
	}
	return events.Lines(func(events.Options) events.LineParser { return parse })(in)
}

// jsonLines are the first objects of a file, by its head.
func jsonLines(head []byte) [][]byte {
	if first := bytes.TrimLeft(head, "\ufeff \t\r\n"); len(first) == 0 || first[0] != '{' && first[0] != '[' {
		return nil
	}
	if objectPerLine(head) {
		return lines.Head(head, 50)
	}
	var out [][]byte
	for r := lines.NewReader(splitObjects(bytes.NewReader(head), head)); len(out) < 50; {
		line, _, err := r.Next()
		if err != nil {
			break
		}
		out = append(out, bytes.Clone(line))
	}
	if len(head) == lines.HeadSize && len(out) > 1 {
		out = out[:len(out)-1] // may be cut
	}
	return out
}

// compiledTable is a jsonTable, ready to read lines.
type compiledTable struct {
	*jsonTable
	scanner *jsonscan.Paths
	slots   []jsonSlot      // by path
	used    map[string]bool // paths of fields, which are no columns
	missing []events.Refuse // by key: the reason for a line without it
}

// jsonSlot is what a path is for: a field, or one of the table's keys.
type jsonSlot struct {
	field field
	rank  uint8 // from 1; the lowest goes first
	key   uint64
}

func (t *jsonTable) compile() *compiledTable {
	c := &compiledTable{jsonTable: t, used: map[string]bool{}}
	var paths []string
	for i, key := range t.keys {
		c.missing = append(c.missing, events.Refuse("JSON without "+wanted(key)))
		for _, path := range strings.Split(key, "|") {
			paths = append(paths, path)
			c.slots = append(c.slots, jsonSlot{key: 1 << i})
		}
	}
	for f := range fields {
		for rank, path := range strings.Fields(t.paths[f]) {
			paths = append(paths, path)
			c.slots = append(c.slots, jsonSlot{field: f, rank: uint8(rank + 1)})
			c.used[strings.ReplaceAll(path, "[]", "")] = true
		}
	}
	c.scanner = jsonscan.Compile(paths)
	return c
}

// wanted is a list of keys for a message, with the first of each alternative.
func wanted(keys string) string { return alternatives.ReplaceAllString(keys, "") }

var alternatives = regexp.MustCompile(`\|[^,]*`)

// sniff is a Format's Sniff.
func (c *compiledTable) sniff(head []byte) (score int, missing string) {
	return c.sniffLines(jsonLines(head))
}

func (c *compiledTable) sniffLines(list [][]byte) (score int, missing string) {
	good, all := 0, 0
	p := c.parser(events.Options{})
	var out []events.Event
	for _, line := range list {
		all++
		var err error
		out, err = p.parse(line, out[:0])
		if _, skipped := err.(events.Skip); err == nil || skipped {
			good++
		}
	}
	if good == 0 || 2*good < all {
		return 0, "no JSON with " + wanted(strings.Join(c.keys, ", "))
	}
	return max(c.score*good/all, 1), ""
}

// jsonParser reads the lines of one file.
type jsonParser struct {
	*compiledTable
	columns bool
	times   times
	// Of the current line:
	values      []jsonscan.Value
	have        uint64     // which of the table's keys it has
	common, own jsonRecord // own is common with what one element of an array has
	text        []byte     // what fields had to be unescaped into
}

// jsonRecord has the values of a line, or of one element of an array with what stands around the array.
type jsonRecord struct {
	values [fields]jsonscan.Value
	ranks  [fields]uint8 // of the value's path, 0 if there is none
	p      *jsonParser
}

func (c *compiledTable) parser(o events.Options) *jsonParser {
	return &jsonParser{compiledTable: c, columns: o.Columns, times: times{now: time.Now()}}
}

// Reasons for lines of JSON.
const (
	refuseSyntax = events.Refuse("no JSON object")
	refuseCut    = events.Refuse("JSON that is cut off")
	refuseDepth  = events.Refuse("JSON nested too deeply")
)

// scan finds the values of a line.
func (p *jsonParser) scan(line []byte) (err error) {
	line = bytes.TrimPrefix(line, []byte("\ufeff"))
	p.values, err = p.scanner.Scan(line, p.values[:0])
	switch {
	case errors.Is(err, jsonscan.ErrCut):
		return refuseCut
	case errors.Is(err, jsonscan.ErrDepth):
		return refuseDepth
	case err != nil:
		return refuseSyntax
	}
	p.have, p.text = 0, p.text[:0]
	p.common = jsonRecord{p: p}
	for _, v := range p.values {
		p.have |= p.slots[v.Path].key
		if v.Element < 0 {
			p.common.set(p.slots[v.Path], v)
		}
	}
	return nil
}

// set keeps a value if it is better than what there is.
func (r *jsonRecord) set(s jsonSlot, v jsonscan.Value) {
	if s.rank == 0 || v.Kind > jsonscan.Bool || len(v.Raw) == 0 {
		return
	}
	if have := r.ranks[s.field]; have == 0 || s.rank <= have {
		r.values[s.field], r.ranks[s.field] = v, s.rank
	}
}

// parse is the format's LineParser. A line has one event, or as many as an array in it has names.
func (p *jsonParser) parse(line []byte, out []events.Event) ([]events.Event, error) {
	if err := p.scan(line); err != nil {
		return out, err
	}
	for i, reason := range p.missing {
		if p.have&(1<<i) == 0 {
			return out, reason
		}
	}
	if p.common.has(fieldName) {
		return p.event(&p.common, -1, line, out)
	}
	before, reason := len(out), error(noQuestion)
	for i := 0; i < len(p.values); {
		element := p.values[i].Element
		p.own = p.common
		for ; i < len(p.values) && p.values[i].Element == element; i++ {
			p.own.set(p.slots[p.values[i].Path], p.values[i])
		}
		if element < 0 || !p.own.has(fieldName) {
			continue
		}
		var err error
		if out, err = p.event(&p.own, element, line, out); err != nil {
			reason = err
		}
	}
	switch {
	case len(out) > before:
		return out, nil
	case p.rule != nil && reason == noQuestion: // the rule may know why there is no name
		reason = cmp.Or(p.rule(&p.common, &events.Event{}), reason)
	}
	return out, reason
}

// event appends the event of a record.
func (p *jsonParser) event(r *jsonRecord, element int, line []byte, out []events.Event) ([]events.Event, error) {
	e := events.Event{RCode: events.NoRCode, Kind: r.kind()}
	if p.rule != nil {
		if err := p.rule(r, &e); err != nil {
			return out, err
		}
	}
	if len(e.Name) == 0 { // the rule had none
		e.Name = r.eventName()
	}
	if len(e.Name) == 0 {
		return out, noQuestion
	}
	if tooLong(e.Name) {
		return out, longName
	}
	e.Client = r.peer(fieldClient, fieldClientPort, fieldClientName)
	e.Server = r.peer(fieldServer, fieldServerPort, fieldServerName)
	if r.has(fieldTime) {
		e.Time, _ = p.times.parse(r.textOf(fieldTime))
	}
	if e.Type == events.NoType {
		e.Type = r.qtype()
	}
	if c := r.rcode(); c != events.NoRCode {
		e.RCode = c
	}
	if n, ok := r.number(fieldID, 1<<16-1); ok {
		e.ID = uint16(n)
	}
	if n, ok := r.number(fieldSize, 1<<24); ok {
		e.Size = int(n)
	}
	if r.has(fieldTransport) {
		e.Transport = events.ParseTransport(lines.View(r.textOf(fieldTransport)))
	}
	if p.columns {
		e.Columns = p.rest(line, element)
	}
	return append(out, e), nil
}

// rest lists what the line says besides the fields.
func (p *jsonParser) rest(line []byte, element int) (out []events.Column) {
	var text []byte
	err := jsonscan.Walk(bytes.TrimPrefix(line, []byte("\ufeff")), func(path []byte, v jsonscan.Value) {
		if p.used[string(path)] || v.Kind == jsonscan.Null || element >= 0 && v.Element >= 0 && v.Element != element {
			return
		}
		text = v.Text(text[:0])
		out = append(out, events.Column{Name: string(path), Value: string(text)})
	})
	if err != nil {
		return nil // the scan before had no error, so there is none
	}
	return out
}

func (r *jsonRecord) has(f field) bool { return r.ranks[f] > 0 }

// textOf is a field as text, nil if there is none.
func (r *jsonRecord) textOf(f field) []byte {
	if !r.has(f) {
		return nil
	}
	v := r.values[f]
	if v.Kind != jsonscan.String || bytes.IndexByte(v.Raw, '\\') < 0 {
		return v.Raw
	}
	n := len(r.p.text)
	r.p.text = jsonscan.Unescape(r.p.text, v.Raw)
	return r.p.text[n:]
}

// is reports whether a field is one of some texts.
func (r *jsonRecord) is(f field, texts ...string) bool {
	text := r.textOf(f)
	for _, t := range texts {
		if string(text) == t {
			return true
		}
	}
	return false
}

// number reads a field that is a number of at most most, or a text of one.
func (r *jsonRecord) number(f field, most uint64) (uint64, bool) {
	if !r.has(f) {
		return 0, false
	}
	text := bytes.TrimSuffix(r.textOf(f), []byte(".0"))
	n, err := strconv.ParseUint(lines.View(text), 10, 64)
	return n, err == nil && n <= most
}

// eventName is the name in the form of Event.Name.
func (r *jsonRecord) eventName() []byte {
	text := r.textOf(fieldName)
	if r.p.urls {
		text = hostOf(text)
	}
	if bytes.IndexByte(text, '\\') < 0 {
		return name(nil, text)
	}
	n := len(r.p.text)
	r.p.text = name(r.p.text, text)
	return r.p.text[n:]
}

func (r *jsonRecord) peer(host, port, named field) events.Peer {
	p := peer(r.textOf(host))
	if n, ok := r.number(port, 1<<16-1); ok {
		p.Port = uint16(n)
	}
	if text := r.textOf(named); len(text) > 0 {
		p.Name = string(text[:min(len(text), maxPeer)])
	}
	return p
}

func (r *jsonRecord) qtype() events.Type {
	if n, ok := r.number(fieldTypeNumber, 1<<16-1); ok {
		return events.Type(n)
	}
	t, _ := events.ParseType(lines.View(r.textOf(fieldType)))
	return t
}

func (r *jsonRecord) rcode() events.RCode {
	if n, ok := r.number(fieldRCodeNumber, 1<<12-1); ok {
		return events.RCode(n)
	}
	return events.ParseRCode(lines.View(r.textOf(fieldRCode)))
}

// kind is that of an event whose line does not say more.
func (r *jsonRecord) kind() events.Kind {
	if r.has(fieldRCode) || r.has(fieldRCodeNumber) {
		return events.Both
	}
	return events.Query
}

// swap makes the client the server.
func (r *jsonRecord) swap() {
	for _, pair := range [][2]field{{fieldClient, fieldServer}, {fieldClientPort, fieldServerPort}} {
		a, b := pair[0], pair[1]
		r.values[a], r.values[b] = r.values[b], r.values[a]
		r.ranks[a], r.ranks[b] = r.ranks[b], r.ranks[a]
	}
}
