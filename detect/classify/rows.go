package classify

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/internal/jsonscan"
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/internal/printable"
)

// read finds a row's name. header is set until the header has come.
func (w *worker) read(r *row, header *bool) {
	l := w.layout
	switch {
	case len(bytes.TrimSpace(r.raw)) == 0:
		r.kind = plainRow
		return
	case l.json:
		w.readJSON(r)
		return
	}
	cells, ok := lines.SplitRow(w.fields, r.raw, l.sep)
	w.fields = cells
	switch {
	case r.raw[0] == '#' && (l.list || len(cells) != l.width):
		r.kind = plainRow
	case *header:
		r.kind, *header = headerRow, false
	case !ok || len(cells) <= l.column:
		r.kind = unreadable
	case len(nameOf(cells[l.column])) == 0:
		r.kind = noName
	default:
		r.name = len(w.names)
		w.names = append(w.names, nameOf(cells[l.column]))
	}
}

// readJSON finds the name of a line of JSON.
func (w *worker) readJSON(r *row) {
	values, err := w.layout.path.Scan(r.raw, w.values[:0])
	w.values = values
	switch {
	case err != nil:
		r.kind = unreadable
		return
	case len(values) == 0 || values[0].Kind != jsonscan.String || len(values[0].Raw) == 0:
		r.kind = noName
		return
	}
	r.name = len(w.names)
	text := values[0].Raw
	if bytes.IndexByte(text, '\\') >= 0 {
		text = jsonscan.Unescape(nil, text)
	}
	w.names = append(w.names, text)
}

// appendCells adds the cells of a decision, or titles, to a row of a table.
func (w *worker) appendCells(out []byte, kind rowKind, name string, d detect.Decision) []byte {
	sep := w.layout.sep
	if kind == headerRow {
		for _, title := range w.layout.added {
			out = appendCell(append(out, sep), title, sep)
		}
		return out
	}
	out = appendScore(append(out, sep), d)
	out = appendCell(append(out, sep), d.Class, sep)
	domain := ""
	if kind == named {
		domain = detect.Domain(name)
	}
	out = appendCell(append(out, sep), domain, sep)
	return appendCell(append(out, sep), reason(d), sep)
}

// appendScore adds a score, and nothing for a name that has none.
func appendScore(out []byte, d detect.Decision) []byte {
	if !d.Scored() {
		return out
	}
	return strconv.AppendFloat(out, d.Score, 'f', 6, 64)
}

// reason is why, with the entry of the list that decided.
func reason(d detect.Decision) string {
	if d.Entry == "" {
		return d.Reason
	}
	return d.Reason + ": " + d.Entry
}

// appendCell adds a cell. A spreadsheet takes a cell for a formula that begins with one of =+-@, a tab or a carriage
// return: it gets a quotation mark before it.
func appendCell(out []byte, text string, sep byte) []byte {
	formula := text != "" && strings.IndexByte("=+-@\t\r", text[0]) >= 0
	if !formula && strings.IndexByte(text, sep) < 0 && !strings.ContainsAny(text, "\"\r\n") {
		return append(out, text...)
	}
	out = append(out, '"')
	if formula {
		out = append(out, '\'')
	}
	out = append(out, strings.ReplaceAll(text, `"`, `""`)...)
	return append(out, '"')
}

// appendJSON adds a line of JSON with the keys of a decision. A line that cannot be read stays as it is.
func (w *worker) appendJSON(out []byte, r *row, name string, d detect.Decision) []byte {
	end := bytes.LastIndexByte(r.raw, '}')
	if r.kind == unreadable || end < 0 {
		return append(out, r.raw...)
	}
	out = append(out, r.raw[:end]...)
	before := bytes.TrimSpace(r.raw[:end])
	comma := len(before) > 1 || before[0] != '{'
	for i, title := range w.layout.added {
		if comma {
			out = append(out, ',')
		}
		comma = true
		out = append(appendString(out, title), ':')
		switch i {
		case 0:
			if !d.Scored() {
				out = append(out, "null"...)
			}
			out = appendScore(out, d)
		case 1:
			out = appendString(out, d.Class)
		case 2:
			out = appendString(out, detect.Domain(name))
		default:
			out = appendString(out, reason(d))
		}
	}
	return append(out, r.raw[end:]...)
}

// appendString adds a string of JSON.
func appendString(out []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(text) // a string has no errors
			return append(out, printable.JSON(quoted)...)
		}
	}
	out = append(append(out, '"'), text...)
	return append(out, '"')
}
