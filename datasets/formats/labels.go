package formats

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/lines"
)

// labeller turns the values of a class column into classes, and counts them. Columns repeat few values, so it remembers
// them.
type labeller struct {
	positive datasets.Class   // what "1", "malicious", … mean in this file; "dga" is always DGA
	inverted bool             // the header asks whether a name is benign: "yes" means benign
	families bool             // the layout has one column for both: an unknown word is a family
	declared map[string]label // what the sidecar says of values, by declaredKey
	used     map[string]bool  // the declared values that came

	seen    map[string]*label
	strange map[string]*strangeWord
}

// label is what a value says. ok is false when it names neither a class nor a family.
type label struct {
	class  datasets.Class
	family string
	ok     bool
	skip   bool // the sidecar says to leave such rows out
	rows   int64
}

// strangeWord is a value that says nothing, and the first rows that have it.
type strangeWord struct {
	rows     int64
	examples []string
}

// skipClass is what a sidecar writes in a class's place for rows to leave out.
const skipClass = "skip"

// maxLabels bounds what a labeller remembers; a class column has few values.
const maxLabels = 4096

// newLabeller makes a labeller for a file at path. families is set for layouts whose class column names families too.
func newLabeller(path string, families bool) *labeller {
	l := &labeller{positive: dga, families: families, seen: map[string]*label{}, used: map[string]bool{},
		strange: map[string]*strangeWord{}}
	if h := hintOf(path); h.known && h.class == tunnel {
		l.positive = tunnel
	}
	return l
}

// label reads a value.
func (l *labeller) label(value []byte) label {
	if got, ok := l.seen[string(value)]; ok {
		got.rows++
		return *got
	}
	got := l.read(string(value))
	got.rows = 1
	if len(l.seen) < maxLabels {
		l.seen[string(value)] = &got
	}
	return got
}

func (l *labeller) read(value string) label {
	if len(l.declared) > 0 {
		key := declaredKey(value)
		if d, ok := l.declared[key]; ok {
			l.used[key] = true
			return d
		}
	}
	m, plain := meaningOf(value)
	if plain && l.inverted {
		m = m.denied()
	}
	switch m {
	case good:
		return label{class: benign, ok: true}
	case bad:
		return label{class: l.positive, ok: true}
	case isDGA:
		return label{class: dga, ok: true}
	case isTunnel:
		return label{class: tunnel, ok: true}
	}
	family, class, known := familyOf(value)
	if known || l.families && strings.Trim(family, "0123456789.-_") != "" {
		return label{class: class, family: family, ok: true}
	}
	return label{}
}

// note keeps a row whose value says nothing, for err.
func (l *labeller) note(value []byte, line int64, row string) {
	w := l.strange[string(value)]
	if w == nil {
		if len(l.strange) >= maxLabels {
			return
		}
		w = &strangeWord{}
		l.strange[string(value)] = w
	}
	if w.rows++; len(w.examples) < 3 {
		w.examples = append(w.examples, fmt.Sprintf("line %d: %.80q", line, row))
	}
}

// declaredKey is a value as the sidecar's classes are compared: 1, 1.0 and true are the same.
func declaredKey(value string) string {
	m, plain := meaningOf(value)
	switch {
	case plain && m == good:
		return "0"
	case plain:
		return "1"
	}
	return foldWord(value)
}

// unused is an error if the sidecar speaks of a value that did not come: it may be misspelt.
func (l *labeller) unused() error {
	for _, v := range slices.Sorted(maps.Keys(l.declared)) {
		if !l.used[v] {
			return fmt.Errorf("the sidecar's classes: %q is in no row. Is it spelt as in the file?", v)
		}
	}
	return nil
}

// err is about the values that say nothing, the most frequent one first.
func (l *labeller) err(column string) error {
	if len(l.strange) == 0 {
		return nil
	}
	words := slices.SortedFunc(maps.Keys(l.strange), func(a, b string) int {
		return cmp.Or(cmp.Compare(l.strange[b].rows, l.strange[a].rows), strings.Compare(a, b))
	})
	var others []string
	for _, w := range words[1:min(len(words), 5)] {
		others = append(others, fmt.Sprintf("%.40q (%d)", w, l.strange[w].rows))
	}
	more := ""
	if len(others) > 0 {
		more = fmt.Sprintf(". Others: %s", strings.Join(others, ", "))
	}
	if n := len(words) - 1 - len(others); n > 0 {
		more += fmt.Sprintf(" and %d more", n)
	}
	first := l.strange[words[0]]
	return fmt.Errorf("%s: %.40q is no class that degas knows, in %d rows (%s)%s. %s",
		column, words[0], first.rows, strings.Join(first.examples, "; "), more, settlesWords(words))
}

// mostValues bounds the values that dataset.json lists of an input.
const mostValues = 64

// values lists what was read as what.
func (l *labeller) values() (out []datasets.LabelValue) {
	for v, got := range l.seen {
		if got.ok {
			class := got.class.String()
			if got.skip {
				class = skipClass
			}
			out = append(out, datasets.LabelValue{Value: strings.Clone(v), Class: class, Rows: got.rows})
		}
	}
	slices.SortFunc(out, func(a, b datasets.LabelValue) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), strings.Compare(a.Value, b.Value))
	})
	return out[:min(len(out), mostValues)]
}

// record is a record with the label. The zone of a published tunnel capture is cut off, see StripZone.
func (l label) record(name []byte) datasets.Record {
	r := datasets.Record{Class: l.class, Family: l.family}
	if l.class == tunnel {
		payload, family := StripZone(name)
		name = payload
		if r.Family == "" {
			r.Family = family
		}
	}
	r.Name = lines.View(name)
	return r
}
