package logs

import (
	"bytes"
	"time"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/lines"
)

// textFormat is a log of lines of which each stands for itself.
type textFormat struct {
	name, title string
	// parser makes the parser of one file. clock gives the current time.
	parser func(o events.Options, clock func() time.Time) events.LineParser
	// tag is in every line of the log's program. A head with it in most lines fits, if no better than a guess, although no
	// line has a query yet: servers say much before the first one.
	tag string
	// most is the score of a head in which every line is an event or a known other line.
	most int
	// missing says what a file of another format lacks.
	missing string
	// alone says that each line means the same without those before it. Titles, what tells a question's client, and dates
	// of numbers, which are read as those before, speak against it.
	alone bool
	// sniff, if not nil, takes the place of sniffText.
	sniff func(head []byte) int
}

// textFormats are the formats of lines by name. init fills it, tests read it.
var textFormats = map[string]textFormat{}

// registerText adds a format of lines, in init.
func registerText(f textFormat) {
	textFormats[f.name] = f
	rate := f.sniff
	if rate == nil {
		rate = func(head []byte) int {
			score := sniffText(head, f.parser(events.Options{}, time.Now), f.most)
			if score == 0 && f.tag != "" && tagged(head, f.tag) {
				score = 40
			}
			return score
		}
	}
	events.Register(&events.Format{
		Name: f.name, Title: f.title, Unit: "lines",
		Sniff: func(head []byte) (int, string) {
			if isJSON(head) {
				return 0, f.missing
			}
			if score := rate(head); score > 0 {
				return score, ""
			}
			return 0, f.missing
		},
		Open: events.Lines(func(o events.Options) events.LineParser { return f.parser(o, time.Now) }),
		Cuts: func([]byte) bool { return f.alone },
	})
}

// Reasons that several formats give.
const (
	// notOurs is for a line that this log's program did not write.
	notOurs = events.Refuse("not a line of this log")
	// noQuery is for a line of the log's program about something else.
	noQuery     = events.Skip("not a query")
	noQuestion  = events.Skip("no question")
	headerLine  = events.Skip("header")
	isAddress   = events.Skip("an address, not a name")
	ownQuery    = events.Skip("a resolver's own query")
	repeated    = events.Skip("repeats a query's name")
	hiddenName  = events.Refuse("the log does not tell the name")
	longName    = events.Refuse("name longer than 253 bytes")
	noName      = events.Refuse("no name")
	fewColumns  = events.Refuse("too few columns")
	strayQuotes = events.Refuse("quotes that do not balance")
)

// sniffText rates a head by its first 50 lines that are events or not of the log. Lines that are of the log and no
// event hardly count, so that a log whose queries come late is recognised. Of two programs in one syslog, the one with
// more lines wins.
func sniffText(head []byte, parse events.LineParser, most int) int {
	good, bad, others := 0, 0, 0
	var out []events.Event
	for _, line := range lines.Head(head, lines.HeadSize) {
		var err error
		switch out, err = parse(line, out[:0]); err {
		case nil:
			good++
		case notOurs:
			bad++
		default:
			others++
		}
		if good+bad == 50 {
			break
		}
	}
	if good == 0 || bad > good {
		return 0
	}
	return max(1, most*good/(good+bad)-10*others/(good+bad+others))
}

// isJSON reports whether a head has JSON objects. The parsers here look for a line's anchors, and would find them in
// the texts of such objects.
func isJSON(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n")
	return len(head) > 0 && head[0] == '{'
}

// tagged reports whether most lines have a tag.
func tagged(head []byte, tag string) bool {
	with, all := 0, lines.Head(head, 50)
	for _, line := range all {
		if bytes.Contains(line, []byte(tag)) {
			with++
		}
	}
	return 2*with > len(all)
}

// reading is what the parser of a file remembers.
type reading struct {
	times
	buf []byte // a name whose escapes were undone
}

func newReading(clock func() time.Time) reading {
	return reading{times: times{now: clock(), clock: clock}}
}

// event adds an event about a name, written as name reads it, to out. Event and name are valid until the next call.
func (r *reading) event(out []events.Event, text []byte) ([]events.Event, *events.Event, error) {
	if bytes.IndexByte(text, '\\') < 0 {
		text = name(nil, text)
	} else {
		r.buf = name(r.buf[:0], text)
		text = r.buf
	}
	return named(out, text)
}

// raw is event for a log that writes names without escapes.
func (r *reading) raw(out []events.Event, text []byte) ([]events.Event, *events.Event, error) {
	if bytes.IndexByte(text, '\\') >= 0 {
		r.buf = r.buf[:0]
		for _, c := range text {
			if r.buf = append(r.buf, c); c == '\\' {
				r.buf = append(r.buf, c)
			}
		}
		text = r.buf
	}
	if n := len(text) - 1; n > 0 && text[n] == '.' {
		text = text[:n]
	}
	return named(out, text)
}

// named adds an event about a name in Event.Name's form to out.
func named(out []events.Event, text []byte) ([]events.Event, *events.Event, error) {
	switch {
	case len(text) == 0:
		return out, nil, noName
	case tooLong(text):
		return out, nil, longName
	}
	if len(out) < cap(out) { // keeps the memory of Columns
		out = out[:len(out)+1]
	} else {
		out = append(out, events.Event{})
	}
	e := &out[len(out)-1]
	e.Reset()
	e.Name = text
	return out, e, nil
}

// stamp reads the time at the start of a line, also behind the priority of a syslog's line, as in "<30>" and "<30>1 ".
// The zero time means that there is none. rest is what follows.
func (t *times) stamp(line []byte) (at time.Time, rest []byte) {
	rest = line
	if priority, after, ok := enclosed(line, '<', '>'); ok && priority < 192 {
		rest = bytes.TrimPrefix(after, []byte("1 "))
	}
	if at, after, ok := t.cut(rest); ok {
		return at, after
	}
	return time.Time{}, rest
}

// word cuts off the first word of text. Blanks and tabs separate words.
func word(text []byte) (first, rest []byte) {
	i := 0
	for i < len(text) && (text[i] == ' ' || text[i] == '\t') {
		i++
	}
	text = text[i:]
	for i = 0; i < len(text); i++ {
		if text[i] == ' ' || text[i] == '\t' {
			return text[:i], text[i+1:]
		}
	}
	return text, nil
}

// escapedWord is word for a text with backslashes, which may stand before a blank.
func escapedWord(text []byte) (first, rest []byte) {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case ' ':
			return text[:i], text[i+1:]
		}
	}
	return text, nil
}

// isClass reports whether a word is a class of DNS.
func isClass(text []byte) bool {
	switch string(text) {
	case "IN", "CH", "HS", "ANY", "NONE":
		return true
	}
	return bytes.HasPrefix(text, []byte("CLASS"))
}

// typeOf is the type that a text names, or NoType.
func typeOf(text []byte) events.Type {
	if len(text) == 0 || len(text) > 16 {
		return events.NoType
	}
	if t, ok := events.ParseType(lines.View(text)); ok {
		return t
	}
	return events.NoType
}

// rcodeOf is the response code that a text names, or NoRCode.
func rcodeOf(text []byte) events.RCode {
	if len(text) == 0 || len(text) > 16 {
		return events.NoRCode
	}
	return events.ParseRCode(lines.View(text))
}

// sizeOf is a number of bytes, or 0.
func sizeOf(text []byte) int {
	v, n := number(text, 9)
	if n < len(text) {
		return 0
	}
	return v
}

// keep copies a column into an event.
func keep(e *events.Event, title, value []byte) {
	e.Columns = append(e.Columns, events.Column{Name: string(title), Value: string(value)})
}
