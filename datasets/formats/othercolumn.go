package formats

import (
	"bytes"
	"fmt"
	"strings"
)

// otherColumn is a column beside the one that tells the class, which could tell it too. It is held against every row:
// the first rows may not show that the two disagree, or that the classes are in this one.
type otherColumn struct {
	index  int
	called string
	asked  meaning // what "yes" means
	plain  bool    // numbers and answers count
	quiet  bool    // its first values speak of no class
	seen   map[string]meaning
}

// watchOthers chooses the columns that are held against the one that was chosen, and says which are not used.
func (c *chooser) watchOthers() {
	o := &c.out
	if c.f.Class != nil {
		return // the sidecar says what all rows are
	}
	for i, h := range c.headers {
		asking := c.asking(i)
		if i == o.family && i != o.decides {
			asking = mayAsk
		}
		if asking < mayAsk || i == o.decides {
			continue
		}
		t := c.tally(i)
		w := &otherColumn{index: i, called: c.called(i), asked: headerMeaning(h), plain: asking == asks,
			quiet: t.spoken() == 0, seen: map[string]meaning{}}
		if asking == mayAsk && !w.quiet && i != o.family && !t.most(t.spoken()) {
			continue // a category, of which some are called like classes
		}
		if asking == asks && t.words()+t.numbers > 0 && t.spoken() == 0 {
			w.plain = false
			if o.decides < 0 {
				o.evidence.Guess = strings.TrimPrefix(fmt.Sprintf("%s; %s was not used: its values are no classes",
					o.evidence.Guess, c.called(i)), "; ")
			}
		}
		o.others = append(o.others, w)
	}
}

// meaning is a value's, remembered.
func (w *otherColumn) meaning(value []byte) meaning {
	m, ok := w.seen[string(value)]
	if ok {
		return m
	}
	v := string(value)
	m, plain := meaningOf(v)
	switch {
	case plain && !w.plain:
		m = unknown
	case plain && w.asked == good:
		m = m.denied()
	case plain && m == bad && w.asked > good:
		m = w.asked
	case plain && w.asked == isDGA:
		m = notDGA
	case plain && w.asked == isTunnel:
		m = notTunnel
	case m == unknown:
		if _, class, known := familyOf(v); known {
			m = bad
			if class == tunnel {
				m = isTunnel
			}
		}
	}
	if len(w.seen) < maxLabels {
		w.seen[v] = m
	}
	return m
}

// What "no" says below is_dga and is_tunnel: not that a name is benign.
const (
	notDGA meaning = iota + isTunnel + 1
	notTunnel
)

// contradicts reports whether a column says something else than a label.
func (m meaning) contradicts(l label) bool {
	switch m {
	case unknown:
		return false
	case good:
		return l.class != benign
	case bad:
		return l.class == benign
	case isDGA:
		return l.class != dga
	case isTunnel:
		return l.class != tunnel
	case notDGA:
		return l.class == dga
	}
	return l.class == tunnel
}

// check holds the other columns of a row against its label.
func (c *columns) check(line int64, fields [][]byte, l label) error {
	for _, w := range c.others {
		if w.index >= len(fields) {
			continue
		}
		v := bytes.TrimSpace(fields[w.index])
		m := w.meaning(v)
		switch {
		case m == unknown || len(v) == 0:
		case c.decides < 0 && w.quiet || m.contradicts(l):
			return unclearf("line %d: %s says %.40q, but %s says %s. %s", line, w.called, v, c.evidence.Class, l.class,
				settles(`"columns": {"class": "…"}}, or {"class": "…"`))
		}
	}
	return nil
}

// otherIndexes are the columns that check looks at.
func (c *columns) otherIndexes() (list []int) {
	for _, w := range c.others {
		list = append(list, w.index)
	}
	return list
}
