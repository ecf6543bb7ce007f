package logs

import (
	"bytes"
	"slices"
	"time"

	"github.com/degas-dns/degas/events"
)

func init() {
	registerText(textFormat{
		name: "zeek", title: "Zeek's dns.log, ssl.log or http.log as TSV",
		parser: func(o events.Options, clock func() time.Time) events.LineParser {
			return newZeek(o, clock).parse
		},
		sniff:   sniffZeek,
		missing: "a line #fields with query, server_name or host",
	})
}

// zeek reads Zeek's tables. Lines that start with # describe the rows after them, and may change inside a file.
type zeek struct {
	reading
	columns
	separator byte
	unset     []byte
	empty     []byte
	path      []byte
	name      int      // column of the names, or -1
	url       bool     // the names may be addresses, and have ports
	fields    [][]byte // of the current row
}

func newZeek(o events.Options, clock func() time.Time) *zeek {
	return &zeek{reading: newReading(clock), columns: columns{others: o.Columns}, separator: '\t', unset: []byte("-"),
		empty: []byte("(empty)"), name: -1}
}

// sniffZeek wants a line of columns, of which one has names.
func sniffZeek(head []byte) int {
	z := newZeek(events.Options{}, time.Now)
	for line := range bytes.Lines(head) {
		if line[0] == '#' {
			z.describe(bytes.TrimRight(line, "\r\n"))
			if z.name >= 0 {
				return 100
			}
		}
	}
	return 0
}

// describe reads a line that starts with #.
func (z *zeek) describe(line []byte) {
	if text, ok := bytes.CutPrefix(line, []byte("#separator ")); ok {
		if text = name(nil, text); len(text) == 1 { // undoes \x09
			z.separator = text[0]
		}
		return
	}
	key, value, _ := bytes.Cut(line, []byte{z.separator})
	switch string(key) {
	case "#unset_field":
		z.unset = bytes.Clone(value)
	case "#empty_field":
		z.empty = bytes.Clone(value)
	case "#path":
		z.path = bytes.Clone(value)
	case "#fields":
		z.setRoles(bytes.Split(bytes.Clone(value), []byte{z.separator}))
	}
}

// setRoles finds the columns by their titles, and the names in one of three.
func (z *zeek) setRoles(titles [][]byte) {
	z.find(titles)
	if z.name = slices.Index(z.roles, nameRole); z.name < 0 {
		return
	}
	title := string(titles[z.name])
	z.url = title == "server_name" || title == "host" && string(z.path) == "http"
	if title != "query" && !z.url {
		z.name = -1 // other logs have a host and a name that are none of DNS
	}
}

func (z *zeek) parse(line []byte, out []events.Event) ([]events.Event, error) {
	switch {
	case line[0] == '#':
		z.describe(line)
		return out, headerLine
	case z.titles == nil:
		return out, notOurs
	case z.name < 0:
		return out, noQuery // another of Zeek's logs
	}
	z.fields = split(z.fields[:0], line, z.separator)
	if len(z.fields) < len(z.titles) {
		return out, fewColumns
	}
	text := z.fields[z.name]
	switch {
	case bytes.Equal(text, z.unset):
		return out, noQuestion
	case bytes.Equal(text, z.empty):
		text = []byte(".")
	case z.url:
		if text = urlHost(text); text == nil {
			return out, isAddress
		}
	}
	out, e, err := z.event(out, text)
	if err == nil {
		z.fill(&z.reading, e, z.fields, z.unset)
	}
	return out, err
}
