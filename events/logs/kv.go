package logs

import (
	"bytes"
	"slices"
	"time"

	"github.com/degas-dns/degas/events"
)

func init() {
	registerText(textFormat{
		name: "kv", title: "lines of key=value, such as those of firewalls", parser: newKV, most: 30,
		missing: "lines of key=value with the key qname, query or domain",
	})
}

// kv reads lines of key=value in any order. Keys with usual names are known; Options.Fields says others. Before the
// first pair there may be anything, such as a syslog's header.
type kv struct {
	reading
	others bool
	fields map[string]role // by Options.Fields
	pairs  []pair          // of the current line, reused
}

type pair struct{ key, value []byte }

func newKV(o events.Options, clock func() time.Time) events.LineParser {
	k := &kv{reading: newReading(clock), others: o.Columns, fields: map[string]role{}}
	for field, key := range o.Fields {
		if r, ok := fieldRoles[field]; ok {
			k.fields[key] = r
		}
	}
	return k.parse
}

// maxPairs bounds the pairs of a line. More are not looked at.
const maxPairs = 256

func (k *kv) parse(line []byte, out []events.Event) ([]events.Event, error) {
	if line[0] == '{' {
		return out, notOurs // JSON
	}
	k.pairs = k.pairs[:0]
	for text := line; len(text) > 0 && len(k.pairs) < maxPairs; {
		var p pair
		if p, text = cutPair(text); p.key != nil {
			k.pairs = append(k.pairs, p)
		}
	}
	best := k.choose()
	at := best[nameRole]
	switch {
	case len(k.pairs) < 3 && len(k.fields) == 0:
		return out, notOurs
	case at.key == nil:
		return out, noQuestion
	}
	text := at.value
	if isURLTitle(at.key) {
		if text = urlHost(text); text == nil {
			return out, isAddress
		}
	}
	out, e, err := k.event(out, text)
	if err != nil {
		return out, err
	}
	k.fill(e, line, &best)
	return out, nil
}

// choose finds the pair of each role with the surest key.
func (k *kv) choose() (best [roles]pair) {
	var ranks [roles]int // plus 1
	for _, p := range k.pairs {
		r, ok := rankTitle(p.key)
		if told, is := k.fields[string(p.key)]; is {
			r, ok = ranked{told, -1}, true
		}
		if !ok || len(p.value) == 0 {
			continue
		}
		if have := ranks[r.role]; best[r.role].key == nil || r.rank < have-1 {
			best[r.role], ranks[r.role] = p, r.rank+1
		}
	}
	return best
}

// fill sets what an event has besides its name.
func (k *kv) fill(e *events.Event, line []byte, best *[roles]pair) {
	var v values
	for r, p := range best {
		if p.key != nil {
			v.set(e, role(r), p.value)
		}
	}
	v.finish(&k.reading, e)
	if v.time == nil && v.date == nil {
		e.Time, _ = k.stamp(line)
	}
	if !k.others {
		return
	}
	for _, p := range k.pairs {
		if !slices.ContainsFunc(best[:], func(chosen pair) bool { return bytes.Equal(chosen.key, p.key) }) {
			keep(e, p.key, p.value)
		}
	}
}

// cutPair reads the next word of text, and is a pair if it is key=value or key="quoted value". In quotes, a backslash
// may stand before a quote.
func cutPair(text []byte) (p pair, rest []byte) {
	i := 0
	for i < len(text) && isSeparator(text[i]) {
		i++
	}
	text = text[i:]
	for i = 0; i < len(text) && isKey(text[i]); i++ {
	}
	if i == 0 || i == len(text) || text[i] != '=' {
		for i < len(text) && !isSeparator(text[i]) {
			i++
		}
		return p, text[i:]
	}
	p.key, text = text[:i], text[i+1:]
	if len(text) == 0 || text[0] != '"' {
		for i = 0; i < len(text) && !isSeparator(text[i]); i++ {
		}
		p.value = text[:i]
		return p, text[i:]
	}
	for i = 1; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case text[i] == '"':
			p.value = text[1:i]
			return p, text[i+1:]
		}
	}
	p.value = text[1:] // the quotes do not end
	return p, nil
}

func isSeparator(c byte) bool {
	return c == ' ' || c == ',' || c == ';' || c == '|' || c == '\t'
}

func isKey(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || isDigit(c) || c == '_' || c == '-' || c == '.' || c == '@'
}
