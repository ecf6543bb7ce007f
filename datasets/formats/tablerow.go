package formats

import (
	"bytes"
	"cmp"
	"errors"
	"strings"

	"github.com/degas-dns/degas/internal/lines"
)

// record hands a row of a table to sink. A field is nil where the table has no value.
func (c *columns) record(line int64, fields [][]byte, sink Sink) error {
	if max(c.name, c.decides, c.family) >= len(fields) {
		return sink.Refuse(line, reasonColumns)
	}
	if again, err := c.headerAgain(line, fields); again || err != nil {
		return err
	}
	name, family := fields[c.name], []byte(nil)
	if c.family >= 0 {
		family = bytes.TrimSpace(fields[c.family])
	}
	l := label{class: c.fallback.Class, family: c.fallback.Family}
	if c.decides >= 0 {
		value := bytes.TrimSpace(fields[c.decides])
		l = c.labels.label(value)
		switch {
		case len(value) == 0 && !l.ok || c.subclass && len(family) == 0 && l.class != benign:
			return sink.Refuse(line, reasonEmptyValue) // half a record; a benign name has no family
		case !l.ok:
			c.labels.note(value, line, string(bytes.Join(fields, []byte(" "))))
			return nil // finish makes an error of it
		case l.skip:
			sink.LeaveOut(line, leftSkipped)
			return nil
		}
	}
	if name == nil {
		return sink.Refuse(line, reasonEmptyValue)
	}
	switch {
	case c.ranked && (c.rank >= len(fields) || !isRank(fields[c.rank])):
		return sink.Refuse(line, reasonUnranked)
	case bytes.IndexByte(name, '\n') >= 0:
		return sink.Refuse(line, reasonBroken)
	case c.dotted && len(name) <= maxPlaceholder && placeholders[strings.ToLower(string(name))]:
		return sink.Refuse(line, reasonEmptyValue)
	case c.dotted && l.class != tunnel && bytes.IndexByte(name, '.') < 0:
		return sink.Refuse(line, reasonUndotted) // a hash, among a feed's domains
	}
	if err := c.check(line, fields, l); err != nil {
		return err
	}
	if c.bytes {
		name = latin1(name, l.class)
	}
	rec := l.record(bytes.TrimSpace(name))
	rec.Weak = c.decides < 0 && c.fallback.Weak
	if rec.Family == "" && l.class != benign && len(family) > 0 {
		rec.Family = lines.View(family)
	}
	return sink.Record(line, rec)
}

// isRank reports whether a field holds a rank, such as 1 or 12.0. Programs write nothing, 0, -1 or nan for none.
func isRank(field []byte) bool {
	field = bytes.TrimLeft(bytes.TrimSpace(field), "0")
	return len(field) > 0 && field[0] >= '1' && field[0] <= '9'
}

// placeholders are what programs write where a table has no name.
var placeholders = wordSet("- -- nan null none nil n/a na undefined unknown 0 ?")

const maxPlaceholder = 9 // bytes

// headerAgain reports whether a row is the header once more, as in files that were joined. Another header is an error.
func (c *columns) headerAgain(line int64, fields [][]byte) (bool, error) {
	if c.headers == nil || bytes.IndexByte(fields[c.name], '.') >= 0 || tierOf(nameHeaders, string(fields[c.name])) == 0 {
		return false, nil
	}
	same := len(fields) == len(c.headers)
	for i := 0; same && i < len(fields); i++ {
		same = strings.TrimSpace(c.headers[i]) == string(bytes.TrimSpace(fields[i]))
	}
	if !same && c.decides >= 0 && headsClasses(string(fields[c.decides])) {
		return false, unclearf("line %d is another header. Try: one file for each", line)
	}
	return same, nil
}

// headsClasses reports whether a value is a header of classes, and no class itself as legit is.
func headsClasses(h string) bool {
	return tierOf(classHeaders, h) > 0 || strings.HasPrefix(foldWord(h), "is") && headerMeaning(h) != unknown
}

// leftSkipped is why a row is left out.
const leftSkipped = "rows that a sidecar skips"

// finish is called after the last row, or with what ended the reading before: it completes the evidence, and reports
// values that are no classes, also if only the first rows were looked at.
func (c *columns) finish(err error) error {
	sampled := errors.Is(err, errSampled)
	if c.decides < 0 || err != nil && !sampled {
		return err
	}
	c.evidence.Values = c.labels.values()
	if unknown := c.labels.err(c.evidence.Class); unknown != nil || sampled {
		return cmp.Or(unknown, err)
	}
	return cmp.Or(c.labels.unused(), c.checkLoose())
}
