package logs

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/lines"
)

func init() {
	registerText(textFormat{
		name: "csv", title: "tables with commas, semicolons or bars, usually with titles", parser: tableOf(",;|"),
		sniff:   func(head []byte) int { return sniffTable(head, ",;|") },
		missing: "a first line with the title query, qname, domain or the like",
	})
	registerText(textFormat{
		name: "tsv", title: "tables with tabs, usually with titles", parser: tableOf("\t"),
		sniff:   func(head []byte) int { return sniffTable(head, "\t") },
		missing: "a first line with tabs and the title query, qname, domain or the like",
	})
}

// fieldRoles are the fields that Options.Fields may speak of.
var fieldRoles = map[string]role{"name": nameRole, "client": clientRole, "server": serverRole, "time": timeRole,
	"type": typeRole, "rcode": rcodeRole}

// table reads rows of cells. Titles in the first line, or Options.Fields, say what the cells hold. A row is a line.
type table struct {
	reading
	columns
	separators string // that the file may have
	separator  byte   // that it has
	fields     map[string]string
	name       int // column of the names, or -1 before the first row
	url        bool
	cells      [][]byte
}

func newTable(o events.Options, clock func() time.Time, separators string) *table {
	return &table{reading: newReading(clock), columns: columns{others: o.Columns}, separators: separators,
		fields: o.Fields, name: -1}
}

func tableOf(separators string) func(o events.Options, clock func() time.Time) events.LineParser {
	return func(o events.Options, clock func() time.Time) events.LineParser {
		return newTable(o, clock, separators).parse
	}
}

func (t *table) parse(line []byte, out []events.Event) ([]events.Event, error) {
	if line[0] == '#' {
		return out, events.Skip("comment")
	}
	if t.name < 0 {
		if titles, err := t.start(line); err != nil || titles {
			return out, cmpOr(err, headerLine)
		}
	}
	var ok bool
	t.cells, ok = lines.SplitRow(t.cells, line, t.separator)
	if !ok || bytes.Count(line, []byte{'"'})%2 == 1 { // also the second line of a cell that has two
		return out, strayQuotes
	}
	if len(t.cells) <= t.name {
		return out, fewColumns
	}
	text := bytes.TrimSpace(t.cells[t.name])
	if t.url || bytes.Contains(text, []byte("://")) {
		if text = urlHost(text); text == nil {
			return out, isAddress
		}
	}
	out, e, err := t.event(out, text)
	if err == nil {
		t.fill(&t.reading, e, t.cells, []byte("-"))
	}
	return out, err
}

// cmpOr is err, or otherwise skip.
func cmpOr(err error, skip events.Skip) error {
	if err != nil {
		return err
	}
	return skip
}

// start finds the columns by the first line. titles reports whether it has titles, or is a row already.
func (t *table) start(line []byte) (titles bool, err error) {
	line = bytes.TrimPrefix(bytes.Clone(line), []byte("\xef\xbb\xbf")) // the titles stay; a pipe's mark of UTF-8 does not

	var applied bool // with some separator, all columns of Options.Fields are there
	for i := range len(t.separators) {
		t.separator = t.separators[i]
		cells, ok := lines.SplitRow(nil, line, t.separator)
		if !ok {
			continue
		}
		for i := range cells {
			cells[i] = bytes.TrimSpace(cells[i])
		}
		t.find(cells)
		known := hasTitles(cells)
		if err = t.apply(cells); err == nil {
			t.name, applied = slices.Index(t.roles, nameRole), true
		}
		if t.name >= 0 && err == nil {
			t.url = isURLTitle(cells[t.name])
			return known || t.byTitle() || t.fields["name"] == "", nil
		}
	}
	if err != nil && !applied {
		return false, err
	}
	return false, fmt.Errorf("no title in the first line, %.200q, is one of names. Try: --field name=TITLE, or "+
		"name=NUMBER for a table without titles", line)
}

// apply gives the columns that Options.Fields names their roles. A number is a column's only if no title is the same.
func (t *table) apply(cells [][]byte) error {
	for field, column := range t.fields {
		r, ok := fieldRoles[field]
		if !ok {
			continue
		}
		i := slices.IndexFunc(cells, func(c []byte) bool { return string(c) == column })
		if i < 0 {
			if n, err := strconv.Atoi(column); err == nil && n >= 1 && n <= len(cells) {
				i = n - 1
			}
		}
		if i < 0 {
			i = slices.IndexFunc(cells, func(c []byte) bool { return bytes.EqualFold(c, []byte(column)) })
		}
		if i < 0 {
			return fmt.Errorf("the first line, %.200q, has no column %q. Try: --field %s=TITLE, or %s=NUMBER for a table "+
				"without titles", bytes.Join(cells, []byte{t.separator}), column, field, field)
		}
		t.set(i, r)
	}
	return nil
}

// byTitle reports whether Options.Fields names a column by its title.
func (t *table) byTitle() bool {
	for field, column := range t.fields {
		if _, ok := fieldRoles[field]; !ok {
			continue
		}
		if _, err := strconv.Atoi(column); err != nil {
			return true
		}
	}
	return false
}

// hasTitles reports whether a line has titles: one is usual, and none is a time or an address.
func hasTitles(cells [][]byte) bool {
	usual := false
	for _, cell := range cells {
		if _, ok := rankTitle(cell); ok {
			usual = true
			continue
		}
		if _, ok := address(cell); ok {
			return false
		}
		if _, ok := parseTime(cell); ok {
			return false
		}
	}
	return usual
}

func isURLTitle(title []byte) bool {
	var room [64]byte
	return slices.Contains(urlTitles, string(plainTitle(room[:0], title)))
}

// sniffTable wants a title of names above cells that look like names. A table without such titles scores 2, so that
// Options.Fields, or the error of start, has its turn.
func sniffTable(head []byte, separators string) int {
	list := lines.Head(head, 50)
	if len(list) == 0 || bytes.IndexByte([]byte("{[<"), list[0][0]) >= 0 { // JSON, XML
		return 0
	}
	t := newTable(events.Options{}, time.Now, separators)
	titles, err := t.start(list[0])
	switch {
	case err != nil || !titles:
		return sniffCells(list, separators)
	case len(t.titles) == 1 && separators == "\t":
		return 0 // a column without a tab is as good as CSV
	}
	good, bad := 0, 0
	for _, line := range list[1:] {
		out, err := t.parse(line, nil)
		if _, skipped := err.(events.Skip); skipped {
			continue
		}
		if err == nil && !bytes.ContainsAny(out[0].Name, " \t,;{") && len(t.cells) == len(t.titles) {
			good++
		} else {
			bad++
		}
	}
	switch {
	case good == 0 && bad == 0:
		return 20 // titles alone
	case good < bad:
		return 0
	}
	return max(1, 28*good/(good+bad))
}

// sniffCells wants the same number of cells, at least two, in all lines.
func sniffCells(list [][]byte, separators string) int {
	for i := range len(separators) {
		width, same := 0, true
		for _, line := range list {
			cells, ok := lines.SplitRow(nil, line, separators[i])
			if width == 0 {
				width = len(cells)
			}
			same = same && ok && len(cells) == width
		}
		if same && width > 1 {
			return 2
		}
	}
	return 0
}
