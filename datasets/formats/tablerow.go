package formats

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/degas-dns/degas/internal/lines"
)

// record hands a row of a table to sink. A field is nil where the table has no value.
func (c *columns) record(line int64, fields [][]byte, sink Sink) error {
	if max(c.name, c.decides, c.family) >= len(fields) {
		return sink.Refuse(line, reasonColumns)
	}
	for _, i := range c.watched {
		if err := c.watch(line, i, fields); err != nil {
			return err
		}
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
		case len(value) == 0 || c.subclass && len(family) == 0 && l.class != benign:
			return sink.Refuse(line, reasonEmptyValue) // half a record; a benign name has no family
		case !l.ok:
			c.labels.note(value, line, string(bytes.Join(fields, []byte(" "))))
			return nil // finish makes an error of it
		case l.skip:
			return nil
		}
	}
	if name == nil {
		return sink.Refuse(line, reasonEmptyValue)
	}
	if bytes.IndexByte(name, '\n') >= 0 {
		return sink.Refuse(line, reasonBroken)
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

// watch looks at a column that is called class or the like and held no classes at first. A class that turns up later
// means that the labels are in it, and not where they were taken from.
func (c *columns) watch(line int64, i int, fields [][]byte) error {
	if i >= len(fields) {
		return nil
	}
	v := bytes.TrimSpace(fields[i])
	if c.harmless[string(v)] {
		return nil
	}
	if m, plain := meaningOf(string(v)); m != unknown && !plain {
		return unclearf("line %d: %.40q is a class, in a column whose first values are none. %s", line, v,
			settles(fmt.Sprintf(`"columns": {"class": "%d"}}, or {"class": "benign"`, i+1)))
	}
	if len(c.harmless) < maxLabels {
		c.harmless[strings.Clone(string(v))] = true
	}
	return nil
}

// finish is called after the last row: it completes the evidence, and reports values that are no classes.
func (c *columns) finish() error {
	if c.decides < 0 {
		return nil
	}
	c.evidence.Values = c.labels.values()
	return c.labels.err(c.evidence.Class)
}
